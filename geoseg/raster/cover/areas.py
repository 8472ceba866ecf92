"""How much of each window polygons cover, exactly: areas of intersections and of their unions."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.raster.cover.region import polygonal


class Coverage:
    """Polygons in groups; tells the area that each group covers of outlines.

    Parameters
    ----------
    shapes
        (features,) valid polygons and multipolygons, some perhaps empty.
    groups
        (features, groups) bool: which groups a feature belongs to.
    """

    def __init__(self, shapes: NDArray[Any], groups: NDArray[np.bool_]) -> None:
        self._shapes = shapes
        self._groups = groups
        self._tree = shapely.STRtree(shapes)

    def areas(self, rings: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area that each group covers of each outline, what several features cover counted once.

        Outlines are best near each other, a row of patches say: large features are cut down to
        where they lie once for all of them.

        Parameters
        ----------
        rings
            (outlines, points, 2): closed rings, x and y in the coordinate system of the shapes.

        Returns
        -------
        (outlines, groups), in square units of that system.
        """
        found = np.zeros((len(rings), self._groups.shape[1]))
        if not len(rings):
            return found
        outlines = np.asarray(shapely.polygons(rings), dtype=object)
        around = shapely.convex_hull(shapely.multipoints(rings.reshape(-1, 2)))
        near = np.sort(self._tree.query(around, predicate="intersects"))
        pieces = _common(self._shapes[near], around)
        which, piece = shapely.STRtree(pieces).query(outlines, predicate="intersects")
        parts = _common(pieces[piece], outlines[which])
        size = np.asarray(shapely.area(parts))
        # What merely touches has no part. In order, so that sums have the same bits.
        kept = np.flatnonzero(size > 0)
        kept = kept[np.lexsort((piece[kept], which[kept]))]
        which, parts, size = which[kept], parts[kept], size[kept]
        member = self._groups[near[piece[kept]]]
        for group in range(found.shape[1]):
            mine = np.flatnonzero(member[:, group])
            found[:, group] = np.bincount(which[mine], size[mine], minlength=len(rings))
            held = np.bincount(which[mine], minlength=len(rings))
            ends = np.cumsum(held)
            for outline in np.flatnonzero(held > 1):
                several = parts[mine[ends[outline] - held[outline] : ends[outline]]]
                found[outline, group] = shapely.area(shapely.union_all(several))
        return found


def _common(shapes: NDArray[Any], others: Any) -> NDArray[Any]:
    """Polygons that geometries share with others."""
    return polygonal(np.asarray(shapely.intersection(shapes, others), dtype=object))
