"""A folder is told from others of its path by what lies in it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from geoseg.errors import OutputError
from geoseg.raster.outputs.seen import Mark, marked


def test_folders_are_seen_while_the_mark_is_there_and_left_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path)
    with marked([Path("a"), tmp_path / "b", Path("a")]) as mark:
        assert len(mark.places) == 2
        sent: Mark = pickle.loads(pickle.dumps(mark))
        monkeypatch.chdir("/")
        assert sent.is_seen()
    assert not sent.is_seen()
    assert [list(folder.iterdir()) for folder in sorted(tmp_path.iterdir())] == [[], []]


def test_another_folder_of_the_same_path_is_not_the_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with marked([tmp_path / "a"]) as mark:
        (tmp_path / "a").rename(tmp_path / "gone")
        (tmp_path / "a").mkdir()
        assert not mark.is_seen()
        (tmp_path / "a").rmdir()
        (tmp_path / "gone").rename(tmp_path / "a")
        assert mark.is_seen()


def test_a_folder_that_cannot_be_written_to_there_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with marked([tmp_path]) as mark:
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert not mark.is_seen()


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as told, marked([tmp_path / "none"]):
        pass
    assert "\n" not in str(told.value)
