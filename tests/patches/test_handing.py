"""Patches of a block in a file, from a worker to who makes the set."""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from geoseg.patches.handing import Desk
from geoseg.patches.storage import ArrayWriter

PATCHES = [
    {"images": np.full((2, 4, 4), i, np.uint16), "labels": np.full((4, 4), i, np.uint8)}
    for i in range(6)
]
SPLITS = [0, 1, 0, 1, 1, 0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "made").mkdir()
    return Desk.beside(tmp_path / "made")


class Full(ArrayWriter):
    """A disk that is full when images come, and slow with labels."""

    def __init__(self) -> None:
        self.saw_it_open: list[bool] = []

    def item_bytes(self, kind: str) -> int:
        return PATCHES[0][kind].nbytes

    def take(self, kind: str, position: int, count: int, at: int, source: int) -> None:
        del position, count, at
        if kind == "images":
            time.sleep(0.1)  # until all have begun
            raise OSError(errno.ENOSPC, "no room")
        time.sleep(0.4)
        try:
            os.fstat(source)
        except OSError:
            self.saw_it_open.append(False)
        else:
            self.saw_it_open.append(True)


def test_a_file_stays_open_while_others_copy_when_one_fails(desk: Desk) -> None:
    handed = desk.hand(PATCHES, SPLITS)
    assert handed is not None
    writers = [Full(), Full()]
    with ThreadPoolExecutor(4) as pool, pytest.raises(OSError, match="no room"):
        desk.take(handed, writers, [0, 0], pool)
    assert [one.saw_it_open for one in writers] == [[True], [True]]
    assert [entry.name for entry in desk.folder.iterdir()] == ["token"]


def test_a_file_that_was_cut_short_is_refused_and_removed(desk: Desk) -> None:
    handed = desk.hand(PATCHES, SPLITS)
    assert handed is not None
    os.truncate(desk.folder / handed.name, 100)
    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="cut short"):
        desk.take(handed, [Full(), Full()], [0, 0], pool)
    assert [entry.name for entry in desk.folder.iterdir()] == ["token"]


@pytest.mark.parametrize("token", ["", "another", "\xff"])
def test_who_sees_another_folder_of_that_name_hands_nothing_over(desk: Desk, token: str) -> None:
    (desk.folder / "token").write_text(token, encoding="latin-1")
    assert desk.hand(PATCHES, SPLITS) is None
    assert [entry.name for entry in desk.folder.iterdir()] == ["token"]
