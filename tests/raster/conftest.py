"""Small rasters for the tests of this folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

MakeRaster = Callable[..., Path]
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_600_000)


@pytest.fixture
def make_raster(tmp_path: Path) -> MakeRaster:
    """Write an array as a raster under `tmp_path`; see the keywords."""

    def make(
        name: str,
        data: NDArray[Any],
        *,
        names: Sequence[str] | None = None,
        crs: str | None = "EPSG:32633",
        transform: Affine | None = TRANSFORM,
        mask: NDArray[np.bool_] | None = None,
        overviews: Sequence[int] = (),
        driver: str = "GTiff",
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = data if data.ndim == 3 else data[None]
        count, height, width = data.shape
        with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                path,
                "w",
                driver=driver,
                count=count,
                height=height,
                width=width,
                dtype=data.dtype,
                crs=crs,
                transform=transform,
                **profile,
            ) as dataset:
                dataset.write(data)
                for i, band in enumerate(names or (), start=1):
                    dataset.set_band_description(i, band)
                if mask is not None:
                    dataset.write_mask(mask)
                if overviews:
                    dataset.build_overviews(list(overviews), rasterio.enums.Resampling.nearest)
        return path

    return make
