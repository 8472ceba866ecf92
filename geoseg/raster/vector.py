"""Polygons in, footprints out: the only module that reads and writes vector files.

Importing it is slow (GEOS, GDAL's vector side), so modules import it only where polygons are at
hand.
"""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from shapely.errors import GEOSException

from geoseg.errors import OutputError, VectorError
from geoseg.raster.cog import crs_definition
from geoseg.raster.geoparquet import is_geoparquet, parquet_tags, read_geoparquet
from geoseg.raster.grid import Grid
from geoseg.raster.layerstyle import NO_DATE, is_of_raster, put_inside
from geoseg.raster.output import TemporaryFolder, check_output, no_space
from geoseg.raster.polygonlegend import tags_of_geojson
from geoseg.raster.region import Region, all_around, polygonal, polygons_of, reproject, valid

__all__ = ["Features", "Purpose", "Region", "read_features", "read_region", "write_footprints"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_BOX = re.compile(rf"\s*{_NUMBER}(?:\s*[,;\s]\s*{_NUMBER}){{3}}\s*")


def read_region(source: str | Path, grid: Grid) -> Region:
    """Area that a person gives, brought onto a grid.

    Parameters
    ----------
    source
        A vector file of polygons (``FILE`` or ``FILE|layername=NAME``), which may have another
        coordinate system; or ``"xmin,ymin,xmax,ymax"`` in the grid's own.
    grid
        The grid whose pixels are meant.

    Raises
    ------
    VectorError
        Not readable, without polygons, without coordinate system, or off the grid.
    """
    text = str(source)
    if _BOX.fullmatch(text):
        return Region([_box(text)], grid, source=f"the region {text}")
    features = read_features(text, purpose=_REGION)
    polygons = polygons_of(features.shapes)
    features = replace(features, shapes=polygons)
    return Region(polygons_of(features.on_grid(grid)), grid, source=text)


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a vector file holds."""

    source: str
    """The file, as it was named."""
    shapes: NDArray[Any]
    """(features,) valid polygons and multipolygons; empty where a feature has none. Features
    without any geometry are left out."""
    crs: str | None
    """Their coordinate system, in a form that PROJ reads."""
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Attributes by name: (features,) each; None, or NaN in numbers, is empty."""
    numbers: NDArray[np.int64]
    """(features,) place of each in the file, from 1."""

    def on_grid(self, grid: Grid) -> NDArray[Any]:
        """Bring the shapes to a grid's coordinate system, one for each feature.

        Raises
        ------
        VectorError
            One of the two has no coordinate system, or they cannot be brought together.
        """
        if (self.crs is None) != (grid.crs is None):
            which = (
                f"{self.source} has no coordinate system"
                if self.crs is None
                else f"{self.source} has a coordinate system and the scene has no coordinate system"
            )
            raise VectorError(
                f"{which}, so nobody knows where one lies on the other: give it one (ogr2ogr"
                " -a_srs, gdal_edit -a_srs)"
            )
        if self.crs is None:
            return self.shapes
        moved = reproject(self.shapes, self.crs, grid, source=self.source)
        return polygonal(all_around(polygonal(valid(moved)), grid))


def crs_of(features: Features) -> CRS | None:
    """Coordinate system of features, as rasters have it."""
    return None if features.crs is None else CRS.from_user_input(features.crs)


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What polygons are wanted for, in the words of errors."""

    name: str
    """A region, say."""
    hint: str
    """What could be given in place of a file that is not there."""


_REGION = Purpose(
    name="a region",
    hint="a region is a file of polygons, or xmin,ymin,xmax,ymax in the scene's coordinate system",
)


def _box(text: str) -> Any:
    """Rectangle of "xmin,ymin,xmax,ymax"."""
    xmin, ymin, xmax, ymax = (float(n) for n in re.findall(_NUMBER, text))
    if not (xmin < xmax and ymin < ymax):
        raise VectorError(
            f"the region {text} is empty: give xmin,ymin,xmax,ymax with xmin < xmax and ymin < ymax"
        )
    return shapely.box(xmin, ymin, xmax, ymax)


def read_features(source: str | Path, *, purpose: Purpose, fields: bool = False) -> Features:
    """Read the features of a file of polygons, with their attributes if wanted.

    Parameters
    ----------
    source
        ``FILE`` or ``FILE|layername=NAME``.
    purpose
        For the words of errors.
    fields
        Whether to read attributes.

    Raises
    ------
    VectorError
        Not readable, or without polygons.
    """
    text = str(source)
    path, _, layer = text.partition("|layername=")
    try:
        if is_geoparquet(path):
            crs, wkb, columns = read_geoparquet(path, fields=fields)
        else:
            # GDAL would leave an .aux.xml beside some files that it only reads.
            with configured("GDAL_PAM_ENABLED", "NO"):
                name = layer or _polygon_layer(path, purpose)
                meta, _, wkb, data = pyogrio.raw.read(
                    path, layer=name, columns=None if fields else [], force_2d=True
                )
            crs = meta["crs"]
            columns = dict(zip(meta["fields"].tolist(), data, strict=True)) if fields else {}
        known = np.array([g is not None for g in wkb] if wkb is not None else [], bool)
        shapes = np.asarray(shapely.from_wkb(wkb[known] if wkb is not None else []), dtype=object)
        shapes = polygonal(valid(shapely.force_2d(shapes)))
    except (DataSourceError, DataLayerError) as error:
        raise VectorError(_reason(path, error, purpose)) from error
    except (GEOSException, RuntimeError, ValueError, OSError) as error:
        raise VectorError(f"{text} cannot be read: {' '.join(str(error).split())}") from error
    if not len(polygons_of(shapes)):
        raise VectorError(f"{text} has no polygons; {purpose.name} needs some")
    return Features(
        source=text,
        shapes=shapes,
        crs=crs,
        columns={key: values[known] for key, values in columns.items()},
        numbers=np.flatnonzero(known) + 1,
    )


def read_tags(source: str | Path) -> dict[str, str]:
    """Tags of a vector file that could be read; none where it has none, or its format no place."""
    path, _, layer = str(source).partition("|layername=")
    if is_geoparquet(path):
        return parquet_tags(path)
    if path.lower().endswith((".geojson", ".json")):
        return tags_of_geojson(Path(path))
    try:
        with warnings.catch_warnings():  # of several layers: tags are of the file
            warnings.simplefilter("ignore")
            info = pyogrio.read_info(path, layer=layer or None)
    except (DataSourceError, DataLayerError, RuntimeError, ValueError):
        return {}
    return {str(k): str(v) for k, v in (info["dataset_metadata"] or {}).items()}


@contextmanager
def configured(option: str, value: str) -> Iterator[None]:
    """Set an option of GDAL's vector side, and set it back."""
    before = pyogrio.get_gdal_config_option(option)
    pyogrio.set_gdal_config_options({option: value})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({option: before})


def _polygon_layer(path: str, purpose: Purpose) -> str:
    """Name of the one layer of a file that can hold polygons."""
    layers = pyogrio.list_layers(path)
    found = [
        str(name)
        for name, kind in layers
        if kind is not None and re.search(r"Polygon|Surface|Unknown|Collection", str(kind))
    ]
    if not found:
        kinds = ", ".join(sorted({str(kind or "no geometry") for _, kind in layers})) or "no layer"
        raise VectorError(f"{path} has no polygons (it has {kinds}); {purpose.name} needs some")
    if len(found) > 1:
        raise VectorError(
            f"{path} has several layers of polygons; name one: {path}|layername={found[0]} "
            f"(there are {', '.join(found[:8])})"
        )
    return found[0]


def _reason(path: str, error: Exception, purpose: Purpose) -> str:
    if "://" not in path and not path.startswith("/vsi") and not Path(path).exists():
        return f"{path}: no such file; {purpose.hint}"
    if isinstance(error, DataLayerError):
        return f"{path} has no such layer: {' '.join(str(error).split())}"
    return f"{path} is no vector file that can be read"


# -- footprints -----------------------------------------------------------------------------------


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
        QGIS style of the layer, as from `geoseg.raster.style.category_qml`.
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
