"""Files of polygons, and regions that people give, brought onto grids."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
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

from geoseg.errors import VectorError
from geoseg.raster.cover.region import Region, all_around, polygonal, polygons_of, reproject, valid
from geoseg.raster.geoparquet import is_geoparquet, parquet_tags, read_geoparquet
from geoseg.raster.grid import Grid
from geoseg.raster.legend.polygons import CLASS, COLOR, NAME, tags_of_geojson
from geoseg.raster.opening import trust
from geoseg.raster.vector.options import configured

__all__ = ["Features", "Purpose", "Region", "crs_of", "read_features", "read_region", "read_tags"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SHOWN = 160
"""Characters of GDAL's reasons that are shown."""
_LOOKED_INTO = 64 << 20
"""Bytes of JSON that is read for what is wrong with it."""
_GEOJSON = ("FeatureCollection", "Feature", "Polygon", "MultiPolygon", "GeometryCollection")
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
            which, how = (
                ("has no coordinate system and the scene has one", "give it one (ogr2ogr -a_srs")
                if self.crs is None
                else (
                    "has a coordinate system and the scene has none",
                    "give the scene the one it is in (gdal_edit.py -a_srs",
                )
            )
            raise VectorError(
                f"{self.source} {which}, so nobody knows where one lies on the other: {how}"
                " EPSG:32633, say)"
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
    of_classes: bool = False
    """Whether, of several layers that geoseg wrote, the one that names classes is meant."""


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
                _check_leads(path)
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
            _check_leads(path)
            info = pyogrio.read_info(path, layer=layer or None)
    except (DataSourceError, DataLayerError, RuntimeError, ValueError):
        return {}
    return {str(k): str(v) for k, v in (info["dataset_metadata"] or {}).items()}


def _check_leads(path: str) -> None:
    """Refuse a file from elsewhere that may lead to files here; see `raster.opening.trust`."""
    if trust.is_elsewhere(path):
        with warnings.catch_warnings():  # of several layers
            warnings.simplefilter("ignore")
            driver = str(pyogrio.read_info(path)["driver"])
        trouble = trust.vector_trouble(path, driver)
        if trouble is not None:
            raise VectorError(trouble)


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
        classes = [name for name in found if _names_classes(path, name)]
        if purpose.of_classes and len(classes) == 1:
            return classes[0]
        raise VectorError(
            f"{path} has several layers of polygons; name one: {path}|layername={found[0]} "
            f"(there are {', '.join(found[:8])})"
        )
    return found[0]


def _names_classes(path: str, layer: str) -> bool:
    """Tell whether geoseg wrote a file, and a layer of it has the columns of classes."""
    info = pyogrio.read_info(path, layer=layer)
    is_ours = any(str(tag).startswith("GEOSEG_") for tag in info["dataset_metadata"] or {})
    return is_ours and {CLASS, NAME, COLOR} <= {str(name).casefold() for name in info["fields"]}


def _reason(path: str, error: Exception, purpose: Purpose) -> str:
    """Say in one line why a file cannot be read, and what to do."""
    if "://" not in path and not path.startswith("/vsi") and not Path(path).exists():
        return f"{path}: no such file; {purpose.hint}"
    words = " ".join(str(error).split())
    if isinstance(error, DataLayerError):
        return f"{path} has no such layer: {words}"
    lost = re.search(r"Unable to open \S*?([^\s/\\]+\.shx) or ", words, re.IGNORECASE)
    if lost:
        return f"{path} cannot be read without {lost[1]}: copy all files of the shapefile together"
    unknown = "not recognized as being in a supported file format" in words
    what = _wrong_json(path)
    if unknown and what is None:
        is_empty = Path(path).is_file() and not Path(path).stat().st_size
        what = "GDAL knows no format of it; give *.gpkg, *.geojson or *.shp"
        what = "it is empty; get it anew" if is_empty else what
    if what is not None:
        return f"{path} is no vector file that can be read: {what}"
    words = re.sub(r"^\w+\(.*\) failed: ", "", words).partition("; ")[0]
    words = words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
    return f"{path} cannot be read ({words}): get it anew, or see what ogrinfo says of it"


def _wrong_json(path: str) -> str | None:
    """Say what is wrong with JSON that should be GeoJSON, and what to do; None for other files."""
    if not path.lower().endswith((".json", ".geojson")) or not Path(path).is_file():
        return None
    if not 0 < Path(path).stat().st_size < _LOOKED_INTO:
        return None
    try:
        found = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        return f"it is no whole JSON ({' '.join(str(error).split())}); get it anew"
    kind = found.get("type") if isinstance(found, dict) else None
    if kind in _GEOJSON:
        return None
    return f"it is JSON and no GeoJSON (its type is {kind!r}); give a FeatureCollection"
