"""How a composite is stored: as float32, or as whole numbers with scale and offset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.product import ProductBand
from geoseg.errors import OptionError

StoredType = Literal["float32", "uint16", "int16"]

_NODATA: dict[str, float] = {"float32": math.nan, "uint16": 0, "int16": -32768}


def check_stored(dtype: str) -> None:
    """Refuse a type that composites are not stored in.

    Raises
    ------
    OptionError
        It is another one.
    """
    if dtype not in get_args(StoredType):
        raise OptionError(f"dtype is {' or '.join(get_args(StoredType))}, not {dtype!r}")


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How values of bands become numbers in a file."""

    dtype: StoredType
    """Type in the file."""
    scales: tuple[float, ...]
    """Value = stored × scale + offset, one a band."""
    offsets: tuple[float, ...]
    """See `scales`."""

    @classmethod
    def of(cls, dtype: StoredType, bands: Sequence[ProductBand]) -> Storage:
        """Return how to store bands; whole numbers as the product stores them."""
        if dtype == "float32":
            count = len(bands)
            return cls(dtype=dtype, scales=(1.0,) * count, offsets=(0.0,) * count)
        return cls(
            dtype=dtype,
            scales=tuple(band.scale for band in bands),
            offsets=tuple(band.offset for band in bands),
        )

    @property
    def nodata(self) -> float:
        """What stands for "none" in the file."""
        return _NODATA[self.dtype]

    @property
    def is_scaled(self) -> bool:
        """Whether the file has to tell scale and offset."""
        return any(scale != 1 for scale in self.scales) or any(self.offsets)

    def store(self, values: NDArray[np.float32], out: NDArray[Any]) -> int:
        """Store values.

        Parameters
        ----------
        values
            (bands, rows, cols), NaN where there is none.
        out
            (bands, rows, cols) of the stored type to write into.

        Returns
        -------
        How many values did not fit and became the nearest that does.
        """
        if self.dtype == "float32":
            out[...] = values
            return 0
        limits = np.iinfo(self.dtype)
        low, high = limits.min + 1, limits.max  # the lowest is nodata
        clipped = 0
        for band, scale, offset, stored in zip(values, self.scales, self.offsets, out, strict=True):
            numbers = np.rint((band.astype(np.float64) - offset) / scale)
            missing = np.isnan(numbers)
            clipped += int(np.count_nonzero((numbers < low) | (numbers > high)))
            numbers = np.where(missing, self.nodata, np.clip(numbers, low, high))
            stored[...] = numbers.astype(self.dtype)
        return clipped
