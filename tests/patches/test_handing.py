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
from geoseg.patches.storage import ArrayWriter, FileWriter

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


def file_writer(folder: Path) -> FileWriter:
    return FileWriter(folder, band_names=("red",), nodata=None, kinds=("labels",))


FILES = [{"images": bytes([i]) * 9, "labels": bytes([i]) * i} for i in range(3)]


def test_patches_that_are_files_get_their_names_and_are_not_copied(
    desk: Desk, tmp_path: Path
) -> None:
    handed = desk.hand(FILES, [0, 0, 0], threads=2)
    assert handed is not None
    assert len(list(desk.folder.iterdir())) == 7
    before = {path.stat().st_ino for path in desk.folder.iterdir()}
    writer = file_writer(tmp_path / "set")
    for number in (2, 0, 1):
        desk.move(handed, number, writer, number, f"p{number}")
    writer.finish()
    assert [entry.name for entry in desk.folder.iterdir()] == ["token"]
    assert (tmp_path / "set" / "files.txt").read_text() == "p0.tif\np1.tif\np2.tif\n"
    for number, patch in enumerate(FILES):
        for kind, content in patch.items():
            path = tmp_path / "set" / kind / f"p{number}.tif"
            assert path.read_bytes() == content
            assert path.stat().st_ino in before
            assert path.stat().st_mode == (desk.folder / "token").stat().st_mode


def test_a_patch_file_that_was_cut_short_is_refused(desk: Desk, tmp_path: Path) -> None:
    handed = desk.hand(FILES, [0, 0, 0])
    assert handed is not None
    os.truncate(desk.folder / f"{handed.name}-1-images", 8)
    with pytest.raises(OSError, match="cut short"):
        desk.move(handed, 1, file_writer(tmp_path / "set"), 0, "p1")


def test_patch_files_of_another_user_are_not_handed_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert desk.hand(FILES, [0, 0, 0]) is None
    assert desk.hand(PATCHES, SPLITS) is not None


def test_what_a_full_disk_took_of_patch_files_is_removed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    really = os.pwrite

    def full(file: int, data: bytes, at: int) -> int:
        written.append(at)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "no room")
        return really(file, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    assert desk.hand(FILES, [0, 0, 0]) is None
    assert [entry.name for entry in desk.folder.iterdir()] == ["token"]


def test_what_a_stopped_run_was_handed_is_removed_by_the_next(tmp_path: Path) -> None:
    before = Desk.beside(tmp_path / "set")
    assert before.hand(PATCHES, SPLITS) is not None
    assert before.hand(FILES, [0, 0, 0]) is not None
    desk = Desk.beside(tmp_path / "set")
    assert [file.name for file in desk.folder.iterdir()] == ["token"]
    assert before.hand(PATCHES, SPLITS) is None  # of a worker of the stopped run
    assert desk.hand(PATCHES, SPLITS) is not None
