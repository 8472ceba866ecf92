"""Which windows of a grid are asked for one by one: window arithmetic under the server's limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.errors import OptionError
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

MOST_BYTES = 48 << 20
"""Uncompressed, of an answer (Google's limit of computePixels)."""
MOST_SIDE = 32_768
"""Pixels along a side of an answer."""
MOST_BANDS = 1_024
"""Of an answer."""
MOST_AT_ONCE = 40
"""Requests at once, by Google's ordinary quota."""
LEAST_SIDE = 16
"""Windows are not split below; what is too much even then is no matter of size."""
SIDE = 1_024
"""Of a window, by default: some MB, and few repeated pixels when one fails."""
MOST_WINDOWS = 100_000
"""Of a download: more take days, and as many files."""
MOST_PIXELS = 20_000_000_000
"""Of a download, 141,000 along a side: a composite of hundreds of GB."""
MOST_EXPORTED = 10_000_000_000_000
"""Pixels of an export, by Google's limit of `maxPixels`."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Something that is fetched for every window: an answer's bands."""

    key: str
    """Its name: "composite", "labels"."""
    dtype: np.dtype[np.void]
    """Of a pixel, a field a band, as the server sends it."""

    def __post_init__(self) -> None:
        bands = len(self.dtype.names or ())
        if bands > MOST_BANDS:
            raise OptionError(
                f"{bands} bands are more than the {MOST_BANDS} that Earth Engine sends at once; "
                "choose fewer (--bands)"
            )


def window_side(layers: Sequence[Layer], wanted: int | None = None) -> int:
    """Return the side of the windows: as wanted, but no more than the server sends.

    Parameters
    ----------
    layers
        What is fetched.
    wanted
        Rows and columns; `SIDE` by default.
    """
    pixel = max(layer.dtype.itemsize for layer in layers)
    most = min(MOST_SIDE, math.isqrt(MOST_BYTES // pixel))
    side = min(SIDE if wanted is None else wanted, most)
    return max(LEAST_SIDE, side)


def check_size(grid: Grid, side: int) -> None:
    """Refuse a grid that is too large to be fetched, before anything is asked.

    Parameters
    ----------
    grid
        What is to be fetched.
    side
        Rows and columns of a window.

    Raises
    ------
    OptionError
        It has more than `MOST_PIXELS`, or takes more than `MOST_WINDOWS`.
    """
    number = math.ceil(grid.height / side) * math.ceil(grid.width / side)
    if number <= MOST_WINDOWS and grid.window.area <= MOST_PIXELS:
        return
    what = (
        f"{grid.width:,} × {grid.height:,} px are too many to fetch: they take {number:,} requests "
        f"of {side} × {side} px"
    )
    if grid.window.area <= MOST_PIXELS:
        raise OptionError(f"{what}, {MOST_WINDOWS:,} at most; choose a larger --request-size")
    todo = "choose larger pixels (--scale), or a smaller --region"
    if grid.window.area <= MOST_EXPORTED:
        todo += "; or let --export write to Google Drive or Cloud Storage"
    raise OptionError(f"{what}; {todo}")


def check_exported(grid: Grid) -> None:
    """Refuse a grid that is too large to be exported, before anything is asked.

    Raises
    ------
    OptionError
        It has more than `MOST_EXPORTED` pixels.
    """
    if grid.window.area > MOST_EXPORTED:
        raise OptionError(
            f"{grid.width:,} × {grid.height:,} px are more than Earth Engine exports "
            f"({MOST_EXPORTED:,}); choose larger pixels (--scale), or a smaller --region"
        )


def windows(grid: Grid, side: int, area: Region | None, origin: tuple[int, int]) -> list[Window]:
    """Cut a grid into windows, row by row; those without a pixel of the area are left out.

    Parameters
    ----------
    grid
        What is cut.
    side
        Rows and columns of a window; the last ones may have fewer.
    area
        Where to work, on a grid of which this one is a part.
    origin
        Row and column there of this grid's first pixel.
    """
    found = []
    for row in range(0, grid.height, side):
        for col in range(0, grid.width, side):
            window = Window(row, col, min(side, grid.height - row), min(side, grid.width - col))
            if area is None or area.mask(moved(window, origin)).any():
                found.append(window)
    return found


def moved(window: Window, origin: tuple[int, int]) -> Window:
    """Return a window's place on the grid of which this one is a part."""
    return Window(window.row + origin[0], window.col + origin[1], window.height, window.width)


def quarters(window: Window) -> list[Window]:
    """Cut a window in four, or in two where it is a single row or column; none of a pixel."""
    if window.area == 1:
        return []
    rows = _halves(window.row, window.height)
    cols = _halves(window.col, window.width)
    return [Window(row, col, height, width) for row, height in rows for col, width in cols]


def _halves(first: int, length: int) -> list[tuple[int, int]]:
    half = (length + 1) // 2
    return [(first, half), (first + half, length - half)] if length > 1 else [(first, length)]
