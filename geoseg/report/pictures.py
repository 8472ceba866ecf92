"""Pictures of patches as PNG files: the image, its classes, where a prediction is wrong."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.raster.legend import NODATA, Color, Legend
from geoseg.raster.legend.palette import Ramp

UNLABELLED_COLOR: Color = (128, 134, 142)
"""Where there is no class: neither in the truth nor, in the picture of errors, to compare with."""
RIGHT_COLOR: Color = (205, 222, 236)
"""Where prediction and truth agree."""
WRONG_COLOR: Color = (201, 81, 12)
"""Where they do not. Darker than `RIGHT_COLOR`, so that it shows without colour, too."""

MOST_SIDE = 384
"""Larger pictures are reduced by a whole number so that no side is longer."""

_LOW, _HIGH = 2, 98

# Places of a ramp that are told apart: an odd number, so that one of them is its middle.
_RAMP_STEPS = 255


def show_bands(names: Sequence[str]) -> tuple[int, int, int]:
    """Choose the bands to show as red, green and blue.

    Red, green and blue by their names, if each names one band (the whole name, else a word of it,
    in any case); else near infrared, red and green (the usual false colours) if those are there;
    else the first three; else the first alone, in grey.

    Parameters
    ----------
    names
        Names of the bands, in order.

    Returns
    -------
    positions
        From 0.
    """
    if not names:
        raise OptionError("a picture needs one band or more")
    words = [set(re.split(r"[\W_]+", name.casefold())) for name in names]
    for wanted in (("red", "green", "blue"), ("nir", "red", "green")):
        found = [
            [i for i, w in enumerate(words) if w == {word}]
            or [i for i, w in enumerate(words) if word in w]
            for word in wanted
        ]
        if all(len(places) == 1 for places in found):
            red, green, blue = (places[0] for places in found)
            return red, green, blue
    return (0, 1, 2) if len(names) >= 3 else (0, 0, 0)


def stretch_limits(
    images: Sequence[NDArray[Any]], bands: Sequence[int], *, fill: float | None = None
) -> NDArray[np.float64]:
    """Find the readings to draw black and full: 2nd and 98th percentile over several patches.

    Parameters
    ----------
    images
        Patches (bands, rows, cols), raw readings.
    bands
        Positions of the bands wanted.
    fill
        Reading of invalid pixels; pixels that hold it in all bands are left out, as is NaN.

    Returns
    -------
    limits
        (bands wanted, 2) float64; the second is above the first, also where a band never varies.
    """
    limits = np.empty((len(bands), 2))
    valid = [_valid(image, fill) for image in images]
    for place, band in enumerate(bands):
        parts = [image[band][mask] for image, mask in zip(images, valid, strict=True)]
        values = np.concatenate([np.zeros(0), *parts]).astype(np.float64)
        low, high = np.percentile(values, (_LOW, _HIGH)) if values.size else (0.0, 1.0)
        if not high > low:
            # A few pixels alone may differ from all the others: their range, then, if any.
            low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
        limits[place] = (low, high) if high > low else (low - 0.5, low + 0.5)
    return limits


def _valid(image: NDArray[Any], fill: float | None) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = np.isfinite(image).all(axis=0)
    if fill is not None:
        # Readings that were normalised and put back are as exact as float32 only.
        largest = np.abs(image[:, mask].astype(np.float64)).max(initial=0.0)
        slack = 1e-6 * largest if image.dtype.kind == "f" else 0.0
        mask &= (np.abs(image.astype(np.float64) - fill) > slack).any(axis=0)
    return mask


def rgb_picture(
    image: NDArray[Any], bands: Sequence[int], limits: NDArray[np.float64] | None = None
) -> bytes:
    """Draw a patch in three bands.

    Parameters
    ----------
    image
        (bands, rows, cols), raw readings; NaN is drawn black.
    bands
        Positions of the bands to show as red, green and blue.
    limits
        (3, 2): readings drawn as 0 and as 255, a band; None for this patch's own, see
        `stretch_limits`. Patches that shall compare need common ones.

    Returns
    -------
    png
        24 bits a pixel.
    """
    if limits is None:
        limits = stretch_limits([image], bands)
    chosen = np.nan_to_num(
        image[list(bands)].astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf
    )
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    # Clipped before anything is averaged: one glaring pixel shall not light up its neighbours.
    shares = (np.clip(chosen, low, high) - low) / (high - low)
    pixels = np.rint(255 * _reduced_mean(shares)).astype(np.uint8)
    return write_png(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def class_picture(classes: NDArray[np.uint8], legend: Legend) -> bytes:
    """Draw classes in the colours of their legend.

    Parameters
    ----------
    classes
        (rows, cols) uint8 class index; 255, and any index without a class, is drawn grey.

    Returns
    -------
    png
        With a palette.
    """
    palette = [*legend.colors, UNLABELLED_COLOR]
    place = np.minimum(_reduced_nearest(classes), len(legend)).astype(np.uint8)
    return write_png(place, palette)


def error_picture(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> bytes:
    """Draw where a prediction is right, where it is wrong, and where there is no label.

    Parameters
    ----------
    truth, prediction
        (rows, cols) uint8 class index; 255 in `truth` is unlabelled, in `prediction` wrong.

    Returns
    -------
    png
        With a palette: `RIGHT_COLOR`, `WRONG_COLOR`, `UNLABELLED_COLOR`.
    """
    state = np.where(truth == NODATA, 2, truth != prediction).astype(np.uint8)
    return write_png(_reduced_nearest(state), [RIGHT_COLOR, WRONG_COLOR, UNLABELLED_COLOR])


def ramp_picture(values: NDArray[np.floating[Any]], ramp: Ramp) -> bytes:
    """Draw continuous values in the colours of a ramp.

    Parameters
    ----------
    values
        (rows, cols); NaN is drawn grey, values beyond the ramp's limits in its first and last
        colour. Pixels drawn as one show the mean of those that are not NaN.
    ramp
        Colours by value. Values are rounded to one of 255 places of it.

    Returns
    -------
    png
        With a palette.
    """
    clipped = np.clip(values.astype(np.float64), ramp.minimum, ramp.maximum)
    known = ~np.isnan(clipped)
    parts = _reduced_mean(np.stack([np.where(known, clipped, 0.0), known.astype(np.float64)]))
    mean = np.divide(parts[0], parts[1], out=np.full_like(parts[0], np.nan), where=parts[1] > 0)
    last = _RAMP_STEPS - 1
    shares = (mean - ramp.minimum) / (ramp.maximum - ramp.minimum)
    place = np.where(np.isnan(mean), _RAMP_STEPS, np.rint(last * np.nan_to_num(shares)))
    palette = [*_ramp_colors(ramp), UNLABELLED_COLOR]
    return write_png(place.astype(np.uint8), palette)


def _ramp_colors(ramp: Ramp) -> list[Color]:
    at = np.linspace(0, 1, _RAMP_STEPS)
    places = [place for place, _ in ramp.stops]
    red, green, blue = (
        np.rint(np.interp(at, places, [color[i] for _, color in ramp.stops])).astype(int).tolist()
        for i in range(3)
    )
    return list(zip(red, green, blue, strict=True))


def _steps(rows: int, cols: int) -> tuple[int, int]:
    """Rows and columns that become one; a side shorter than a step stays whole, as one block."""
    step = -(-max(rows, cols) // MOST_SIDE)
    return min(step, rows), min(step, cols)


def _reduced_nearest(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take the middle of each block of (rows, cols); what is left over is cut off."""
    rows, cols = values.shape
    down, across = _steps(rows, cols)
    cut = values[: rows // down * down, : cols // across * across]
    return cut[down // 2 :: down, across // 2 :: across]


def _reduced_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the mean of each block of (bands, rows, cols); what is left over is cut off."""
    _, rows, cols = values.shape
    down, across = _steps(rows, cols)
    cut = values[:, : rows // down * down, : cols // across * across]
    blocks = cut.reshape(len(values), rows // down, down, cols // across, across)
    mean: NDArray[np.float64] = blocks.mean(axis=(2, 4))
    return mean


def write_png(pixels: NDArray[np.uint8], palette: Sequence[Color] | None = None) -> bytes:
    """Write a PNG file (ISO/IEC 15948) of 8 bits a sample; nothing in it but the pixels.

    Parameters
    ----------
    pixels
        (rows, cols, 3), or (rows, cols) places in the palette.
    """
    rows, cols = pixels.shape[:2]
    kind = 2 if palette is None else 3
    # Each row begins with the number of its filter, 0 for none.
    lines = np.zeros((rows, 1 + pixels[0].size), np.uint8)
    lines[:, 1:] = pixels.reshape(rows, -1)
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, kind, 0, 0, 0))]
    if palette is not None:
        parts.append(_chunk(b"PLTE", bytes(value for color in palette for value in color)))
    parts.append(_chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)))
    parts.append(_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )
