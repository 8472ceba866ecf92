"""How a window of a raster is cut for reading. Index arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from geoseg.raster.window import Window

RECTANGLE_PIXELS = 1 << 18
"""Pixels of a rectangle, at least, where the blocks leave a choice."""


@dataclass(frozen=True)
class Cut:
    """A window cut into strips of rows, and those into rectangles."""

    window: Window
    strip_rows: int
    rectangle_rows: int
    rectangle_cols: int
    origin: tuple[int, int]
    """A row and a column at which a strip and a rectangle begin, or would outside the window."""

    def strips(self) -> Iterator[Window]:
        """Yield the strips from top to bottom."""
        w = self.window
        for top, bottom in pairwise(borders(w.row, w.row_stop, self.strip_rows, self.origin[0])):
            yield Window(top, w.col, bottom - top, w.width)

    def rectangles(self, strip: Window) -> list[Window]:
        """Return the rectangles of a strip, row by row."""
        rows = borders(strip.row, strip.row_stop, self.rectangle_rows, self.origin[0])
        cols = borders(strip.col, strip.col_stop, self.rectangle_cols, self.origin[1])
        return [
            Window(top, left, bottom - top, right - left)
            for top, bottom in pairwise(rows)
            for left, right in pairwise(cols)
        ]


def borders(start: int, stop: int, step: int, origin: int) -> list[int]:
    """Return `start`, the numbers ``origin + k · step`` between, and `stop`."""
    first = origin + ((start - origin) // step + 1) * step
    return [start, *range(first, stop, step), stop]


def plan_cut(
    window: Window,
    *,
    block_shape: tuple[int, int],
    block_origin: tuple[int, int] = (0, 0),
    target_rows: int,
    workers: int,
    rectangle_pixels: int = RECTANGLE_PIXELS,
) -> Cut:
    """Cut a window along the borders of blocks, so that no block belongs to two rectangles.

    A strip is as many rows of blocks as come nearest to `target_rows`, at least one. A rectangle is
    some columns of blocks as high as the strip; where a strip has too few of those to keep
    `workers` threads busy (blocks as wide as the file, say), it is some rows of blocks.

    Parameters
    ----------
    window
        What to cut.
    block_shape, block_origin
        Rows and columns of a block, and a row and a column at which one begins.
    target_rows
        Height of a strip to aim at.
    workers
        Threads that share a strip.
    rectangle_pixels
        Pixels of a rectangle, at least, where the blocks leave a choice.
    """
    rows, cols = block_shape
    strip_rows = rows * max(1, round(target_rows / rows))
    height = min(strip_rows, window.height)
    tasks = 2 * workers
    wide = cols * max(1, -(-rectangle_pixels // (height * cols)))
    if -(-window.width // wide) < tasks:
        wide = cols * max(1, window.width // (tasks * cols))
    across = -(-window.width // wide)
    high = strip_rows
    if across < tasks:
        high = rows * max(1, -(-height * across // (tasks * rows)))
    return Cut(window, strip_rows, min(high, strip_rows), wide, block_origin)
