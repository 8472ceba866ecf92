"""A GeoTIFF a patch, written and read back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import DatasetError
from geoseg.raster.grid import Grid
from geoseg.raster.patchfiles import PatchEncoder, PatchFiles
from geoseg.raster.window import Window

PLACE = Grid(
    crs=CRS.from_epsg(32612), transform=Affine(8, 6, 1000, -6, 8, 5000), height=30, width=30
)


def write(
    path: Path,
    data: np.ndarray,
    *,
    nodata: float | None = None,
    grid: Grid = PLACE,
    row: int = 0,
    col: int = 0,
) -> None:
    names = [f"band {i}" for i in range(len(data))]
    encoder = PatchEncoder(
        grid, size=data.shape[-1], dtype=data.dtype, band_names=names, nodata=nodata
    )
    path.write_bytes(encoder.encode(data, row, col))


@pytest.mark.parametrize("bands", [1, 2, 5])
@pytest.mark.parametrize(
    "dtype",
    [
        "uint8",
        "int8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float32",
        "float64",
    ],
)
def test_patch_is_read_back_as_it_was(tmp_path: Path, dtype: str, bands: int) -> None:
    data = np.random.default_rng(0).integers(0, 256, (bands, 7, 7 * np.dtype(dtype).itemsize))
    data = data.astype(np.uint8).view(dtype)
    if data.dtype.kind == "f":
        data[0, 0, 0] = np.nan
    path = tmp_path / "a.tif"
    write(path, data, nodata=3, row=5, col=2)
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(), data, equal_nan=data.dtype.kind == "f")
        assert set(file.dtypes) == {dtype}
        assert file.crs == PLACE.crs
        assert file.transform == PLACE.crop(Window(5, 2, 7, 7)).transform
        assert file.descriptions == tuple(f"band {i}" for i in range(bands))
        assert file.nodata == 3
        assert file.compression.value == "DEFLATE"
    assert sorted(os.listdir(tmp_path)) == ["a.tif"]


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(0.01, 0, -111, 0, -0.01, 36)),
        ("EPSG:32612", Affine(30, 0, 0, 0, -30, 0)),
        ("EPSG:32612", Affine(30, 0, 1000, 0, 30, 5000)),
        ("EPSG:6933", Affine(0.5, 0, 1e6, 0, -0.5, 2e6)),
        (None, Affine(2, 0, 10, 0, -2, 20)),
        ("+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84 +units=m", Affine(3, 0, 7, 0, -3, 9)),
    ],
)
def test_patches_lie_where_they_were_cut(
    tmp_path: Path, crs: str | None, transform: Affine
) -> None:
    system = None if crs is None else CRS.from_string(crs)
    grid = Grid(crs=system, transform=transform, height=50, width=50)
    for row, col in ((0, 0), (1, 1), (13, 40)):
        path = tmp_path / f"{row}_{col}.tif"
        write(path, np.ones((1, 4, 4), np.uint8), grid=grid, row=row, col=col)
        with rasterio.open(path) as file:
            assert file.crs == system
            assert file.transform == grid.crop(Window(row, col, 4, 4)).transform


def test_patches_of_photographs_have_no_place(tmp_path: Path) -> None:
    grid = Grid(crs=None, transform=Affine.identity(), height=50, width=50)
    write(tmp_path / "a.tif", np.ones((3, 4, 4), np.uint8), grid=grid, row=3, col=4)
    files = PatchFiles([tmp_path / "a.tif"], patch_shape=(3, 4, 4), dtype=np.uint8)
    assert (files[0] == 1).all()
    with pytest.warns(NotGeoreferencedWarning):
        rasterio.open(tmp_path / "a.tif").close()


@pytest.mark.parametrize("nodata", [9.0, float("nan")])
def test_nodata_in_any_band_is_filled_in_all(tmp_path: Path, nodata: float) -> None:
    data = np.ones((2, 3, 3), np.float32)
    data[1, 0, 2] = nodata
    write(tmp_path / "a.tif", data, nodata=nodata)
    files = PatchFiles([tmp_path / "a.tif"], patch_shape=(2, 3, 3), dtype=np.float32, fill=-1.0)
    assert files.shape == (1, 2, 3, 3)
    found = files[0]
    assert found[:, 0, 2].tolist() == [-1, -1]
    assert (found == 1).sum() == 16


def test_patch_of_another_shape_and_missing_patch_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.ones((1, 3, 3), np.uint8))
    files = PatchFiles(
        [tmp_path / "a.tif", tmp_path / "b.tif"], patch_shape=(2, 3, 3), dtype=np.uint8
    )
    with pytest.raises(DatasetError, match=r"a\.tif has the shape"):
        files[0]
    with pytest.raises(DatasetError, match=r"b\.tif"):
        files[1]
