"""Areas and lengths as people write them: 0.5ha, 100px, 15m."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import Grid


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number and its unit, as a person gives it."""

    value: float
    """How much, 0 or more."""
    unit: Literal["px", "m", "m2", "ha", ""]
    """Pixels, metres, square metres, hectares, or none: units of the coordinate system."""

    @classmethod
    def area(cls, text: str) -> Measure:
        """Measure of an area: 100px, 0.5ha or 450m2."""
        return cls._parse(text, ("px", "ha", "m2"), "area; write 100px, 0.5ha or 450m2")

    @classmethod
    def length(cls, text: str) -> Measure:
        """Measure of a length: 2px, 15m, or a number in units of the coordinate system."""
        found = cls._parse(text, ("px", "m", ""), "tolerance; write 2px or 15m")
        if found.value == 0:
            raise OptionError(f"'{text}' is no tolerance; leave it out, or give one above 0")
        return found

    @classmethod
    def _parse(cls, text: str, units: tuple[str, ...], wanted: str) -> Measure:
        compact = text.strip().lower().replace(" ", "").replace("²", "2")
        found = re.fullmatch(r"(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)(px|ha|m2|m|)", compact)
        if found is None or found[2] not in units or not float(found[1]) < 2**53:
            raise OptionError(f"'{text}' is no {wanted}")
        return cls(value=float(found[1]), unit=found[2])  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"


def tolerance_on(grid: Grid, wanted: Measure) -> tuple[float, tuple[float, float, float, float]]:
    """Return a tolerance, and how columns and rows become x and y in its units.

    The second is x of a column and of a row, then y of a column and of a row.

    Raises
    ------
    GridError
        Metres were asked for on a grid without coordinate system.
    """
    if wanted.unit == "px":
        return wanted.value, (1.0, 0.0, 0.0, 1.0)
    t = grid.transform
    across = up = 1.0
    if wanted.unit == "m":
        if grid.crs is None:
            raise GridError(
                "the raster has no coordinate system, so nobody knows what a metre is on it; give"
                f" the tolerance in pixels ({wanted.value:g}px)"
            )
        if grid.crs.is_geographic:
            _, south, _, north = grid.bounds()
            up = 111_320.0
            across = up * max(math.cos(math.radians((south + north) / 2)), 1e-6)
        else:
            across = up = float(grid.crs.linear_units_factor[1])
    return wanted.value, (t.a * across, t.b * across, t.d * up, t.e * up)
