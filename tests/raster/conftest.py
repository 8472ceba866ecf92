"""Small rasters for the tests of this folder."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Iterator, Sequence
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Any]:
    """Makes the folder `disk` a disk of a given number of kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(kilobytes: int) -> Path:
        nonlocal mounted
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command to make a small disk with")
        if done.returncode:
            pytest.skip(f"this user may mount no small disk: {done.stderr.decode().strip()}")
        mounted = True
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
