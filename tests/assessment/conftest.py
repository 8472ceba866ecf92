"""Small rasters to evaluate."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from geoseg.assessment.evaluate import compare
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.scoring import Scoring
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.legend.written import parse_legend

UTM = "EPSG:32612"
HERE = Affine(30, 0, 300000, 0, -30, 4000000)


def _write(
    path: Path,
    pixels: Any,
    *,
    transform: Affine | None = HERE,
    crs: str | None = UTM,
    nodata: float | None = 255,
    dtype: str = "uint8",
    **profile: Any,
) -> Path:
    data = np.array(pixels, dtype=dtype)
    data = data[np.newaxis] if data.ndim == 2 else data
    count, height, width = data.shape
    profile |= {"count": count, "height": height, "width": width, "dtype": dtype}
    with warnings.catch_warnings():
        if transform is None:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", crs=crs, transform=transform, nodata=nodata, **profile
        ) as file:
            file.write(data)
    return path


def _class_raster(path: Path, pixels: Any, legend: Legend, **options: Any) -> Path:
    data = np.array(pixels, dtype=np.uint8)
    height, width = data.shape
    grid = Grid(crs=CRS.from_string(UTM), transform=HERE, height=height, width=width)
    with RasterWriter(
        path, grid, band_names=["class"], dtype="uint8", nodata=255, legend=legend, **options
    ) as writer:
        writer.write_rows(0, data)
    return path


def _run(
    prediction: Path, labels: Path, classes: str | None = "1=water,2=forest", **options: Any
) -> Evaluation:
    legend = None if classes is None else parse_legend(classes)
    return compare(prediction, labels, Scoring(classes=legend, **options)).run(workers=2)


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Write pixels (rows, cols) or (bands, rows, cols) to a GeoTIFF: (path, pixels, …)."""
    return _write


@pytest.fixture(scope="session")
def class_raster() -> Callable[..., Path]:
    """Write class ids (rows, cols) as geoseg does: (path, pixels, legend)."""
    return _class_raster


@pytest.fixture(scope="session")
def run() -> Callable[..., Evaluation]:
    """Compare two files and count: (prediction, labels, classes as on the command line, …)."""
    return _run
