"""Class rasters to polygons: rows in from top to bottom, polygons out as they are finished.

**What comes out.** A polygon for every 4-connected component of equal pixels, its outer ring first
and then its holes, in corners of pixels. Pixels that touch at a corner alone are two polygons that
touch there; a component that touches itself has a hole that touches its outer ring. So all polygons
are valid. Where three or four of them (or of them and what is outside) meet, each has a vertex, so
that neighbours share their borders vertex for vertex. Neither the height of bands nor the number of
workers changes anything, the order included: by a component's last row, then by its first pixel.

**How.** Workers find the components of a band of rows and follow the borders in it. Pieces of
borders and components that go on in the next band are joined there. A component that does not is
finished, and so are all arcs around it.

**Memory** is that of some bands, and of the borders of components that are not finished: it does
not grow with the height of the raster as such, but a background that reaches from the first to the
last row keeps what lies around it and in it. Knows no files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.polygons import _join, _trace
from geoseg.raster.polygons.simplify import Simplifier
from geoseg.raster.polygons.tracer import NODATA, Band, Polygons, Tally, Tracer

_BAND_PIXELS = 1 << 19
_LEAST_BAND_ROWS = 32
AREA_BLOCK = 64
"""Columns of a row whose pixels are taken to have the same area."""

PixelAreas = Callable[[int, int], NDArray[np.int64]]
"""From a first row and the row after the last to (rows, blocks of `AREA_BLOCK` columns) areas of a
pixel, in any unit so small that they are whole numbers: their sums then depend on no order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Border:
    """Where one band ends and the next begins: all that tracing needs to go on from there."""

    row: int
    """Rows above it."""
    arrays: Mapping[str, NDArray[Any]]
    """What is open there, by name; views that are good until the next band is joined."""


def trace_polygons(
    rows: Iterable[NDArray[np.uint8]],
    cols: int,
    *,
    areas: PixelAreas | None = None,
    least_pixels: int = 0,
    least_area: int = 0,
    simplifier: Simplifier | None = None,
    tally: Tally | None = None,
    workers: int = 4,
    band_rows: int | None = None,
    again: Border | None = None,
    at_border: Callable[[int, Callable[[], Border]], None] | None = None,
) -> Generator[Polygons, None, None]:
    """Turn rows of classes into polygons.

    Parameters
    ----------
    rows
        Arrays (some rows, cols), uint8, from the top; 255 is nodata. They are free to be changed
        when the next is asked for.
    cols
        Columns of the raster.
    areas
        Areas of pixels; None counts each as 1.
    least_pixels, least_area
        Components of fewer pixels, or of less area, make no polygon.
    simplifier
        Makes borders simpler; None leaves every turn of them.
    tally
        To be filled with what was found.
    workers
        Threads that label and follow borders.
    band_rows
        Rows of a band; None for as many as make a good size.
    again
        A border from which to go on: `rows` then begins there, and tally and simplifier hold what
        they held there.
    at_border
        Called with a row when all that was finished above it has been taken by the consumer, and
        with what says what is open there, until the next band.

    Yields
    ------
    Polygons
        Those that were finished by a band, perhaps none.
    """
    tracer = Tracer(cols, least_pixels, least_area, simplifier, tally or Tally())
    first, above = 0, np.full(cols, NODATA, np.uint8)
    if again is not None:
        first, above = again.row, tracer.take_up(again.arrays)
    height = band_rows or max(_LEAST_BAND_ROWS, _BAND_PIXELS // cols)
    waiting: deque[tuple[Future[Band], int]] = deque()

    def joined() -> Iterator[Polygons]:
        future, stop = waiting.popleft()
        yield from tracer.join(future.result())
        if at_border is not None and stop >= 0:
            at_border(stop, lambda: Border(row=stop, arrays=tracer.arrays()))

    with ThreadPoolExecutor(workers, thread_name_prefix="polygons") as pool:
        try:
            for band, is_end in _bands(rows, above, height):
                count = len(band) - 1
                # The row of nodata that ends the raster has no areas, and nothing goes on from it.
                known = None if areas is None or is_end else areas(first, first + count)
                future = pool.submit(_find, band, first, known, simplifier)
                waiting.append((future, -1 if is_end else first + count))
                first += count
                if len(waiting) > workers:
                    yield from joined()
            while waiting:
                yield from joined()
        finally:
            pool.shutdown(cancel_futures=True)


def _bands(
    rows: Iterable[NDArray[np.uint8]], above: NDArray[np.uint8], height: int
) -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """Cut rows into bands of `height`, each with the row above; at the end comes one of nodata."""
    cols = len(above)
    band = np.empty((1 + height, cols), np.uint8)
    band[0] = above
    filled = 1
    for part in rows:
        taken = 0
        while taken < len(part):
            count = min(len(part) - taken, 1 + height - filled)
            band[filled : filled + count] = part[taken : taken + count]
            filled, taken = filled + count, taken + count
            if filled == 1 + height:
                yield band, False
                last, band, filled = band[-1], np.empty_like(band), 1
                band[0] = last
    if filled > 1:
        band = band[:filled]
        yield band, False
    end = np.full((2, cols), NODATA, np.uint8)
    end[0] = band[filled - 1]
    yield end, True


def _find(
    band: NDArray[np.uint8],
    first_row: int,
    areas: NDArray[np.int64] | None,
    simplifier: Simplifier | None,
) -> Band:
    """Look at one band (runs in a worker)."""
    rows, cols = len(band) - 1, band.shape[1]
    if bool((band == NODATA).all()):
        return Band.empty(rows, cols, simplifier)
    labels, count = _trace.label_band(band)
    if areas is None:
        areas = np.ones((rows, -(-cols // AREA_BLOCK)), np.int64)
    found = np.empty((count, 4), np.int64)
    _trace.measure_band(labels, areas, AREA_BLOCK, first_row, found)
    edges, turns, ends = _trace.find_edges(band)
    pieces = _trace.trace_band(band, labels, edges, turns, ends, first_row)
    kinds = pieces[0]
    whole = (kinds[:, 0] == _trace.CLOSED) | ((kinds == _trace.NODE).all(axis=1))
    arcs, loose = _join.take_pieces(*pieces, whole), _join.take_pieces(*pieces, ~whole)
    bits = np.empty((0, 0), np.uint8)
    if simplifier is not None:
        bits = simplifier.vertices(edges[:-1])
        arcs = simplifier.simplify(arcs, bits, first_row)
    return Band(
        rows=rows,
        top=band[1].copy(),
        bottom=band[-1].copy(),
        top_labels=labels[0].copy(),
        bottom_labels=labels[-1].copy(),
        values=band[1:].reshape(-1)[found[:, 3] - first_row * cols],
        found=found,
        arcs=arcs,
        pieces=loose,
        bits=bits,
    )
