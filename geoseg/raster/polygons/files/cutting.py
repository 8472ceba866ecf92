"""Polygons cut at the borders of zones."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.raster.cover.region import polygonal


class Cutter:
    """Cuts polygons at the borders of zones.

    Parameters
    ----------
    zones
        (zones,) valid polygons and multipolygons, some perhaps empty.
    """

    def __init__(self, zones: NDArray[Any]) -> None:
        self._zones = zones
        self._tree = shapely.STRtree(zones)
        shapely.prepare(zones)

    def cut(
        self, shapes: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
        """Return the parts of polygons that lie in zones, and of each its polygon and its zone."""
        which, zone = self._tree.query(shapes, predicate="intersects")
        order = np.lexsort((zone, which))
        which, zone = which[order], zone[order]
        found = shapes[which]
        out = ~shapely.covers(self._zones[zone], found)
        cut = shapely.intersection(found[out], self._zones[zone][out])
        found[out] = polygonal(np.asarray(cut, dtype=object))
        parts, owner = shapely.get_parts(found, return_index=True)
        kept = shapely.area(parts) > 0
        owner = owner[kept]
        return parts[kept], which[owner], zone[owner]
