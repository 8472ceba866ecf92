"""Small rasters and products for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an array, (rows, cols) or (bands, rows, cols), as a raster under `tmp_path`."""

    def make(
        name: str,
        data: Any,
        *,
        dtype: str = "uint16",
        names: Sequence[str] = (),
        pixel: float = 30.0,
        corner: tuple[float, float] = (600_000.0, 5_000_000.0),
        crs: str = "EPSG:32633",
        **profile: Any,
    ) -> Path:
        array = np.asarray(data, dtype)
        array = array if array.ndim == 3 else array[None]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=array.shape[0],
            height=array.shape[1],
            width=array.shape[2],
            dtype=dtype,
            crs=crs,
            transform=Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
            **profile,
        ) as dataset:
            dataset.write(array)
            for index, band in enumerate(names, start=1):
                dataset.set_band_description(index, band)
        return path

    return make
