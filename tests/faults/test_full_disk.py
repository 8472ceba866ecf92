"""A disk that becomes full, at whatever moment: told in one line, and gone on with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk of Linux")

NAMES = [
    *("tile", "predict", "clean", "composite", "vectorise", "homogenise", "coverage"),
    *("train", "cam"),
]


def some_slow(names: Iterable[str], *quick: str) -> list[Any]:
    """All names for a test, those that a quick check leaves out marked."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@contextmanager
def disk(folder: Path, kib: int) -> Iterator[Callable[[], None]]:
    """Mount a small disk; what is given makes it large."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount disks")
    try:
        larger = ["mount", "-o", "remount,size=100m", str(folder)]
        yield lambda: subprocess.run(larger, check=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(checked: Any, name: str, share: float) -> bool:
    """Run on a disk with room for a share of what is made; tell whether it was too small."""
    size = sum(map(len, checked.whole(name).values()))
    with disk(checked.out, max(8, int(size * share) >> 10)) as enlarge:
        ended = checked.run(name, checked.out)
        if ended.status == 0:
            checked.out.joinpath("x").touch()
            return False
        for path in checked.out.iterdir():  # what is kept is tried next
            assert path.name.startswith(".") or path.name == "m.checkpoint"
        assert "o space left" in ended.lines[-1]
        assert ended.lines[-1].startswith("Error: ")
        assert ".geoseg-" not in ended.err
        enlarge()
        checked.again(name)
    return True


@pytest.mark.parametrize("name", ["tile", "predict"])
def test_a_full_disk_is_one_line_and_the_rest_follows(checked: Any, name: str) -> None:
    assert fill(checked, name, 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_disks_of_any_size_are_survived(checked: Any, name: str) -> None:
    # With hardly any room, half of it, and nearly all or a little more than what comes out takes.
    small = [fill(checked, name, share) for share in (0.1, 0.5, 0.9, 1.1)]
    assert sum(small) >= 2


@pytest.mark.parametrize("name", some_slow(["tile", "predict", "vectorise", "train"], "vectorise"))
def test_a_limit_on_the_size_of_files_is_one_line(checked: Any, name: str) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
    said = checked.fails(name, before=limit)
    assert "larger than its disk or this user may hold" in said or "no space left" in said
    checked.again(name)
