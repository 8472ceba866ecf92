"""Marks of files, and the record."""

from __future__ import annotations

import os
import sqlite3

import pytest

from geoseg.errors import OutputError
from geoseg.recipe.record import RECORD, Entry, Record, alone, mark


def digest(path):
    return mark(str(path))[1]


def test_a_copy_has_the_digest_and_another_content_has_not(tmp_path):
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / f"{name}.txt").write_text(text)
    assert digest(tmp_path / "a.txt") == digest(tmp_path / "b.txt") != digest(tmp_path / "c.txt")


def test_names_in_a_folder_count_and_its_own_does_not(tmp_path):
    for folder, name in (("p", "1"), ("q", "1"), ("r", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.npy").write_text("x")
    assert digest(tmp_path / "p") == digest(tmp_path / "q") != digest(tmp_path / "r")
    (tmp_path / "q" / "3.npy").write_text("")
    assert digest(tmp_path / "p") != digest(tmp_path / "q")
    assert digest(tmp_path / "p" / "*.npy") == digest(tmp_path / "p" / "?.npy")


def test_what_looking_leaves_behind_does_not_count(tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    before = digest(tmp_path)
    for name in (".hidden", "a.tif.aux.xml", "index.gpkg", "index.gpkg-wal"):
        (tmp_path / name).write_text("x")
    assert digest(tmp_path) == before
    (tmp_path / "other.gpkg").write_text("x")
    assert digest(tmp_path) != before


def test_a_geopackage_opened_otherwise_is_the_same_and_one_that_was_edited_is_not(tmp_path):
    path = tmp_path / "a.gpkg"
    with sqlite3.connect(path) as base:
        base.execute("create table t (x)")
    base.close()
    before, raw = digest(path), path.read_bytes()
    base = sqlite3.connect(path)
    base.execute("pragma journal_mode=wal")
    base.close()
    assert path.read_bytes() != raw
    assert digest(path) == before
    with sqlite3.connect(path) as base:
        base.execute("insert into t values (1)")
    base.close()
    assert digest(path) != before


def test_a_known_digest_is_taken_while_sizes_and_times_are_as_they_were(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    stamp, _ = mark(str(path))
    assert mark(str(path), (stamp, "known")) == (stamp, "known")
    os.utime(path, ns=(1, 1))
    assert mark(str(path), (stamp, "known"))[1] == digest(path) != "known"


def test_what_is_not_there_has_a_mark_of_its_own(tmp_path):
    nothing = digest(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("")
    assert digest(tmp_path / "a.txt") != nothing


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = Record.read(tmp_path)
    assert record.entries == {}
    record.entries["{out}/é"] = Entry(
        state="done", words=("tile", "x"), inputs={"a": ("1", "2")}, outputs={}, seconds=1.5
    )
    record.save()
    assert Record.read(tmp_path) == record


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1, "steps": {"a": {}}}', '{"version": 1}']
)
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(OutputError, match=r"\.geoseg-run\.json is damaged"):
        Record.read(tmp_path)


def test_two_runs_do_not_share_a_folder(tmp_path):
    with (
        alone(tmp_path / "out"),
        pytest.raises(OutputError, match="another geoseg run works in"),
        alone(tmp_path / "out"),
    ):
        pass
    with alone(tmp_path / "out"):
        pass
