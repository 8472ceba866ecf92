"""Dates brought to the grid between their pixels: bilinear or cubic, from clear readings alone.

Clouds are masked before anything is interpolated: where its pixels lie, on the date's own grid, a
reading that is not clear is no reading, and `geoseg.raster.resampling.interpolate` leaves it out.
So no cloud bleeds into its clear neighbours, and no clear pixel is given up for the cloud beside
it. (To mask every pixel that a masked one touches would lose a rim around each hole, and more by
cubic than by bilinear; `--dilate` widens holes by wish.) A pixel of the composite is clear where
the reading in which its centre lies is, as by nearest neighbour.

What is masked grows on the date's own grid too, by at least as much ground as asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.dates import Date, Reading
from geoseg.raster.grid import Grid
from geoseg.raster.resampling.interpolate import interpolate
from geoseg.raster.resampling.lookup import Lookup
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Bands of a date that share a grid, on it."""

    places: tuple[int, ...]
    """Their positions among the date's bands."""
    date: Date
    grid: Grid
    """Where they lie."""
    offset: tuple[int, int] | None
    """Row and column there of the composite's first pixel, where the pixels of both coincide."""
    lookup: Lookup

    def read(self, window: Window, reading: Reading) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a window of the own grid: (bands, rows, cols), and what is valid and clear."""
        out = np.empty((len(self.places), window.height, window.width), reading.dtype)
        valid = self.date.read(window, None, reading, out)
        return out, np.zeros(out.shape[1:], bool) if valid is None else valid

    def place(self, window: Window, reading: Reading, out: NDArray[Any]) -> NDArray[np.bool_]:
        """Bring a window of the composite's grid into (bands, rows, cols)."""
        if self.offset is None:
            return interpolate(
                lambda box: self.read(box, reading),
                self.lookup,
                window,
                out,
                self.lookup.resampling,
            )
        there = Window(
            window.row + self.offset[0], window.col + self.offset[1], window.height, window.width
        )
        valid = np.zeros(out.shape[1:], bool)
        inside = there.intersection(self.grid.window)
        if inside is not None:
            at = inside.slices(row_origin=there.row, col_origin=there.col)
            out[(slice(None), *at)], valid[at] = self.read(inside, reading)
        return valid


@dataclass(frozen=True, kw_only=True)
class InterpolatedDate(Date):
    """A date whose readings are interpolated; `scenes` tell types and files and are not read."""

    parts: tuple[_Part, ...]
    """Its bands, a part for each size of pixels."""

    def read(
        self, window: Window, area: NDArray[np.bool_] | None, reading: Reading, out: NDArray[Any]
    ) -> NDArray[np.bool_] | None:
        """Read a window of the grid; see `Date.read`."""
        valid = np.ones((window.height, window.width), bool) if area is None else area.copy()
        for part in self.parts:
            values = np.empty((len(part.places), *valid.shape), out.dtype)
            valid &= part.place(window, reading, values)
            if not valid.any():
                return None
            for place, band in zip(part.places, values, strict=True):
                out[place] = band
        return valid


def interpolated(
    date: Date, natives: Sequence[Scene], quality: Scene | None, grid: Grid, resampling: str
) -> Date:
    """Return a date whose readings are interpolated.

    Parameters
    ----------
    date
        The date, by nearest neighbour.
    natives
        Its scenes where they lie, in the order of `date.scenes`.
    quality
        Its quality bands where they lie.
    grid
        That of the composite.
    resampling
        "bilinear" or "cubic".

    Returns
    -------
    The date itself where all its pixels coincide with the grid's.
    """
    if not any(scene.is_warped for scene in date.scenes):
        return date
    parts = tuple(_part(date, scene, quality, grid, resampling) for scene in natives)
    shown = {field.name: getattr(date, field.name) for field in fields(Date)}
    scenes = tuple(
        native.on_grid(scene.grid, resampling=resampling)
        for native, scene in zip(natives, date.scenes, strict=True)
    )
    return InterpolatedDate(**shown | {"scenes": scenes}, parts=parts)


def _part(date: Date, native: Scene, quality: Scene | None, grid: Grid, resampling: str) -> _Part:
    lookup = Lookup(source=native.grid, target=grid, resampling=resampling)
    offset = grid.offset_in(native.grid)
    reach = date.rule.reach
    if offset is None and reach:
        reach = math.ceil(reach * max(lookup.scale()))
    own = native.grid
    wide = own.crop(Window(-reach, -reach, own.height + 2 * reach, own.width + 2 * reach))
    places = tuple(
        next(i for i, band in enumerate(date.bands) if band.name == name)
        for name in native.band_names
    )
    return _Part(
        places=places,
        date=replace(
            date,
            scenes=(native.on_grid(wide),),
            bands=tuple(date.bands[place] for place in places),
            quality=None if quality is None else quality.on_grid(wide),
            rule=replace(date.rule, dilate=reach),
        ),
        grid=own,
        offset=offset,
        lookup=lookup,
    )
