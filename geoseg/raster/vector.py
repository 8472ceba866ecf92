"""Polygons onto a grid, and footprints out: the only module that reads and writes vector files.

Importing it is slow (GEOS, GDAL's vector side), so modules import it only where polygons are at
hand.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from shapely.errors import GEOSException

from geoseg.errors import OutputError, VectorError
from geoseg.raster.grid import Grid, crs_text
from geoseg.raster.output import TemporaryFolder, check_output
from geoseg.raster.window import Window

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_BOX = re.compile(rf"\s*{_NUMBER}(?:\s*[,;\s]\s*{_NUMBER}){{3}}\s*")
_MAX_VERTICES = 256


class Region:
    """An area on a grid, as polygons; tells which pixels lie in it.

    A pixel is inside where its centre is. Reading from several threads at once is safe.

    Parameters
    ----------
    polygons
        Valid polygons in the grid's coordinate system.
    grid
        The grid whose pixels are meant.
    source
        What errors call it.

    Raises
    ------
    VectorError
        No part of any polygon lies on the grid.
    """

    def __init__(self, polygons: Sequence[Any] | NDArray[Any], grid: Grid, *, source: str) -> None:
        parts = np.asarray(polygons, dtype=object)
        digest = hashlib.blake2b(digest_size=16)
        for wkb in shapely.to_wkb(parts):
            digest.update(wkb)
        self._fingerprint = digest.hexdigest()
        self.grid = grid
        # Pixel coordinates (column, row) serve rotated and south-up grids alike, and are the same
        # numbers but for a whole offset whatever the window.
        inverse = ~grid.transform
        matrix = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
        offset = np.array([inverse.c, inverse.f])
        pixels = shapely.transform(parts, lambda xy: xy @ matrix.T + offset)
        on_grid = shapely.box(0, 0, grid.width, grid.height)
        self._pieces = _subdivide(_polygons_of(shapely.intersection(_valid(pixels), on_grid)))
        if not len(self._pieces):
            raise VectorError(f"{source} does not overlap the scene ({grid.describe()})")
        self._tree = shapely.STRtree(self._pieces)
        xmin, ymin, xmax, ymax = shapely.total_bounds(self._pieces)
        col, row = int(np.floor(xmin)), int(np.floor(ymin))
        self._window = Window(row, col, int(np.ceil(ymax)) - row, int(np.ceil(xmax)) - col)

    @property
    def window(self) -> Window:
        """The smallest window of the grid around the region."""
        return self._window

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(rows, cols) bool, True inside; False outside the grid too. Memory is the window's."""
        box = shapely.box(window.col, window.row, window.col_stop, window.row_stop)
        hits = self._tree.query(box)
        burnt = np.zeros((window.height, window.width), dtype=np.uint8)
        if len(hits):
            rasterio.features.rasterize(
                list(self._pieces[np.sort(hits)]),
                out=burnt,
                transform=Affine(1, 0, window.col, 0, 1, window.row),
                default_value=1,
            )
        return burnt.view(np.bool_)

    def fingerprint(self) -> str:
        """Hash (hex) of the polygons on the grid's coordinate system."""
        return self._fingerprint


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
    polygons = _polygons_of(_valid(_read_shapes(text, grid)))
    if not len(polygons):
        raise VectorError(f"{text} has no polygons; a region needs some")
    return Region(polygons, grid, source=text)


def _box(text: str) -> Any:
    """Rectangle of "xmin,ymin,xmax,ymax"."""
    xmin, ymin, xmax, ymax = (float(n) for n in re.findall(_NUMBER, text))
    if not (xmin < xmax and ymin < ymax):
        raise VectorError(
            f"the region {text} is empty: give xmin,ymin,xmax,ymax with xmin < xmax and ymin < ymax"
        )
    return shapely.box(xmin, ymin, xmax, ymax)


def _read_shapes(text: str, grid: Grid) -> NDArray[Any]:
    """Geometries of a vector file in the grid's coordinate system."""
    path, _, layer = text.partition("|layername=")
    try:
        name = layer or _polygon_layer(path)
        meta, _, wkb, _ = pyogrio.raw.read(path, layer=name, columns=[], force_2d=True)
        known = [g for g in wkb if g is not None] if wkb is not None else []
        shapes = np.asarray(shapely.from_wkb(known), dtype=object)
    except (DataSourceError, DataLayerError) as error:
        raise VectorError(_reason(path, error)) from error
    except (GEOSException, RuntimeError, ValueError, OSError) as error:
        raise VectorError(f"{text} cannot be read: {' '.join(str(error).split())}") from error
    if (meta["crs"] is None) != (grid.crs is None):
        which = text if meta["crs"] is None else "the scene"
        raise VectorError(
            f"{which} has no coordinate system, so nobody knows where on the other it lies"
        )
    if grid.crs is None:
        return shapes
    return _reproject(_valid(shapes), meta["crs"], grid.crs, text)


def _polygon_layer(path: str) -> str:
    """Name of the one layer of a file that can hold polygons."""
    layers = pyogrio.list_layers(path)
    found = [
        str(name)
        for name, kind in layers
        if kind is not None and re.search(r"Polygon|Surface|Unknown|Collection", str(kind))
    ]
    if not found:
        kinds = ", ".join(sorted({str(kind or "no geometry") for _, kind in layers})) or "no layer"
        raise VectorError(f"{path} has no polygons (it has {kinds}); a region needs some")
    if len(found) > 1:
        raise VectorError(
            f"{path} has several layers of polygons; name one: {path}|layername={found[0]} "
            f"(there are {', '.join(found[:8])})"
        )
    return found[0]


def _reason(path: str, error: Exception) -> str:
    if "://" not in path and not path.startswith("/vsi") and not Path(path).exists():
        return (
            f"{path}: no such file; a region is a file of polygons, or "
            "xmin,ymin,xmax,ymax in the scene's coordinate system"
        )
    if isinstance(error, DataLayerError):
        return f"{path} has no such layer: {' '.join(str(error).split())}"
    return f"{path} is no vector file that can be read"


def _reproject(shapes: NDArray[Any], crs: str, target: CRS, source: str) -> NDArray[Any]:
    """Geometries in another coordinate system, long edges bent as they should be."""
    try:
        here, there = pyproj.CRS.from_user_input(crs), pyproj.CRS.from_wkt(target.to_wkt())
        if here == there:
            return shapes
        # Straight in one system is curved in another: vertices every 1/200 of the extent keep what
        # is lost far below a pixel for regions of a scene's size.
        xmin, ymin, xmax, ymax = shapely.total_bounds(shapes)
        longest = max(xmax - xmin, ymax - ymin) / 200
        bent = shapely.segmentize(shapes, longest) if longest > 0 else shapes
        transformer = pyproj.Transformer.from_crs(here, there, always_xy=True)

        def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

        moved: NDArray[Any] = shapely.transform(bent, move)
    except ProjError as error:
        words = " ".join(str(error).split())
        raise VectorError(f"{source}: its coordinate system cannot be used: {words}") from error
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise VectorError(
            f"{source} reaches beyond where the scene's coordinate system ({crs_text(target)}) "
            "is defined; clip it to the scene first"
        )
    return moved


def _valid(shapes: NDArray[Any]) -> NDArray[Any]:
    """Repair self-crossing rings and the like."""
    shapes = np.asarray(shapes, dtype=object)
    broken = ~shapely.is_valid(shapes)
    if broken.any():
        shapes = shapes.copy()
        shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes


def _polygons_of(shapes: Any) -> NDArray[Any]:
    """Take the single polygons out of any geometries; points and lines fall away."""
    flat = np.atleast_1d(np.asarray(shapes, dtype=object))
    for _ in range(3):  # collections may hold multipolygons
        flat = shapely.get_parts(flat)
    polygons: NDArray[Any] = flat[
        (shapely.get_type_id(flat) == shapely.GeometryType.POLYGON) & (shapely.area(flat) > 0)
    ]
    return polygons


def _subdivide(polygons: NDArray[Any]) -> NDArray[Any]:
    """Cut polygons of very many vertices, so that a window pays for its own part alone.

    Cuts run along pixel edges, where no pixel centre lies; which pixels are inside stays the same.
    """
    done: list[Any] = []
    todo = list(polygons)
    while todo:
        polygon = todo.pop()
        xmin, ymin, xmax, ymax = polygon.bounds
        wide = xmax - xmin >= ymax - ymin
        low, high = (xmin, xmax) if wide else (ymin, ymax)
        cut = round((low + high) / 2)
        if shapely.get_num_coordinates(polygon) <= _MAX_VERTICES or not low < cut < high:
            done.append(polygon)
            continue
        halves = (
            [shapely.box(xmin, ymin, cut, ymax), shapely.box(cut, ymin, xmax, ymax)]
            if wide
            else [shapely.box(xmin, ymin, xmax, cut), shapely.box(xmin, cut, xmax, ymax)]
        )
        todo.extend(_polygons_of(shapely.intersection(polygon, np.array(halves, dtype=object))))
    return np.array(done, dtype=object)


# -- footprints -----------------------------------------------------------------------------------

# GeoPackage notes when it was written; the same run must give the same bytes.
_NO_DATE = "1970-01-01T00:00:00.000Z"


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
) -> None:
    """Write polygons with attributes as a GeoPackage that opens styled in QGIS.

    Parameters
    ----------
    path
        Target, ``.gpkg``. A style goes beside it as ``.qml``, which QGIS applies on opening.
    layer
        Name of the layer.
    columns
        Attributes: a value for each polygon. None (and NaN in numbers) is empty.
    polygons
        Outer rings as (x, y), closed or not, as an array (n, vertices, 2) or a list of lists; or an
        object array of shapely polygons.
    crs
        Coordinate system of the coordinates; None for none.
    style_qml
        QGIS style of the layer, as from `geoseg.raster.style.category_qml`.
    overwrite
        Whether a file of that name may be replaced.
    metadata
        Tags of the file, as from `geoseg.raster.provenance.provenance`.

    Raises
    ------
    OutputError
        The target cannot be written.
    """
    target = check_output(path, overwrite=overwrite, suffixes=(".gpkg",))
    shapes = _shapes_of(polygons)
    fields, masks = _fields(columns, len(shapes))
    with TemporaryFolder(target) as folder:
        made = folder.path / target.name
        try:
            _write_layer(made, layer, shapes, fields, masks, crs, metadata)
        except (DataSourceError, DataLayerError, RuntimeError, OSError) as error:
            raise OutputError(
                f"{target} cannot be written: {' '.join(str(error).split())}"
            ) from error
        sidecars = {target.with_suffix(".qml"): style_qml} if style_qml is not None else {}
        # An old file's journal would be played into the new one.
        stale = [target.with_name(target.name + s) for s in ("-wal", "-shm", "-journal")]
        folder.publish(made, sidecars, overwrite=overwrite, stale=stale)


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


def _fields(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]], count: int
) -> tuple[dict[str, NDArray[Any]], list[NDArray[np.bool_] | None]]:
    """Columns as arrays that OGR has types for, and where each is empty."""
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


def _write_layer(
    made: Path,
    layer: str,
    shapes: NDArray[Any],
    fields: Mapping[str, NDArray[Any]],
    masks: list[NDArray[np.bool_] | None],
    crs: CRS | None,
    metadata: Mapping[str, str] | None,
) -> None:
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _NO_DATE})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            pyogrio.raw.write(
                made,
                geometry=shapely.to_wkb(shapes),
                field_data=list(fields.values()),
                fields=np.array(list(fields), dtype=object),
                field_mask=masks,
                layer=layer,
                driver="GPKG",
                geometry_type="Polygon",
                crs=crs.to_wkt() if crs is not None else None,
                dataset_options={"VERSION": "1.2"},  # newer ones make older readers warn
                dataset_metadata=dict(metadata) if metadata else None,
            )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
