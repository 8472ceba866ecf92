"""Blocks that are not in a TIFF are told from those that are, and read as GDAL reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as Part

from geoseg.raster import pieces
from geoseg.raster.opening.sparse import missing_blocks
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

SIDE = 100
"""Rows and columns; blocks of 16 reach over the edge."""


def sparse(path: Path, written: list[tuple[int, int]], **more: Any) -> Path:
    """Write a file with some blocks (row, column of blocks of 16) alone."""
    options = {
        "driver": "GTiff", "width": SIDE, "height": SIDE, "count": 2, "dtype": "uint16",
        "tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "nodata": 7,
        "SPARSE_OK": True, "transform": Affine(1, 0, 5, 0, -1, 5), "crs": "EPSG:32633",
    } | more  # fmt: skip
    if options["nodata"] is None:
        del options["nodata"]
    rng = np.random.default_rng(2)
    with rasterio.open(path, "w", **options) as file:
        rows, cols = file.block_shapes[0]
        for row, col in written:
            part = Part(col * cols, row * rows, *(min(cols, SIDE - col * cols), 0))
            part = Part(part.col_off, part.row_off, part.width, min(rows, SIDE - row * rows))
            shape = (file.count, int(part.height), int(part.width))
            file.write(rng.integers(1, 9, shape).astype(options["dtype"]), window=part)
    return path


FORMS: list[dict[str, Any]] = [
    {},
    {"BIGTIFF": "YES"},
    {"ENDIANNESS": "BIG"},
    {"interleave": "band"},
    {"nodata": None},
    {"dtype": "float32", "nodata": float("nan")},
    {"dtype": "float32", "nodata": -9999.0},
    {"tiled": False, "blockysize": 5},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_was_not_written_is_missing(tmp_path: Path, form: dict[str, Any]) -> None:
    written = [(0, 0), (3, 0)] if "tiled" in form else [(0, 0), (3, 2), (6, 6)]
    blocks = missing_blocks(sparse(tmp_path / "scene.tif", written, **form))
    assert blocks is not None
    there = {(int(r), int(c)) for _, r, c in np.argwhere(~blocks.missing)}
    assert there == set(written)
    assert blocks.missing.shape[0] == (2 if "interleave" in form else 1)
    assert (blocks.rows, blocks.cols) == ((5, SIDE) if "tiled" in form else (16, 16))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_windows_read_as_gdal_reads_them(
    tmp_path: Path, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [(0, 0), (3, 0)] if "tiled" in form else [(0, 0), (3, 2), (6, 6)]
    path = sparse(tmp_path / "scene.tif", written, **form)
    rng = np.random.default_rng(0)
    windows = [Window(16, 16, 16, 16), Window(0, 90, 10, 10), Window(0, 0, SIDE, SIDE)]
    for _ in range(60):
        row, col = rng.integers(0, SIDE, 2).tolist()
        height, width = rng.integers(1, 40, 2).tolist()
        windows.append(Window(row, col, min(height, SIDE - row), min(width, SIDE - col)))
    with Scene.open(path) as scene:
        found = [scene.read(window) for window in windows]
    monkeypatch.setattr(pieces, "known_missing", lambda _path: None)
    with Scene.open(path) as scene:
        for window, one in zip(windows, found, strict=True):
            expected = scene.read(window)
            np.testing.assert_array_equal(one.data, expected.data)
            np.testing.assert_array_equal(one.valid, expected.valid)


def test_missing_blocks_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sparse(tmp_path / "scene.tif", [(0, 0)])

    def decode(*_args: object) -> None:
        raise AssertionError("decoded")

    with Scene.open(path) as scene:
        monkeypatch.setattr(pieces.Pieces, "_decode", decode)
        found = scene.read(Window(16, 0, 30, SIDE))
        assert not found.valid.any()
        assert (found.data == 7).all()
        with pytest.raises(AssertionError, match="decoded"):
            scene.read(Window(15, 0, 1, 1))


def test_a_nodata_value_that_the_user_gives_does_not_change_what_is_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "scene.tif", [(0, 0)])
    with Scene.open(path) as scene:
        found = scene.with_nodata([3.0, 3.0]).read(Window(32, 32, 4, 4))
    assert (found.data == 7).all()
    assert found.valid.all()


def test_a_file_that_is_whole_or_none_has_nothing_missing(tmp_path: Path) -> None:
    everywhere = [(r, c) for r in range(7) for c in range(7)]
    assert missing_blocks(sparse(tmp_path / "scene.tif", everywhere)) is None
    (tmp_path / "text.tif").write_text("no raster")
    assert missing_blocks(tmp_path / "text.tif") is None
    assert missing_blocks(tmp_path / "none.tif") is None
    path = sparse(tmp_path / "cut.tif", [(0, 0)])
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        missing_blocks(path)  # whatever it says, it does not fail


def test_a_file_that_is_written_anew_is_looked_at_anew(tmp_path: Path) -> None:
    path = sparse(tmp_path / "scene.tif", [(0, 0)])
    with Scene.open(path) as scene:
        assert not scene.read(Window(48, 48, 4, 4)).valid.any()
    sparse(path, [(0, 0), (3, 3)])
    with Scene.open(path) as scene:
        assert scene.read(Window(48, 48, 4, 4)).valid.any()
