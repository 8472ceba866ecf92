"""Folders and texts that appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from geoseg.errors import LabelError, OutputError
from geoseg.raster.outputs.whole import whole_folder, write_whole


def test_a_folder_is_there_once_all_of_it_is(tmp_path: Path) -> None:
    target = tmp_path / "maps"
    with whole_folder(target, overwrite=False) as made:
        (made / "a.txt").write_text("a")
        assert not target.exists()
    assert [p.name for p in target.iterdir()] == ["a.txt"]
    with whole_folder(target, overwrite=True) as made:
        (made / "b.txt").write_text("b")
    assert [p.name for p in target.iterdir()] == ["b.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_fails_leaves_nothing_and_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "maps"
    target.mkdir()
    with pytest.raises(LabelError), whole_folder(target, overwrite=True):
        raise LabelError("no class")
    full = OSError(errno.ENOSPC, "full")
    with pytest.raises(OutputError, match="no space left"), whole_folder(target, overwrite=True):
        raise full
    lost = tmp_path / "none" / "maps"
    with pytest.raises(OutputError, match="none/maps"), whole_folder(lost, overwrite=True):
        pass
    assert list(tmp_path.iterdir()) == [target]


def test_what_appeared_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "maps"

    def fill() -> None:
        with whole_folder(target, overwrite=False) as made:
            (made / "mine").write_text("mine")
            target.mkdir()
            (target / "other").write_text("of somebody else")

    with pytest.raises(OutputError, match="appeared while"):
        fill()
    assert [p.name for p in target.iterdir()] == ["other"]
    with pytest.raises(OutputError, match="appeared while"):
        write_whole(target / "other", "mine", overwrite=False)
    assert (target / "other").read_text() == "of somebody else"


def test_a_text_is_written_as_it_is_and_what_is_stale_goes(tmp_path: Path) -> None:
    old = tmp_path / "old.gpkg"
    old.write_text("")
    write_whole(tmp_path / "t.csv", "a,ö\r\n1\n", overwrite=False, stale=[old])
    assert (tmp_path / "t.csv").read_bytes() == "a,ö\r\n1\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
