"""Which polygons are made of a class raster, and how much ground they have, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geoseg.assessment.measure import Measure
from geoseg.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class VectoriseSettings:
    """What becomes polygons, as one value."""

    classes: tuple[int | str, ...] = ()
    """Ids or names of the classes that are wanted; empty for all."""
    min_area: Measure | None = None
    """Polygons smaller than this are left out."""
    simplify: Measure | None = None
    """How far borders may move; None leaves them on the edges of pixels."""
    dissolve: bool = False
    """Whether all polygons of a class are one feature; with zones, those of each zone."""
    zones: str | None = None
    """File of polygons (``FILE`` or ``FILE|layername=NAME``) in each of which the ground of every
    class is measured."""
    zone_field: str | None = None
    """Attribute that names the zones; by default their places in the file, from 1."""

    def __post_init__(self) -> None:
        if self.zone_field is not None and self.zones is None:
            raise OptionError("--zone-field names zones; it goes with --zones")
        if self.zones is not None and not self.zones.strip():
            raise OptionError("--zones names no file of polygons")

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        words: dict[str, Any] = {}
        if self.classes:
            words["classes"] = ",".join(map(str, self.classes))
        if self.min_area is not None:
            words["min-area"] = str(self.min_area)
        if self.simplify is not None:
            words["simplify"] = str(self.simplify)
        if self.dissolve:
            words["dissolve"] = True
        if self.zones is not None:
            words["zones"] = self.zones
        if self.zone_field is not None:
            words["zone-field"] = self.zone_field
        return words


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much ground some polygons have."""

    polygons: int
    """Number of polygons."""
    pixels: int
    """Their pixels."""
    hectares: float | None
    """Their area on the ellipsoid; None where pixels have no place on Earth."""
