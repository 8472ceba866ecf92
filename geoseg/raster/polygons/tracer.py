"""Bands of rows joined: components and borders that go on, and polygons of those that do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.polygons import _join, _trace
from geoseg.raster.polygons.arcs import Arcs
from geoseg.raster.polygons.simplify import Simplifier

NODATA = _trace.NODATA
"""Pixel value that makes no polygon."""

_OPEN = ("values", "found", "lists", "pixels", "row")
"""Arrays of a tracer that say what is open."""


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
class Band:
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

    @classmethod
    def empty(cls, rows: int, cols: int, simplifier: Simplifier | None) -> Self:
        """Return a band of nodata below nodata."""
        row, nothing = np.full(cols, NODATA, np.uint8), np.full(cols, _trace.NOTHING, np.int32)
        bits = np.empty((0, 0), np.uint8)
        if simplifier is not None:
            bits = simplifier.vertices(np.zeros((rows, cols + 1), np.uint8))
        return cls(
            rows=rows,
            top=row,
            bottom=row,
            top_labels=nothing,
            bottom_labels=nothing,
            values=np.empty(0, np.uint8),
            found=np.empty((0, 4), np.int64),
            arcs=_no_pieces(),
            pieces=_no_pieces(),
            bits=bits,
        )


class Tracer:
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
        self._pieces = _no_pieces()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is open after the bands so far, by name; views, until the next band."""
        own = {name: getattr(self, f"_{name}") for name in _OPEN}
        pieces = {f"pieces_{k}": array for k, array in enumerate(self._pieces)}
        return own | pieces | {f"arcs_{k}": array for k, array in self._arcs.arrays().items()}

    def take_up(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
        """Go on from what `arrays` returned; return the last row of pixels."""
        for name in _OPEN:
            setattr(self, f"_{name}", np.ascontiguousarray(arrays[name]))
        kinds, headings, sides, firsts, corners = (arrays[f"pieces_{k}"] for k in range(5))
        self._pieces = (kinds, headings, sides, firsts, corners)
        self._arcs.take_up(
            {name[5:]: array for name, array in arrays.items() if name.startswith("arcs_")}
        )
        return self._pixels

    def join(self, band: Band) -> Iterator[Polygons]:
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
        self, band: Band, roots: NDArray[np.int32], opens: int, lists: NDArray[np.int64]
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


def _no_pieces() -> _join._Pieces:
    return (
        np.empty((0, 2), np.uint8),
        np.empty((0, 2), np.uint8),
        np.empty((0, 2), np.int32),
        np.zeros(1, np.int64),
        np.empty((0, 2), np.int32),
    )
