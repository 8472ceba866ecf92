"""Rasters made by hand for the tests of patches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

NORTH_UP = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0)


@pytest.fixture
def write_raster(tmp_path: Path) -> Callable[..., Path]:
    """Write a GeoTIFF: ``write_raster("a.tif", array, nodata=0, names=["red"])``."""

    def write(
        name: str,
        data: Any,
        *,
        nodata: float | None = None,
        names: Sequence[str] | None = None,
        crs: str | None = "EPSG:32612",
        transform: Affine | None = NORTH_UP,
        block: int | None = None,
    ) -> Path:
        array = np.asarray(data)
        array = array[np.newaxis] if array.ndim == 2 else array
        tiling = {"tiled": True, "blockxsize": block, "blockysize": block} if block else {}
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        place = {"crs": crs, "transform": transform} if transform is not None else {}
        profile = {
            "driver": "GTiff",
            "count": len(array),
            "height": array.shape[1],
            "width": array.shape[2],
            "dtype": array.dtype.name,
            "nodata": nodata,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile, **place, **tiling) as file:
                file.write(array)
                if names is not None:
                    file.descriptions = tuple(names)
        return path

    return write
