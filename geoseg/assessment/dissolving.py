"""Polygons that become features of many: those of a class, or those of a class within a zone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.classids import ClassIds, Ground
from geoseg.assessment.zonetable import ZoneFile
from geoseg.errors import LabelError
from geoseg.raster.cog.head import crs_definition
from geoseg.raster.cover.zones import ground_areas, plane_areas
from geoseg.raster.grid import Grid
from geoseg.raster.legend import LegendClass
from geoseg.raster.legend.palette import hex_of
from geoseg.raster.legend.polygons import CLASS, COLOR, NAME
from geoseg.raster.polygons.files.cutting import Cutter
from geoseg.raster.polygons.files.layer import PolygonFile
from geoseg.raster.polygons.tracer import Polygons, Tally


@dataclass(kw_only=True)
class Sum:
    """How much ground some polygons have."""

    polygons: int = 0
    """Number of polygons."""
    pixels: float = 0.0
    """Their area, in pixels."""
    hectares: float | None = None
    """Their area on the ellipsoid; None where pixels have no place on Earth."""


AtFeature = Callable[[int, Mapping[int, Sum]], None]
"""Called where so many features are in the file, with what they hold by class."""


def gather(file: PolygonFile, polygons: Iterable[Polygons], zones: ZoneFile | None) -> None:
    """Let polygons wait for others of their class, or of their class and zone."""
    cutter = None if zones is None else Cutter(zones.on_grid)
    for some in polygons:
        shapes, keys = file.shapes(some), some.values.astype(np.int64)
        if cutter is not None:
            shapes, which, zone = cutter.cut(shapes)
            keys = zone * 256 + keys[which]
        file.gather(shapes, keys)


def write_classes(
    file: PolygonFile,
    ids: ClassIds,
    ground: Ground,
    tally: Tally,
    *,
    done: int = 0,
    at_feature: AtFeature | None = None,
) -> int:
    """Write what was gathered by class, in the order of the classes; return how many features.

    The first `done` are in the file already.
    """
    classes = ids.classes(list(file.gathered))
    for number, c in enumerate(classes):
        if number < done:
            continue
        columns: dict[str, NDArray[Any]] = {
            **_feature(c, file.gathered[c.id]),
            "pixels": tally.pixels[c.id : c.id + 1],
        }
        if ground.known:
            columns["area_ha"] = np.round(ground.hectares(tally.areas[c.id : c.id + 1]), 6)
        if file.write_taken(file.take(c.id, c.name), columns) and at_feature is not None:
            at_feature(number + 1, {})
    return len(classes)


def write_cut(
    file: PolygonFile,
    ids: ClassIds,
    ground: Ground,
    zones: ZoneFile,
    grid: Grid,
    *,
    done: int = 0,
    sums: dict[int, Sum] | None = None,
    at_feature: AtFeature | None = None,
) -> tuple[int, dict[int, Sum]]:
    """Write what was gathered by zone and class: zone by zone, classes in their order.

    The first `done` features are in the file already, and `sums` holds what they have.

    Returns
    -------
    How many features there are, and what each class has in all of them, by its id.

    Raises
    ------
    LabelError
        Nothing lies in any zone.
    """
    gathered = file.gathered
    if not gathered:
        raise LabelError(f"no polygon lies in a zone of {zones.features.source}: nothing to write")
    crs = None if grid.crs is None else crs_definition(grid.crs)
    there: dict[int, list[int]] = {}
    for key in gathered:
        there.setdefault(key // 256, []).append(key % 256)
    sums = {} if sums is None else sums
    features = 0
    for zone, name in enumerate(zones.names):
        for c in ids.classes(there.get(zone, [])):
            features += 1
            if features <= done:
                continue
            key = zone * 256 + c.id
            shapes = file.take(key, f"{c.name} in {name}")
            columns: dict[str, NDArray[Any]] = {
                "zone": np.array([name], object if isinstance(name, str) else np.int64),
                **_feature(c, gathered[key]),
            }
            one = sums.setdefault(c.id, Sum())
            one.polygons += gathered[key]
            one.pixels += float(plane_areas(shapes)[0]) / abs(grid.transform.determinant)
            if ground.known and crs is not None:
                hectares = ground_areas(shapes, crs) / 1e4
                columns["area_ha"] = np.round(hectares, 6)
                one.hectares = (one.hectares or 0) + float(hectares[0])
            if file.write_taken(shapes, columns) and at_feature is not None:
                at_feature(features, sums)
    return features, sums


def _feature(c: LegendClass, polygons: int) -> dict[str, NDArray[Any]]:
    """Columns of a feature that is all of a class."""
    return {
        CLASS: np.array([c.id], np.int32),
        NAME: np.array([c.name], object),
        COLOR: np.array([hex_of(c.color)], object),
        "polygons": np.array([polygons], np.int64),
    }
