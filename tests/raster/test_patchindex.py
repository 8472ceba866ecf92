"""The index of patches, read without GDAL's vector side."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.errors import DatasetError
from geoseg.raster.patchindex import described_grid, read_columns
from geoseg.raster.vector import write_footprints

SQUARE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "an index #1.gpkg"
    columns = {"patch": ["b", "a"], "row": [3, 1], "nodata": [0.5, float("nan")]}
    write_footprints(path, "patches", columns, [SQUARE, SQUARE], None)
    return path


def test_attributes_come_in_the_order_in_which_they_were_written(index: Path) -> None:
    assert read_columns(index, "patches", ("row", "patch", "nodata")) == [
        (3, "b", 0.5),
        (1, "a", None),
    ]


def test_reading_leaves_nothing_beside_the_file(index: Path) -> None:
    before = {p.name for p in index.parent.iterdir()}
    read_columns(index, "patches", ("row",))
    assert {p.name for p in index.parent.iterdir()} == before


def test_what_cannot_be_read_is_told(index: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is missing"):
        read_columns(tmp_path / "none.gpkg", "patches", ("row",))
    with pytest.raises(DatasetError, match=r"cannot be read.*such column"):
        read_columns(index, "patches", ("col",))
    with pytest.raises(DatasetError, match=r"cannot be read.*such table"):
        read_columns(index, "other", ("row",))


def test_a_grid_is_described_by_code_or_by_nothing() -> None:
    transform = (30.0, 0.0, 5.0, 0.0, -30.0, 7.0)
    grid = described_grid("EPSG:32612", transform, height=2, width=3)
    assert grid.crs is not None
    assert (grid.crs.to_epsg(), tuple(grid.transform)[:6]) == (32612, transform)
    assert described_grid(None, transform, height=2, width=3).crs is None
    with pytest.raises(DatasetError, match="no coordinate system"):
        described_grid("EPSG:999999", transform, height=2, width=3)
