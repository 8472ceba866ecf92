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
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.polygons import _join, _trace
from geoseg.raster.polygons.arcs import Arcs
from geoseg.raster.polygons.simplify import Simplifier

NODATA = _trace.NODATA
"""Pixel value that makes no polygon."""

_BAND_PIXELS = 1 << 19
_LEAST_BAND_ROWS = 32
AREA_BLOCK = 64
"""Columns of a row whose pixels are taken to have the same area."""

PixelAreas = Callable[[int, int], NDArray[np.int64]]
"""From a first row and the row after the last to (rows, blocks of `AREA_BLOCK` columns) areas of a
pixel, in any unit so small that they are whole numbers: their sums then depend on no order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Polygons:
    """Some polygons, in the order of the whole."""

    values: NDArray[np.uint8]
    """(polygons,) their pixels."""
    pixels: NDArray[np.int64]
    """(polygons,) how many there are."""
    areas: NDArray[np.int64]
    """(polygons,) their areas, summed pixel by pixel."""
    points: NDArray[np.int32]
    """(points, 2) column and row of corners, ring by ring, each closed."""
    ring_ends: NDArray[np.int64]
    """(rings + 1,) places in `points`; ring k is from entry k to entry k + 1."""
    polygon_ends: NDArray[np.int64]
    """(polygons + 1,) places in `ring_ends`, likewise; the first ring of each is the outer one."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass(kw_only=True, eq=False)
class Tally:
    """What was found, by pixel value; filled while polygons come out."""

    polygons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """(256,) polygons that came out."""
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """(256,) their pixels."""
    areas: NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))
    """(256,) their areas."""
    left_out: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """(256,) components left out for being small."""
    left_out_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """(256,) their pixels."""
    left_out_areas: NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))
    """(256,) their areas."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Band:
    """What a worker found in a band."""

    rows: int
    top: NDArray[np.uint8]
    """(cols,) pixels of the first row."""
    bottom: NDArray[np.uint8]
    """(cols,) pixels of the last row."""
    top_labels: NDArray[np.int32]
    bottom_labels: NDArray[np.int32]
    values: NDArray[np.uint8]
    """(components,) their pixels."""
    found: NDArray[np.int64]
    """(components, 4) as from `measure_band`."""
    arcs: _join._Pieces
    """What is whole within the band."""
    pieces: _join._Pieces
    """What goes on above or below."""
    bits: NDArray[np.uint8]
    """Which corners are vertices, for the simplifier."""


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

    Yields
    ------
    Polygons
        Those that were finished by a band, perhaps none.
    """
    tracer = _Tracer(cols, least_pixels, least_area, simplifier, tally or Tally())
    height = band_rows or max(_LEAST_BAND_ROWS, _BAND_PIXELS // cols)
    waiting: deque[Future[_Band]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="polygons") as pool:
        try:
            first = 0
            for band, is_end in _bands(rows, cols, height):
                count = len(band) - 1
                # The row of nodata that ends the raster has no areas.
                known = None if areas is None or is_end else areas(first, first + count)
                waiting.append(pool.submit(_find, band, first, known, simplifier))
                first += count
                if len(waiting) > workers:
                    yield from tracer.join(waiting.popleft().result())
            while waiting:
                yield from tracer.join(waiting.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)


def _bands(
    rows: Iterable[NDArray[np.uint8]], cols: int, height: int
) -> Iterator[tuple[NDArray[np.uint8], bool]]:
    """Cut rows into bands of `height`, each with the row above; at the end comes one of nodata."""
    band = np.full((1 + height, cols), NODATA, np.uint8)
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
) -> _Band:
    """Look at one band (runs in a worker)."""
    rows, cols = len(band) - 1, band.shape[1]
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
    return _Band(
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


class _Tracer:
    """Joins bands, and finishes what does not go on."""

    def __init__(
        self,
        cols: int,
        least_pixels: int,
        least_area: int,
        simplifier: Simplifier | None,
        tally: Tally,
    ) -> None:
        self._cols = cols
        self._least_pixels, self._least_area = least_pixels, least_area
        self._simplifier = simplifier
        self._tally = tally
        self._arcs = Arcs(cols + 1)
        # Of the components that may go on: their pixels, measures, and lists of arcs.
        self._values = np.empty(0, np.uint8)
        self._found = np.empty((0, 4), np.int64)
        self._lists = np.empty((0, 2), np.int64)
        # The last row: pixels, and the places of their components in the arrays above.
        self._pixels = np.full(cols, NODATA, np.uint8)
        self._row = np.full(cols, _trace.NOTHING, np.int32)
        self._pieces: _join._Pieces = (
            np.empty((0, 2), np.uint8),
            np.empty((0, 2), np.uint8),
            np.empty((0, 2), np.int32),
            np.zeros(1, np.int64),
            np.empty((0, 2), np.int32),
        )

    def join(self, band: _Band) -> Iterator[Polygons]:
        """Take the next band, and give back the polygons that are finished."""
        opens, labels = len(self._values), len(band.values)
        roots = _join.unite(self._pixels, self._row, band.top, band.top_labels, opens, labels)
        values = np.concatenate([self._values, band.values])
        found = np.concatenate([self._found, band.found])
        lists = np.concatenate([self._lists, np.full((labels, 2), -1, np.int64)])
        _join.merge(roots, found, lists, self._arcs.following)
        self._add_arcs(band, roots, opens, lists)

        row = _lookup(band.bottom_labels, roots[opens:])
        is_open = np.zeros(len(roots), np.bool_)
        is_open[row[row >= 0]] = True
        done = np.flatnonzero((roots == np.arange(len(roots))) & ~is_open)
        done = done[np.lexsort((found[done, 3], found[done, 2]))]
        yield from self._finish(values[done], found[done], lists[done, 0])

        kept = np.flatnonzero(is_open)
        places = np.full(len(roots), -1, np.int32)
        places[kept] = np.arange(len(kept))
        places = places[roots]
        self._values, self._found, self._lists = values[kept], found[kept], lists[kept]
        self._row, self._pixels = _lookup(row, places), band.bottom
        kinds, headings, sides, firsts, corners = self._pieces
        self._pieces = (kinds, headings, _lookup(sides, places), firsts, corners)
        self._arcs.clear(self._lists)

    def _add_arcs(
        self, band: _Band, roots: NDArray[np.int32], opens: int, lists: NDArray[np.int64]
    ) -> None:
        """Join pieces of borders, and add what is whole to the lists of its components."""

        def known(sides: NDArray[np.int32]) -> NDArray[np.int32]:
            found = _lookup(sides, roots[opens:])
            above = sides < _trace.NOTHING
            found[above] = roots[self._row[-2 - sides[above]]]
            return found

        olds = self._pieces
        news = band.pieces
        chained = _join.chain_pieces(
            np.concatenate([olds[0], news[0]]),
            np.concatenate([olds[1], news[1]]),
            np.concatenate([_lookup(olds[2], roots), known(news[2])]),
            np.concatenate([olds[3], news[3][1:] + olds[3][-1]]),
            np.concatenate([olds[4], news[4]]),
            len(olds[0]),
            self._cols,
        )
        is_open = (chained[0] == _trace.BOTTOM).any(axis=1)
        self._pieces = _join.take_pieces(*chained, is_open)
        whole = _join.take_pieces(*chained, ~is_open)
        if self._simplifier is not None:
            self._simplifier.keep(band.bits)
            whole = self._simplifier.simplify(whole)
        kinds, headings, sides, firsts, corners = band.arcs
        self._arcs.add((kinds, headings, known(sides), firsts, corners), lists)
        self._arcs.add(whole, lists)

    def _finish(
        self, values: NDArray[np.uint8], found: NDArray[np.int64], heads: NDArray[np.int64]
    ) -> Iterator[Polygons]:
        """Make polygons of components that are finished."""
        wanted = (found[:, 0] >= self._least_pixels) & (found[:, 1] >= self._least_area)
        small, tally = ~wanted, self._tally
        tally.polygons += np.bincount(values[wanted], minlength=256)
        tally.left_out += np.bincount(values[small], minlength=256)
        for counts, sums, which in (
            (tally.pixels, tally.areas, wanted),
            (tally.left_out_pixels, tally.left_out_areas, small),
        ):
            np.add.at(counts, values[which], found[which, 0])
            np.add.at(sums, values[which], found[which, 1].astype(np.float64))
        if small.any():
            self._arcs.pass_over(heads[small])
        if wanted.any():
            points, ring_ends, polygon_ends = self._arcs.polygons(heads[wanted])
            yield Polygons(
                values=values[wanted],
                pixels=found[wanted, 0],
                areas=found[wanted, 1],
                points=points,
                ring_ends=ring_ends,
                polygon_ends=polygon_ends,
            )


def _lookup(places: NDArray[np.int32], table: NDArray[np.int32]) -> NDArray[np.int32]:
    """Look up what is not negative; the rest becomes `NOTHING`."""
    found = np.full(places.shape, _trace.NOTHING, np.int32)
    known = places >= 0
    found[known] = table[places[known]]
    return found
