"""What is said of a file here that is no raster."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from geoseg.raster.opening.trouble import why_not_opened


def test_a_geopackage_that_was_cut_short_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "fields.gpkg"
    with sqlite3.connect(path) as base:
        base.execute("create table filled (value text)")
        base.execute("insert into filled values (?)", ("x" * 20_000,))
    base.close()
    assert "holds polygons and no raster" in why_not_opened(str(path), "")
    path.write_bytes(path.read_bytes()[:-1])
    assert why_not_opened(str(path), "") == (
        f"{path}: is truncated, by what its header says of its size; get it anew"
    )
