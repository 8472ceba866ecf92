"""Statistics of a band as a value. How they are gathered, `geoseg.raster.statistics` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BandStatistics:
    """Statistics of one band over valid readings, in raw units."""

    name: str
    mean: float
    std: float
    """Of the population (divided by the count)."""
    min: float
    max: float
    percentiles: Mapping[str, float]
    """By their number as text: "1", "2", "25", "50", "75", "98", "99"."""
    count: int
    """Valid readings; a pixel counts once for every part that holds it."""
