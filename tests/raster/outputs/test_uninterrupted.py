"""Steps that no signal comes between, and folders that are never lost between two names."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from geoseg.raster.outputs.temporary import OLD, TemporaryFolder
from geoseg.raster.outputs.uninterrupted import uninterrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")


@pytest.fixture(autouse=True)
def pythons_own_handler() -> Iterator[None]:
    """Commands that ran in this process before have left theirs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_waits_for_the_end() -> None:
    steps = []
    before = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with uninterrupted():
            interrupt()
            steps.append(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == [1]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_is_told_before_a_signal() -> None:
    with pytest.raises(ValueError, match="first"), uninterrupted():
        raise ValueError("first")


def test_other_threads_do_as_they_are_told() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "file").write_text(content)
    return path


def test_a_folder_is_whole_when_ctrl_c_comes_between_its_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = folder(tmp_path / "set", "old"), Path.rename

    def interrupted(self: Path, to: Path) -> Path:
        moved = rename(self, to)
        interrupt()
        return moved

    with TemporaryFolder(target) as hidden:
        made = folder(hidden.path / "made", "new")
        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hidden.publish_folder(made)
        monkeypatch.undo()
    assert (target / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["set"]


def test_a_folder_that_made_way_comes_back_after_a_kill(tmp_path: Path) -> None:
    target = tmp_path / "set"
    dead = folder(tmp_path / ".set.geoseg-abcdefgh.tmp", "")
    (dead / "lock").touch()
    folder(dead / OLD, "old")
    with TemporaryFolder(target):
        assert (target / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["set"]
