"""Polygons and points with attributes as GeoPackages that open styled in QGIS."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from geoseg.errors import OutputError
from geoseg.raster.cog.head import crs_definition
from geoseg.raster.legend.layerstyle import NO_DATE, is_of_raster, put_inside
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import no_space
from geoseg.raster.vector.options import configured


def write_footprints(
    path: str | Path,
    layer: str,
    columns: Mapping[str, Sequence[Any] | NDArray[Any]],
    polygons: Sequence[Sequence[tuple[float, float]]] | NDArray[Any],
    crs: CRS | None,
    *,
    style_qml: str | None = None,
    overwrite: bool = False,
    metadata: Mapping[str, str] | None = None,
    beside: Mapping[Path, str] | None = None,
) -> None:
    """Write polygons with attributes as a GeoPackage that opens styled in QGIS.

    Parameters
    ----------
    path
        Target, ``.gpkg``. A style goes beside it as ``.qml``, which QGIS applies on opening; where
        that is the style of a raster, which stays, it goes into the file.
    layer
        Name of the layer.
    columns
        Attributes: a value for each polygon. None (and NaN in numbers) is empty.
    polygons
        Outer rings as (x, y), closed or not, as an array (n, vertices, 2) or a list of lists; or an
        object array of shapely polygons and multipolygons, or of points (see `points_at`).
    crs
        Coordinate system of the coordinates; None for none.
    style_qml
        QGIS style of the layer, as from `geoseg.raster.legend.style.category_qml`.
    overwrite
        Whether a file of that name may be replaced.
    metadata
        Tags of the file, as from `geoseg.raster.provenance.provenance`.
    beside
        Texts of files that appear with it, by their paths.

    Raises
    ------
    OutputError
        The target cannot be written.
    """
    target = check_output(path, overwrite=overwrite, suffixes=(".gpkg",))
    shapes = _shapes_of(polygons)
    fields, masks = fields_of(columns, len(shapes))
    with TemporaryFolder(target) as folder:
        made = folder.path / target.name
        # SQLite's words for a full disk are many and obscure; so is it known beforehand.
        tight = folder.free_bytes() < (4 << 20) + 1000 * len(shapes)
        style = target.with_suffix(".qml")
        is_inside = is_of_raster(style)
        try:
            write_layer(made, layer, shapes, fields, masks, crs, metadata)
            if style_qml is not None and is_inside:
                put_inside(made, {layer: style_qml})
        except (DataSourceError, DataLayerError, RuntimeError, OSError, sqlite3.Error) as error:
            if tight:
                raise no_space(target) from error
            words = " ".join(str(error).split())
            raise OutputError(f"{target} cannot be written: {words}") from error
        sidecars: dict[Path, str | bytes] = dict(beside or {})
        if style_qml is not None and not is_inside:
            sidecars[style] = style_qml
        # An old file's journal would be played into the new one.
        stale = [target.with_name(target.name + s) for s in ("-wal", "-shm", "-journal")]
        folder.publish(made, sidecars, overwrite=overwrite, stale=stale)


def points_at(places: Sequence[tuple[float, float]]) -> NDArray[Any]:
    """Points (x, y), for `write_footprints`."""
    return np.asarray(shapely.points(np.reshape(places, (-1, 2))), dtype=object)


def wgs84() -> CRS:
    """Longitude and latitude, in which receivers give places."""
    return CRS.from_epsg(4326)


def _shapes_of(polygons: Any) -> NDArray[Any]:
    """Geometries of rings, or as they are."""
    if isinstance(polygons, np.ndarray) and polygons.dtype == object:
        return polygons
    if len(polygons) == 0:
        return np.array([], dtype=object)
    try:
        rings = np.asarray(polygons, dtype=np.float64)
    except ValueError:  # rings of different lengths
        return np.array([shapely.Polygon(ring) for ring in polygons], dtype=object)
    return np.asarray(shapely.polygons(rings), dtype=object)


def fields_of(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]], count: int
) -> tuple[dict[str, NDArray[Any]], list[NDArray[np.bool_] | None]]:
    """Make columns arrays that OGR has types for, and where each is empty."""
    fields: dict[str, NDArray[Any]] = {}
    masks: list[NDArray[np.bool_] | None] = []
    for name, given in columns.items():
        if len(given) != count:
            raise ValueError(f"column {name!r} has {len(given)} values for {count} polygons")
        values, empty = _array_of(given)
        fields[name] = values
        masks.append(empty)
    return fields, masks


def _array_of(given: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """One column as an array of numbers, or of text as objects, and where it is empty."""
    empty = None
    if isinstance(given, np.ndarray):
        values = given
    else:
        known = [value for value in given if value is not None]
        if len(known) < len(given):
            empty = np.array([value is None for value in given])
            blank = type(known[0])() if known else ""
            given = [blank if value is None else value for value in given]
        values = np.array(given, dtype=None if len(given) > 0 else object)
    if values.dtype.kind == "f":
        nan = np.isnan(values)
        empty = nan if empty is None else empty | nan
    return values.astype(object) if values.dtype.kind in "US" else values, empty


def write_layer(
    made: Path,
    layer: str,
    shapes: NDArray[Any],
    fields: Mapping[str, NDArray[Any]],
    masks: list[NDArray[np.bool_] | None],
    crs: CRS | None,
    metadata: Mapping[str, str] | None,
) -> None:
    """Write a layer, perhaps one more of a file that is there; see `write_footprints`."""
    points = shapely.get_type_id(shapes) == shapely.GeometryType.POINT
    several = shapely.get_type_id(shapes) == shapely.GeometryType.MULTIPOLYGON
    if several.any():  # a layer is of one kind
        shapes = np.array(
            [s if s.geom_type == "MultiPolygon" else shapely.MultiPolygon([s]) for s in shapes],
            dtype=object,
        )
    kind = "Point" if points.any() else "MultiPolygon" if several.any() else "Polygon"
    with configured("OGR_CURRENT_DATE", NO_DATE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.raw.write(
            made,
            geometry=shapely.to_wkb(shapes),
            field_data=list(fields.values()),
            fields=np.array(list(fields), dtype=object),
            field_mask=masks,
            layer=layer,
            driver="GPKG",
            geometry_type=kind,
            crs=None if crs is None else crs_definition(crs),
            dataset_options={"VERSION": "1.2"},  # newer ones make older readers warn
            dataset_metadata=dict(metadata) if metadata else None,
        )
