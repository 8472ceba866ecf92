"""What a class raster's pixels are on their way to polygons: ids, names, colours, areas."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.measure import Measure
from geoseg.errors import GridError, LabelError
from geoseg.raster.cover.ellipsoid import PixelAreas, RowAreas
from geoseg.raster.grid import Grid
from geoseg.raster.legend import NODATA, Color, Legend, LegendClass
from geoseg.raster.legend.palette import class_colors
from geoseg.raster.legend.polygons import color_texts
from geoseg.raster.polygons.stream import AREA_BLOCK
from geoseg.raster.scene import Pixels
from geoseg.raster.window import Window

_AREA_BITS = 26
"""Areas are counted in this power of two of parts of a usual pixel, so that sums are exact."""


class ClassIds:
    """Pixels to the ids of wanted classes, and ids to names and colours.

    Parameters
    ----------
    source
        The raster, for errors.
    legend
        Its classes; None where it names none.
    wanted
        Ids or names of classes; empty for all.

    Attributes
    ----------
    names
        (256,) names by id.
    legend
        The wanted ones of its classes; None where it names none.

    Raises
    ------
    LabelError
        A class is none.
    """

    names: NDArray[Any]
    legend: Legend | None

    def __init__(self, source: str, legend: Legend | None, wanted: tuple[int | str, ...]) -> None:
        self._source = source
        names = {} if legend is None else {c.id: c.name for c in legend.classes}
        self.names = np.array([names.get(i, f"class {i}") for i in range(256)], dtype=object)
        self.legend = legend
        self._lut: NDArray[np.uint8] | None = None
        if wanted:
            self._lut = np.full(256, NODATA, np.uint8)
            for item in wanted:
                one = self._id(item, legend)
                self._lut[one] = one
            if legend is not None:
                kept = [c for c in legend.classes if self._lut[c.id] != NODATA]
                self.legend = Legend(tuple(kept))
        known = () if legend is None else legend.classes
        self._colors: dict[int, Color] = {c.id: c.color for c in known}
        self._texts = color_texts(self._colors)

    def is_wanted(self, one: int) -> bool:
        """Tell whether a class is to be written."""
        return self._lut is None or bool(self._lut[one] != NODATA)

    def colors(self, ids: NDArray[np.uint8]) -> NDArray[Any]:
        """Colours as #rrggbb; those of classes without one are found as they come."""
        news = [i for i in np.unique(ids).tolist() if i not in self._colors]
        if news:
            if self.legend is None:  # as they would come if all were there
                news = [i for i in range(max(news) + 1) if i not in self._colors]
            olds = list(self._colors)
            found = class_colors(
                [self.names[i] for i in (*olds, *news)],
                [*self._colors.values(), *([None] * len(news))],
            )
            self._colors |= dict(zip(news, found[len(olds) :], strict=True))
            self._texts = color_texts(self._colors)
        return np.asarray(self._texts[ids], dtype=object)

    @property
    def found_colors(self) -> tuple[tuple[int, Color], ...]:
        """Colours so far, by id, in the order in which they were found."""
        return tuple(self._colors.items())

    def take_up(self, colors: Iterable[tuple[int, Iterable[int]]]) -> None:
        """Go on from colours that an earlier run had found."""
        self._colors = {one: (red, green, blue) for one, (red, green, blue) in colors}
        self._texts = color_texts(self._colors)

    def classes(self, ids: list[int]) -> list[LegendClass]:
        """Classes of ids: those of the legend in its order, then others by their ids."""
        known = [] if self.legend is None else [c for c in self.legend.classes if c.id in ids]
        others = sorted(set(ids) - {c.id for c in known})
        self.colors(np.array(others, np.uint8))
        return known + [LegendClass(i, self.names[i], self._colors[i]) for i in others]

    def _id(self, item: int | str, legend: Legend | None) -> int:
        if legend is None:
            if isinstance(item, str):
                raise LabelError(f"no class is named {item!r}: {self._source} names no classes")
            if not 0 <= item < NODATA:
                raise LabelError(f"no class has the id {item}; ids are from 0 to 254")
            return item
        if isinstance(item, str):
            return legend.ids[legend.index_of_name(item)]
        return legend.ids[legend.index_of(item)]

    def all_ids(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[np.uint8], ...], NDArray[np.bool_]]:
        """Turn what was read into ids, wanted or not, 255 where there is none."""
        del window
        values, valid = pixels[0].data[0], pixels[0].valid
        if values.dtype != np.uint8:
            given = values
            with np.errstate(invalid="ignore"):  # NaN is nodata
                values = given.astype(np.uint8)
            wrong = valid & (values != given)
            if wrong.any():
                raise LabelError(
                    f"{self._source}: {given[wrong][0]:g} is no class id, which are from 0 to 254:"
                    " this is no class raster"
                )
        if not valid.all():
            values = np.where(valid, values, np.uint8(NODATA))
        return (values,), valid

    def convert(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[np.uint8], ...], NDArray[np.bool_]]:
        """Turn what was read into wanted ids, 255 where there is none (in the reading threads)."""
        (values,), valid = self.all_ids(pixels, window)
        return (values if self._lut is None else self._lut[values],), valid


class Ground:
    """Areas of pixels on the ellipsoid, in whole numbers of a small unit.

    Parameters
    ----------
    grid
        Of the raster.

    Attributes
    ----------
    notes
        Why there are no areas, in words; none where there are.
    """

    notes: tuple[str, ...]

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.notes = ()
        self._areas: PixelAreas | None = None
        self._unit = 1.0
        try:
            self._areas = PixelAreas(grid)
            middle = self._areas.rows(grid.height // 2, grid.height // 2 + 1)
            self._unit = float(middle.at(np.array([grid.width // 2]))[0, 0]) / 2**_AREA_BITS
        except GridError as error:
            self.notes = (f"areas are in pixels alone: {error}",)
            self._why = error
        blocks = np.arange(0, grid.width, AREA_BLOCK)
        self._cols = (blocks + np.minimum(blocks + AREA_BLOCK, grid.width)) // 2

    @property
    def known(self) -> bool:
        """Whether pixels have an area on Earth."""
        return self._areas is not None

    def rows(self, first: int, stop: int) -> NDArray[np.int64]:
        """(rows, blocks) areas of pixels in the middle of blocks of columns."""
        if self._areas is None:
            raise self._why
        areas = self._areas.rows(first, stop).at(self._cols)
        return np.ascontiguousarray(np.rint(areas / self._unit), np.int64)

    def row_areas(self, first: int, stop: int) -> RowAreas:
        """Areas of pixels of some rows in square metres; of 1 where there is no place on Earth."""
        if self._areas is None:
            return RowAreas(np.ones((stop - first, 2)), 62)
        return self._areas.rows(first, stop)

    def hectares(self, areas: NDArray[Any]) -> NDArray[np.float64]:
        """Areas in hectares."""
        return np.asarray(areas * (self._unit / 1e4), np.float64)

    def hectares_of(self, area: float) -> float | None:
        """Return one area in hectares; None where pixels have none."""
        return float(area * self._unit / 1e4) if self.known else None

    def least(self, area: Measure | None) -> tuple[int, int]:
        """Least pixels and least area of a polygon.

        Raises
        ------
        GridError
            It is an area on Earth, and pixels have none.
        """
        if area is None:
            return 0, 0
        if area.unit == "px":
            return math.ceil(area.value), 0
        if self._areas is None:
            raise GridError(f"{self._why}; give the least area in pixels ({area.value:g}px)")
        metres = area.value * (1e4 if area.unit == "ha" else 1.0)
        # A millionth less: what is as large to the last digit shall not fall for its rounding.
        return 0, math.ceil(metres / self._unit * (1 - 1e-6))
