"""Readers, memory, cards, folders and inputs that fail while a command runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

READ = "geoseg.raster.pieces:Pieces._decode"
CONV = "torch.nn.modules.conv:Conv2d.forward"
MAPS = "geoseg.inference.members:Ensemble.maps"
WRITE = "geoseg.raster.cog.spool:Spool.write_at"
BEGUN = {
    "tile": (WRITE, 7),
    "predict": (MAPS, 130),
    "clean": (MAPS, 130),
    "composite": (READ, 2),
    "vectorise": (READ, 1),
    "homogenise": (READ, 9),
    "coverage": (WRITE, 9),
    "train": (CONV, 40),
    "cam": (CONV, 30),
}
"""A call in the middle of each command's work."""


def some_slow(names: Iterable[str], *quick: str) -> list[Any]:
    """All names for a test, those that a quick check leaves out marked."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def begun(name: str, code: str) -> list[tuple[str, int, str]]:
    return [(*BEGUN[name], code)]


@pytest.mark.parametrize("name", some_slow(BEGUN, "tile", "predict", "composite"))
def test_a_thread_that_dies_ends_the_command_in_one_line(checked: Any, name: str) -> None:
    said = checked.fails(name, faults=begun(name, "raise ArithmeticError('faulty')"))
    assert "unexpected ArithmeticError: faulty" in said
    checked.again(name)


@pytest.mark.parametrize(
    "name",
    some_slow(["tile", "predict", "composite", "homogenise", "coverage", "train"], "tile"),
)
def test_too_little_memory_is_one_line(checked: Any, name: str) -> None:
    said = checked.fails(name, faults=begun(name, "raise MemoryError"))
    assert "memory" in said
    checked.again(name)


@pytest.mark.parametrize("name", some_slow(["predict", "train", "cam"], "predict"))
@pytest.mark.parametrize(
    "error",
    [
        "torch.AcceleratorError('CUDA error: device-side assert triggered\\nCompile with')",
        "RuntimeError('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED')",
    ],
)
def test_a_card_that_is_lost_is_one_line(checked: Any, name: str, error: str) -> None:
    said = checked.fails(name, faults=begun(name, f"import torch; raise {error}"))
    assert "the card failed while it computed (" in said
    assert ("rows; --resume goes on from there" in said) == (name == "predict")
    checked.again(name)


@pytest.mark.parametrize("name", some_slow(BEGUN, "tile", "predict", "coverage"))
def test_a_folder_that_goes_away_is_one_line(checked: Any, name: str) -> None:
    away = f"import os; os.rename({str(checked.out)!r}, {str(checked.out) + '-away'!r})"
    checked.fails(name, faults=begun(name, away))
    assert not checked.out.exists()  # nobody made it again
    os.rename(f"{checked.out}-away", checked.out)
    for path in checked.out.iterdir():  # as the disk was when it went away
        assert path.name.startswith(".") or path.name in ("before.txt", "m.checkpoint")


CHANGES = {
    "rewritten": "file = open({path!r}, 'r+b'); file.seek(3000); file.write(b'x'); file.close()",
    "replaced": "shutil.copy({path!r}, {path!r} + '_'); shutil.move({path!r} + '_', {path!r})",
    "cut short": "import os; os.truncate({path!r}, 3000)",
}


@pytest.mark.parametrize("how", some_slow(CHANGES, "rewritten"))
@pytest.mark.parametrize(
    ("name", "read", "number"),
    [
        ("predict", "scene.tif", 1),
        ("tile", "scene.tif", 2),
        ("composite", "may.tif", 1),
        ("vectorise", "labels.tif", 1),
        ("homogenise", "flights/a.tif", 9),
        ("coverage", "labels.tif", 1),
        ("cam", "scene.tif", 3),
    ],
)
def test_an_input_that_changes_is_not_mixed_with_what_it_was(
    checked: Any, name: str, read: str, number: int, how: str
) -> None:
    path: Path = checked.run.data / read
    state, content = path.stat(), path.read_bytes()
    try:
        change = "time.sleep(0.01); " + CHANGES[how].format(path=str(path))
        said = checked.fails(name, faults=[(READ, number, change)])
    finally:
        path.unlink()
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert f"{path}: changed while it was read" in said or "cannot be opened (trunc" in said
    checked.again(name)
