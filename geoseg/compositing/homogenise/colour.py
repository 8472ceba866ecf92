"""What brings the readings of one image to a colour: a curve a band, and what is evened out after.

Knows how; what the curves are, others find: `moments`, `histogram`, `dodge`, and `fit` for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise import _kernels
from geoseg.raster.declared import declared
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

__all__ = ["MOST_CONTRAST", "Colour", "Curve", "Limits", "Line", "Local", "written_nodata"]

Limits = tuple[tuple[float, float], ...]
"""Least and greatest usual reading, a band."""

MOST_CONTRAST = 5.0
"""Wallis' adjustment raises contrast by this factor at most: where nothing is to be seen, over calm
water, it would else raise noise."""

_PARTS = 8192
"""Equal parts of a curve's range, by which the knots around a reading are found."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A reading becomes reading × gain + offset."""

    gain: float = 1.0
    """Above 0."""
    offset: float = 0.0
    """In units of the readings."""

    def __post_init__(self) -> None:
        if not (0 < self.gain < math.inf and math.isfinite(self.offset)):
            raise ValueError(f"a gain of {self.gain} and an offset of {self.offset}")

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.gain == 1 and self.offset == 0

    def at(self, readings: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what readings become, before they are rounded."""
        return readings * self.gain + self.offset


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A reading becomes what lies on straight lines between knots.

    Beyond the knots at the ends readings are moved by as much as the end: the slope of the last
    piece would be that of a few outliers.
    """

    readings: tuple[float, ...]
    """Rising; two at least."""
    becomes: tuple[float, ...]
    """One a reading, not decreasing."""

    def __post_init__(self) -> None:
        if (
            len(self.readings) < 2
            or len(self.readings) != len(self.becomes)
            or not all(a < b for a, b in pairwise(self.readings))
            or not all(a <= b for a, b in pairwise(self.becomes))
            or not all(map(math.isfinite, (*self.readings, *self.becomes)))
        ):
            raise ValueError("knots that do not rise, or that are not finite")

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.readings == self.becomes

    def at(self, readings: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what readings become, before they are rounded."""
        inside: NDArray[np.float64] = np.interp(readings, self.readings, self.becomes)
        low, high = self.readings[0], self.readings[-1]
        return inside + np.minimum(readings - low, 0) + np.maximum(readings - high, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Local:
    """What Wallis' adjustment needs, in units of the readings that the curve has changed."""

    cell: int
    """Side in pixels of the squares, counted from the image's upper left corner; between their
    centres means and deviations are interpolated, beyond the outermost they stay."""
    brightness: float
    contrast: float
    """See `geoseg.compositing.homogenise.standard.Dodge`."""
    means: NDArray[np.float64]
    """(bands, rows, cols) of squares."""
    deviations: NDArray[np.float64]
    """(bands, rows, cols) of squares."""
    mean: tuple[float, ...]
    """Of the whole image, one a band."""
    deviation: tuple[float, ...]
    """Of the whole image, one a band; a band where it is 0 is left alone."""

    def select(self, order: Sequence[int]) -> Local:
        """Keep the bands at these positions, in this order."""
        at = list(order)
        return replace(
            self,
            means=self.means[at],
            deviations=self.deviations[at],
            mean=tuple(self.mean[i] for i in at),
            deviation=tuple(self.deviation[i] for i in at),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Colour:
    """What brings one scene to a colour; a `geoseg.raster.recolour.Recolour`.

    Arithmetic is in float64. Results are rounded half to even where the type is of whole numbers,
    and readings that do not fit become the nearest that does. None becomes the nodata value:
    readings that would are moved to its nearest neighbour instead.
    """

    bands: tuple[Line | Curve, ...]
    """In the scene's order."""
    nodata: float | None
    """What marks an invalid pixel where the result is written, as `written_nodata` says; in
    units of the readings. No valid pixel becomes it."""
    local: Local | None = None
    """What is evened out after."""
    limits: Limits | None = None
    """Readings beyond these are moved to them, before all else; None for none."""

    @classmethod
    def identity(cls, scene: Scene) -> Colour:
        """Return what leaves a scene as it is (but for what is said of nodata)."""
        return cls(bands=tuple(Line() for _ in scene.bands), nodata=written_nodata(scene))

    @classmethod
    def linear(
        cls,
        scene: Scene,
        gains: Sequence[float],
        offsets: Sequence[float],
        local: Local | None = None,
    ) -> Colour:
        """Return what multiplies each band by a gain and adds an offset."""
        pairs = zip(gains, offsets, scene.bands, strict=True)
        return cls(
            bands=tuple(Line(gain=float(g), offset=float(o)) for g, o, _ in pairs),
            nodata=written_nodata(scene),
            local=local,
        )

    @property
    def is_identity(self) -> bool:
        """Whether all readings stay as they are (but for what is said of nodata)."""
        same = self.local is None and self.limits is None
        return same and all(band.is_identity for band in self.bands)

    def within(self, limits: Limits | None) -> Self:
        """Return what first moves readings beyond limits to them, a pair a band."""
        return replace(self, limits=limits)

    def select(self, order: Sequence[int]) -> Self:
        """Return what does the same to the bands at these positions, in this order."""
        local = None if self.local is None else self.local.select(order)
        limits = None if self.limits is None else tuple(self.limits[i] for i in order)
        bands = tuple(self.bands[i] for i in order)
        return replace(self, bands=bands, local=local, limits=limits)

    def apply(self, data: NDArray[Any], valid: NDArray[np.bool_], window: Window) -> int:
        """Change readings in place; safe from any thread.

        Parameters
        ----------
        data
            (bands, rows, cols) of whole or floating numbers.
        valid
            (rows, cols), True where every band has a reading; others stay as they are.
        window
            Where the pixels lie in the scene's own grid.

        Returns
        -------
        How many readings did not fit into the type and became the nearest that does.
        """
        if len(data) != len(self.bands):
            raise ValueError(f"{len(data)} bands of readings for {len(self.bands)} of a colour")
        if data.dtype.kind not in "iuf":
            raise ValueError(f"readings of type {data.dtype}")
        valid = np.ascontiguousarray(valid)
        if not valid.any():
            return 0
        if self.limits is not None:
            for readings, (low, high) in zip(data, self.limits, strict=True):
                ends = np.array([low, high]).astype(data.dtype)
                np.copyto(readings, np.clip(readings, *ends), where=valid)
        limits = _limits(data.dtype, self.nodata)
        return sum(
            self._apply(band, readings, valid, window, limits) for band, readings in enumerate(data)
        )

    def _apply(
        self,
        band: int,
        readings: NDArray[Any],
        valid: NDArray[np.bool_],
        window: Window,
        limits: NDArray[np.float64],
    ) -> int:
        curve, local = self.bands[band], self.local
        locally = local is not None and local.deviation[band] > 0
        if curve.is_identity and not locally:
            _avoid(readings, valid, limits)
            return 0
        kind = readings.dtype if readings.dtype.name in _kernels.KINDS else np.dtype(np.float64)
        # A view or another type is changed in a copy.
        values = np.ascontiguousarray(readings, kind)
        clipped = _kernels.change(
            values,
            valid,
            *_prepared(curve),
            locally,
            *(_prepared_local(local, band, window) if locally and local else _NO_LOCAL),
            limits,
            readings.dtype.kind in "iu",
        )
        if not np.may_share_memory(values, readings):
            with np.errstate(over="ignore", invalid="ignore"):  # of invalid pixels, not taken over
                back = values.astype(readings.dtype, copy=False)
            np.copyto(readings, back, where=valid)
        return int(clipped)


def written_nodata(scene: Scene) -> float | None:
    """Return the nodata value that a changed copy of a scene gets; one for all its bands.

    The scene's own, if its files declare one. Where they declare several, or mark invalid pixels by
    a mask, an alpha band or a hole between files: 0 where readings have no sign, the lowest reading
    of signed types, NaN of floating ones. None where every pixel is valid, because nothing is
    declared; floating readings may always be NaN, so they get NaN.
    """
    found = declared(scene)
    if len(found.values) == 1:
        return found.values[0]
    if scene.dtype.kind not in "iu":
        return math.nan
    if found.values or found.otherwise:
        return float(np.iinfo(scene.dtype).min)
    return None


_Numbers = NDArray[np.float64]
_Prepared = tuple[int, _Numbers, _Numbers, _Numbers, NDArray[np.int16], NDArray[np.int16]]
_PreparedLocal = tuple[_Numbers, NDArray[np.int64], _Numbers, _Numbers, _Numbers]

_NOTHING = np.zeros(0)
_NO_PLACES = np.zeros(0, np.int16)
_NO_LOCAL: _PreparedLocal = (
    _NOTHING,
    np.zeros(0, np.int64),
    _NOTHING,
    np.zeros((0, 0)),
    np.zeros((0, 0)),
)


def _limits(dtype: np.dtype[Any], nodata: float | None) -> NDArray[np.float64]:
    """Least and greatest reading of a type, what to avoid, and what to take for it instead."""
    if dtype.kind == "f":
        least, greatest = float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        least, greatest = float(low), float(high)
        if int(greatest) > high:  # 64 bits: the float above the greatest integer
            greatest = math.nextafter(greatest, 0)
    if nodata is None or not least <= nodata <= greatest:
        return np.array([least, greatest, math.nan, 0, 0])
    if dtype.kind == "f":
        value = dtype.type(nodata)
        below, above = (float(np.nextafter(value, dtype.type(end))) for end in (least, greatest))
        nodata = float(value)
    else:
        below, above = math.ceil(nodata) - 1.0, math.floor(nodata) + 1.0
    if nodata <= least:
        below = above
    if nodata >= greatest:
        above = below
    return np.array([least, greatest, nodata, above, below])


def _avoid(readings: NDArray[Any], valid: NDArray[np.bool_], limits: NDArray[np.float64]) -> None:
    """Move valid readings away from the nodata value; the others stay to the bit."""
    nodata, above = float(limits[2]), float(limits[3])
    if math.isnan(nodata):
        return
    value = readings.dtype.type(nodata if readings.dtype.kind == "f" else int(nodata))
    found = readings == value
    found &= valid
    if found.any():
        readings[found] = readings.dtype.type(above)


@lru_cache(maxsize=64)
def _prepared(curve: Line | Curve) -> _Prepared:
    """Return a curve as `_kernels.change` takes it."""
    if isinstance(curve, Line):
        kind = _kernels.KEEP if curve.is_identity else _kernels.LINE
        line = np.array([curve.gain, curve.offset], np.float64)
        return kind, line, _NOTHING, _NOTHING, _NO_PLACES, _NO_PLACES
    if curve.is_identity:
        return _kernels.KEEP, _NOTHING, _NOTHING, _NOTHING, _NO_PLACES, _NO_PLACES
    knots = np.array(curve.readings, np.float64)
    last = len(knots) - 1
    # Computed as the loop does: a knot in an earlier part then is below, one in a later part above.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # knots closer than floats
        place = (knots - knots[0]) * (_PARTS / (knots[-1] - knots[0]))
    place[0] = 0
    part = np.where(place < _PARTS, place, _PARTS - 1).astype(np.int64)
    parts = np.arange(_PARTS)
    least = np.clip(np.searchsorted(part, parts, side="left") - 1, 0, last - 1)
    most = np.clip(np.searchsorted(part, parts, side="right") - 1, 0, last - 1)
    return (
        _kernels.CURVE,
        _NOTHING,
        knots,
        np.array(curve.becomes, np.float64),
        least.astype(np.int16),
        most.astype(np.int16),
    )


def _prepared_local(local: Local, band: int, window: Window) -> _PreparedLocal:
    """Return the local adjustment of a window as `_kernels.change` takes it."""
    squares = local.means.shape[1:]
    upper, down = _between(window.row, window.height, local.cell, squares[0])
    left, across = _between(window.col, window.width, local.cell, squares[1])
    first, last = int(left[0]), int(left[-1])

    def rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
        # One column more than there are squares: the last stays.
        wide = values[:, np.minimum(np.arange(first, last + 2), squares[1] - 1)]
        above, below = wide[upper], wide[np.minimum(upper + 1, squares[0] - 1)]
        return np.ascontiguousarray(above + down[:, None] * (below - above))

    wallis = np.array(
        [
            local.brightness,
            local.contrast,
            local.mean[band],
            local.deviation[band],
            MOST_CONTRAST,
        ],
        np.float64,
    )
    return wallis, left - first, across, rows(local.means[band]), rows(local.deviations[band])


def _between(
    start: int, count: int, cell: int, squares: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For pixels in a row: the square whose centre is before each, and the way to the next."""
    place = np.clip((np.arange(start, start + count) + 0.5) / cell - 0.5, 0, squares - 1)
    before = place.astype(np.int64)
    return before, place - before
