"""What is stored of a tile: its pixels compressed, and half of them for the next smaller copy.

A function of values that can be sent: whoever packs a tile, here or elsewhere, gets the same bytes.
Knows pixels; knows neither files nor where tiles go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoseg.errors import OutputError
from geoseg.raster.cog.halving import Halving, halved
from geoseg.raster.cog.tiff import read_directories
from geoseg.raster.cog.waiting import nodata_bits

__all__ = ["PackedRows", "PackedTile", "TilePacking", "half_shape"]

_USUAL_LEVEL, _FLOAT_LEVEL, _RESTLESS_LEVEL = 6, 1, 5
"""Of deflate. Of floats a higher one saves nothing, and takes twice as long; of restless classes
some hundredths, and takes two to three times as long."""
_RESTLESS = 1 / 12
"""Classes are where more of the pixels than this differ from their neighbour to the left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedTile:
    """A tile that needs only to be put where it belongs."""

    content: bytes
    """Its pixels, compressed."""
    shape: tuple[int, ...]
    """(bands, rows, cols) of the half."""
    half: NDArray[Any] | None
    """Its pixels at half their size; None where they are nodata alone."""


PackedRows = Mapping[int, Sequence[PackedTile]]
"""Whole rows of tiles, from left to right, by their numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TilePacking:
    """How the tiles of a raster are packed; from any thread, in any process."""

    target: str
    """The name that errors speak of."""
    dtype: np.dtype[Any]
    """Of the pixels."""
    nodata: float | None
    """Value that means "no data"; None for none."""
    side: int
    """Rows and columns of a tile."""
    predictor: int
    """Of the compression, in TIFF's numbers."""
    how: Halving
    """How pixels are halved."""
    _empty: dict[tuple[int, ...], bytes] = field(default_factory=dict, init=False, repr=False)
    """Tiles of nodata alone, by their shape: each is compressed once."""

    def pack(self, pixels: NDArray[Any]) -> PackedTile:
        """Pack a tile.

        Parameters
        ----------
        pixels
            (bands, rows, cols) of `dtype`; cut short at the right and at the bottom of the raster.

        Raises
        ------
        OutputError
            GDAL does not compress it.
        """
        try:
            content = self._content(pixels)
        except (RasterioError, CPLE_BaseError, SystemError) as error:
            told = " ".join(str(error).split())
            raise OutputError(f"{self.target} cannot be written: {told}") from error
        return PackedTile(content=content, shape=half_shape(pixels.shape), half=self.half(pixels))

    def half(self, pixels: NDArray[Any]) -> NDArray[Any] | None:
        """Return the half of a tile, None where it is nodata alone: there may be little else."""
        if self._is_nodata(pixels):
            return None
        half = halved(pixels, self.how, self.nodata)
        return None if self._is_nodata(half) else half

    def whole_half(self, half: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the pixels of a half, which has them or is nodata alone."""
        return np.full(shape, self.nodata, self.dtype) if half is None else half

    @cached_property
    def _bits(self) -> NDArray[Any] | None:
        return nodata_bits(self.nodata, self.dtype)

    def _is_nodata(self, pixels: NDArray[Any]) -> bool:
        """Tell whether there is nothing but nodata, to the bit; one pixel tells most others."""
        if self._bits is None:
            return False
        bits = pixels.view(self._bits.dtype)
        return bool(bits.flat[0] == self._bits and (bits == self._bits).all())

    def _content(self, pixels: NDArray[Any]) -> bytes:
        if not self._is_nodata(pixels):
            return self._compressed(pixels)
        if pixels.shape not in self._empty:
            self._empty[pixels.shape] = self._compressed(pixels)
        return self._empty[pixels.shape]

    def _level(self, pixels: NDArray[Any]) -> int:
        """Choose how hard to compress a tile, by its pixels alone."""
        if pixels.dtype.kind == "f":
            return _FLOAT_LEVEL
        if self.how != "mode":
            return _USUAL_LEVEL
        changes = np.count_nonzero(pixels[..., 1:] != pixels[..., :-1])
        return _RESTLESS_LEVEL if changes > _RESTLESS * pixels.size else _USUAL_LEVEL

    def _compressed(self, pixels: NDArray[Any]) -> bytes:
        """Compress a tile as GDAL does; 0 where it reaches over the raster's edge."""
        side = self.side
        if pixels.shape[1:] != (side, side):
            whole = np.zeros((len(pixels), side, side), pixels.dtype)
            whole[:, : pixels.shape[1], : pixels.shape[2]] = pixels
            pixels = whole
        profile = {
            "driver": "GTiff",
            "width": side,
            "height": side,
            "count": len(pixels),
            "dtype": pixels.dtype.name,
            "transform": Affine(1, 0, 1, 0, -1, 1),  # without one, rasterio warns
            "tiled": True,
            "blockxsize": side,
            "blockysize": side,
            "interleave": "pixel",
            "compress": "deflate",
            "predictor": self.predictor,
            "zlevel": self._level(pixels),
            "num_threads": "1",
        }
        with rasterio.Env(GDAL_NUM_THREADS="1"), MemoryFile() as memory:
            with memory.open(**profile) as dataset:
                dataset.write(pixels)
            memory.seek(0)
            offsets, sizes = read_directories(memory)[1][0].tiles
            memory.seek(offsets[0])
            tile: bytes = memory.read(sizes[0])
        if len(offsets) != 1 or len(tile) != sizes[0] or not tile:
            raise OutputError(f"{self.target} cannot be written: a tile was not compressed")
        return tile


def half_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the half of (bands, rows, cols)."""
    bands, rows, cols = shape
    return bands, -(-rows // 2), -(-cols // 2)
