"""A GeoTIFF with holes: blocks that nobody wrote, and an index too long for the head of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

SIDE, BLOCK = 1600, 16
"""Pixels along each side of the raster, and of a block."""
EMPTY = slice(320, 640)
"""Rows without data, whose blocks are not in the file."""


def pixels_around_holes() -> NDArray[np.uint8]:
    """Return what `write_with_holes` writes, (2 bands, rows, columns), uint8; 0 is nodata."""
    pixels = np.random.default_rng(5).integers(1, 255, (2, SIDE, SIDE), dtype="uint8")
    pixels[:, EMPTY] = 0
    return pixels


def write_with_holes(path: Path) -> None:
    """Write the raster."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=SIDE,
        width=SIDE,
        count=2,
        dtype="uint8",
        nodata=0,
        tiled=True,
        interleave="band",
        blockxsize=BLOCK,
        blockysize=BLOCK,
        sparse_ok=True,
        crs="EPSG:32612",
        transform=rasterio.Affine(1, 0, 5e5, 0, -1, 4e6),
    ) as file:
        file.write(pixels_around_holes())
