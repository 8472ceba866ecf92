"""Statistics of bands as they stand in ``dataset.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from geoseg.raster.bandstatistics import BandStatistics


def statistics_to_json(band: BandStatistics) -> dict[str, Any]:
    """Plain JSON of a band's statistics; null for what is not known."""
    return {
        "name": band.name,
        **{key: _json_number(getattr(band, key)) for key in ("mean", "std", "min", "max")},
        "percentiles": {p: _json_number(value) for p, value in band.percentiles.items()},
        "count": band.count,
    }


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def statistics_of_json(band: Mapping[str, Any]) -> BandStatistics:
    """Statistics of a band from JSON; NaN for what is not known."""
    return BandStatistics(
        name=str(band["name"]),
        **{key: _number(band[key]) for key in ("mean", "std", "min", "max")},
        percentiles={str(p): _number(value) for p, value in band["percentiles"].items()},
        count=int(band["count"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
