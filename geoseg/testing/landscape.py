"""A country that does not exist: which class lies where, and in what light.

Everything is a function of the pixel's place and of the seed, so any window can be made alone, in
any order, by any thread. High ground is forest, low ground shrub, with barren rock where the strata
come out. Rivers run from left to right, with lakes, wetland, fields and towns on their banks and a
road beside them; other roads run from top to bottom. Roughness and sizes follow the real map that
`geoseg.testing.spectra` speaks of, where two pixels have the same class with a chance of 84 % side
by side, 71 % at a distance of 4, 62 % at 16 and 55 % at 64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.window import Window
from geoseg.testing.noise import UNIT, Field, Floats, Paper, make_fields, make_line

WATER, DEVELOPED, BARREN, FOREST, SHRUB, HERBACEOUS, CULTIVATED, WETLAND = range(1, 9)


def _draw(paper: Paper) -> dict[str, Floats]:
    """Draw a tile of each field of the country."""
    # Octaves of |noise| meet in the sharp lines of crests and gullies.
    crests = sum(size * np.abs(paper.noise(6, size)) for size in (160, 70, 30))
    ground = 220 * paper.noise(5, 500) - crests
    ground = (ground - ground.mean()) / ground.std()
    hillside = ground - np.roll(ground, (1, 1), (0, 1))  # light falls from the upper left
    hillside /= hillside.std()
    return {
        "forest": 0.65 * ground + 0.75 * paper.noise(2.4, 400) - 0.2 * hillside,
        "barren": 0.8 * paper.noise(4, 300) + 0.6 * paper.noise(2.8, 60, stretch=3),
        "meadow": paper.noise(3, 60),
        "light": 0.85 * hillside + 0.5 * paper.noise(2, 300),
        "greenness": paper.noise(2, 300),
    }


# Deviations above which a field makes a class of what was there.
_FOREST, _BARREN, _MEADOW = 0.0, 1.3, 2.0

_FIELDS = ("forest", "barren", "meadow", "light", "greenness")
_SPACING = (1400, 1000)
"""Rows from river to river and columns from road to road."""
_WANDER = 60
"""Deviation in pixels of both from a straight line."""
_VALLEY = 160
"""Pixels from a river within which it keeps the forest away."""
_PLAIN = 56
"""Pixels from a river within which people live and reeds grow."""
_PLOT = (12, 16)
"""Rows and columns of a field of crops."""


@lru_cache(maxsize=2)
def _fields(seed: int) -> dict[str, Field]:
    """Keep the last fields: drawing them takes longer than making a small scene."""
    return make_fields(np.random.default_rng(seed), _draw)


@dataclass(frozen=True, eq=False)
class Patch:
    """A window of the country."""

    classes: NDArray[np.uint8]
    """(rows, cols) class id."""
    light: NDArray[np.int16]
    """(rows, cols) how bright, `UNIT` a standard deviation."""
    greenness: NDArray[np.int16]
    """(rows, cols) how green, likewise."""


@dataclass(frozen=True, eq=False)
class _River:
    """A river where it crosses a window, and what lies along it: one entry a column."""

    course: Floats
    """Row of its middle."""
    aslant: Floats
    """Rows from bank to bank for every pixel across: 1 where it runs along the rows."""
    half_width: Floats
    """Pixels of water to either side of that; many where it is a lake."""
    half_plain: Floats
    """Pixels of fields to either side."""
    half_town: Floats
    """Pixels of houses to either side of the road; 0 in the open."""

    def reach(self, window: Window, distance: int) -> Window | None:
        """Return the rows of a window that come that near to the river."""
        first = max(window.row, math.floor(self.course.min()) - distance)
        stop = min(window.row_stop, math.ceil(self.course.max()) + distance + 1)
        return Window(first, window.col, stop - first, window.width) if first < stop else None

    def rows_below(self, window: Window) -> NDArray[np.int16]:
        """Return (rows, cols) signed rows from the river to each pixel of the window."""
        rows = np.arange(window.row, window.row_stop, dtype=np.float32)[:, np.newaxis]
        below: NDArray[np.int16] = np.rint(rows - self.course).astype(np.int16)
        return below


class Landscape:
    """The country of a seed.

    Parameters
    ----------
    seed
        Same seed, same country.
    first
        Row about which the first river runs, and column about which the first road does.
    """

    def __init__(self, seed: int, *, first: tuple[int, int] = (840, 300)) -> None:
        rng = np.random.default_rng((seed, 2))
        self._first = first
        self._fields = _fields(seed)
        self._courses = make_line(rng, exponent=4.5, longest=400)
        self._lakes = make_line(rng, exponent=4, longest=160)
        self._towns = make_line(rng, exponent=4, longest=120)
        self._roads = make_line(rng, exponent=4, longest=300)
        self._plots = rng.integers(0, 256, (61, 67), dtype=np.uint8)
        near = np.exp(-((np.arange(_VALLEY + 1) / 70) ** 2))
        near[-1] = 0  # stands for everything farther away
        self._valley = np.rint(-1.6 * UNIT * near).astype(np.int16)

    def read(self, window: Window) -> Patch:
        """Make a window; it may lie anywhere right of and below the origin."""
        forest, barren, meadow, light, greenness = (
            self._fields[name].read(window) for name in _FIELDS
        )
        rivers = list(self._rivers(window))
        for river in rivers:
            if (valley := river.reach(window, _VALLEY)) is not None:
                distance = np.abs(river.rows_below(valley))
                inside = valley.slices(row_origin=window.row, col_origin=window.col)
                forest[inside] += self._valley[np.minimum(distance, _VALLEY)]
        classes = np.subtract(SHRUB, forest > _FOREST * UNIT, dtype=np.uint8)
        classes[barren > _BARREN * UNIT] = BARREN
        classes[(meadow > _MEADOW * UNIT) & (classes == SHRUB)] = HERBACEOUS
        self._build_roads(classes, window)
        for river in rivers:
            if (plain := river.reach(window, _PLAIN)) is not None:
                inside = plain.slices(row_origin=window.row, col_origin=window.col)
                self._settle(
                    Patch(classes[inside], light[inside], greenness[inside]),
                    river,
                    plain,
                    np.divide(meadow[inside], UNIT, dtype=np.float32),
                )
        return Patch(classes, light, greenness)

    def _rivers(self, window: Window) -> Iterator[_River]:
        farthest = 5 * _WANDER + _VALLEY
        for number, row in _within(
            window.row - farthest, window.row_stop + farthest, self._first[0], _SPACING[0]
        ):
            course, lakes, towns = (
                line.read(number, window.col, window.width + 1)
                for line in (self._courses, self._lakes, self._towns)
            )
            yield _River(
                course=_WANDER * course[:-1] + row,
                aslant=np.hypot(1, _WANDER * np.diff(course)),
                half_width=1.2 + np.clip(10 * (lakes[:-1] - 1.3), 0, 16),
                half_plain=np.clip(24 + 12 * towns[:-1], 8, 48),
                half_town=np.clip(24 * (towns[:-1] - 1.2), 0, 22),
            )

    def _settle(self, patch: Patch, river: _River, window: Window, roughness: Floats) -> None:
        """Put fields, reeds, houses, the road and at last the water along a river."""
        classes = patch.classes
        below = river.rows_below(window).astype(np.float32)
        near = np.abs(below) <= _PLAIN
        away = np.where(near, np.abs(below) / river.aslant, np.inf)
        rows = np.arange(window.row, window.row_stop) // _PLOT[0] % self._plots.shape[0]
        cols = np.arange(window.col, window.col_stop) // _PLOT[1] % self._plots.shape[1]
        plot = self._plots[np.ix_(rows, cols)]
        plain = away < river.half_plain + 6 * roughness
        crops = plain & (plot < 110)
        classes[crops] = CULTIVATED
        classes[plain & (plot > 225)] = HERBACEOUS
        # A field is as green all over as what grows on it.
        patch.greenness[crops] //= 3
        patch.greenness[crops] += (plot[crops].astype(np.int16) - 55) * (UNIT // 40)
        classes[away < river.half_width + 2.5 + 2.5 * roughness] = WETLAND
        town = river.half_town + 3 * roughness * (river.half_town > 0)
        from_road = np.abs(below - 0.6 * river.half_plain) / river.aslant
        classes[near & (from_road < np.maximum(town, 1.2))] = DEVELOPED
        classes[away < river.half_width * (1 + 0.2 * roughness)] = WATER

    def _build_roads(self, classes: NDArray[np.uint8], window: Window) -> None:
        """Draw the roads from top to bottom, two pixels wide."""
        farthest = 5 * _WANDER
        for number, start in _within(
            window.col - farthest, window.col_stop + farthest, self._first[1], _SPACING[1]
        ):
            course = self._roads.read(number, window.row, window.height)
            left = np.rint(_WANDER * course + start).astype(np.intp) - window.col
            for col in (left, left + 1):
                inside = (col >= 0) & (col < window.width)
                classes[np.nonzero(inside)[0], col[inside]] = DEVELOPED


def _within(start: int, stop: int, first: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield those of first, first + step, … that lie in start … stop, with their numbers from 0."""
    for number in range(max(0, -(-(start - first) // step)), (stop - first) // step + 1):
        yield number, first + number * step
