"""Pixels at half their size: how the smaller copies of a raster are made.

Knows arrays; knows neither files nor tiles. Four pixels become one, two by two from the first row
and column on; in an odd last row or column a pixel is made of those that there are.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Halving", "halved"]

Halving = Literal["average", "mode", "nearest"]
_Mask = NDArray[np.bool_]


def halved(data: NDArray[Any], how: Halving, nodata: float | None) -> NDArray[Any]:
    """Return pixels at half their size.

    Parameters
    ----------
    data
        (bands, rows, cols); each band for itself.
    how
        ``average``: the mean of the pixels that are not nodata; whole numbers are rounded, halves
        up, and a mean that by chance is the nodata value becomes the number above it (or below,
        if that is the highest). ``mode``: the commonest; of equally common ones that which, read
        row by row, is the first to be so common. Both give nodata only where all four are.
        ``nearest``: the first of the four.
    nodata
        Value that means "no data", NaN possible; None for none.

    Returns
    -------
    (bands, ⌈rows / 2⌉, ⌈cols / 2⌉) of the same type, C-contiguous.
    """
    if how == "nearest":
        return np.ascontiguousarray(data[:, ::2, ::2])
    if nodata is not None and data.dtype.kind != "f":
        limits = np.iinfo(data.dtype)
        if not (limits.min <= nodata <= limits.max and float(nodata).is_integer()):
            nodata = None  # no pixel can be that
    rows, cols = data.shape[1:]
    if rows % 2 or cols % 2:  # a pixel counted twice weighs as if it were there alone
        data = np.pad(data, ((0, 0), (0, rows % 2), (0, cols % 2)), mode="edge")
    make = _averages if how == "average" else _modes
    out = np.empty((len(data), data.shape[1] // 2, data.shape[2] // 2), data.dtype)
    for band, result in zip(data, out, strict=True):
        # Side by side in memory: all that follows is several times as fast.
        four = [np.ascontiguousarray(band[i::2, j::2]) for i in (0, 1) for j in (0, 1)]
        with np.errstate(over="ignore", invalid="ignore"):  # of infinities there is no mean
            make(four, nodata, result)
    return out


def _there(pixels: NDArray[Any], nodata: float | None) -> _Mask | None:
    """Tell which pixels hold data; None for all."""
    if nodata is None:
        return None
    found: _Mask = ~np.isnan(pixels) if math.isnan(nodata) else pixels != nodata
    return found


def _averages(four: list[NDArray[Any]], nodata: float | None, out: NDArray[Any]) -> None:
    total = np.zeros(out.shape, np.float64)
    masks = [_there(pixels, nodata) for pixels in four]
    if nodata is None or all(mask is None or mask.all() for mask in masks):
        for pixels in four:
            total += pixels
        total *= 0.25
        some = None
    else:
        number = np.zeros(out.shape, np.uint8)
        for pixels, mask in zip(four, masks, strict=True):
            np.add(total, pixels, out=total, where=mask)
            number += mask  # type: ignore[arg-type]
        some = number > 0
        np.divide(total, number, out=total, where=some)
    if out.dtype.kind != "f":
        np.floor(np.add(total, 0.5, out=total), out=total)
    np.copyto(out, total, casting="unsafe")
    if nodata is not None and not math.isnan(nodata):
        out[out == nodata] = _beside(nodata, out.dtype)
    if some is not None:
        out[~some] = nodata


def _beside(nodata: float, dtype: np.dtype[Any]) -> Any:
    """Return the number above nodata, or the one below the highest."""
    if dtype.kind == "f":
        return np.nextafter(dtype.type(nodata), dtype.type(np.inf))
    return nodata + 1 if nodata < np.iinfo(dtype).max else nodata - 1


def _modes(four: list[NDArray[Any]], nodata: float | None, out: NDArray[Any]) -> None:
    out[...] = four[0] if nodata is None else nodata
    bits = out.view(f"u{out.itemsize}")
    most = np.zeros(out.shape, np.uint8)
    for place, pixels in enumerate(four):
        seen = np.ones(out.shape, np.uint8)
        for other in four[:place]:
            seen += (other == pixels).view(np.uint8)
        more = seen > most
        mask = _there(pixels, nodata)
        if mask is not None:
            more &= mask
        # What is larger takes the place of what was: by bits, as copying where it is takes longer.
        taken = np.negative(more.astype(bits.dtype))
        bits ^= (bits ^ pixels.view(bits.dtype)) & taken
        np.maximum(most, seen * more, out=most)
