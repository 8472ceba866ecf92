"""Small maps to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

HERE = Affine(30, 0, 300000, 0, -30, 4000000)
CLASSES = "1=water,2=forest,3=grass"


def _write(
    path: Path,
    pixels: Any,
    *,
    transform: Affine = HERE,
    crs: str | None = "EPSG:32612",
    dtype: str = "uint8",
    nodata: float | None = 255,
    names: tuple[str, ...] = (),
) -> Path:
    data = np.array(pixels, dtype=dtype)
    data = data[np.newaxis] if data.ndim == 2 else data
    count, height, width = data.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=dtype, crs=crs,
        transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(data)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Write pixels (rows, cols) or (bands, rows, cols) as a GeoTIFF."""
    return _write
