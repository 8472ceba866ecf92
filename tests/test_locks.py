"""A file that is held tells others that its holder lives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from geoseg.locks import lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, open files are held anyway")


def test_a_file_is_held_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path, "xb"), pytest.raises(BlockingIOError):
        lock(path, "r+b")
    lock(path, "r+b").close()


def test_a_file_that_must_be_new_is_not_taken_from_others(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with pytest.raises(FileExistsError):
        lock(tmp_path / "lock", "xb")
