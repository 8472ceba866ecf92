"""A file of polygons: a layer that grows by batches, and perhaps another beside it.

Three formats, by the ending of the name:

- GeoPackage (``.gpkg``), in the raster's coordinate system.
- GeoJSON (``.geojson``, ``.json``), in WGS 84 longitude and latitude as RFC 7946 wants it, outer
  rings counter-clockwise; in the raster's own coordinates where it has no coordinate system.
- GeoParquet (``.parquet``), in the raster's coordinate system; needs pyarrow.

Features are written in batches of a fixed number, so that a file's bytes depend on nothing else.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from geoseg.errors import OptionError, OutputError
from geoseg.raster.cog import crs_definition
from geoseg.raster.geoparquet import can_arrow
from geoseg.raster.grid import Grid
from geoseg.raster.layerstyle import is_of_raster, put_inside
from geoseg.raster.output import TemporaryFolder, check_output, no_space, output_error
from geoseg.raster.polygons.files.formats import FORMATS, Columns, Form
from geoseg.raster.polygons.parts import Parts
from geoseg.raster.polygons.stream import Polygons
from geoseg.raster.region import polygonal, valid
from geoseg.raster.vector import fields_of, write_layer

SUFFIXES = (".gpkg", ".geojson", ".json", ".parquet")
"""Endings of files that can be written."""

_BATCH = 50_000
_POINTS = 1 << 20
"""Corners of dissolved features that are written at once: opening a file anew takes long."""
_LARGEST = 900_000_000
"""Bytes of one feature: SQLite holds no more than 1e9 in a cell."""
_FAILURES = (DataSourceError, DataLayerError, RuntimeError, OSError, sqlite3.Error)


def check_polygon_output(path: str | Path, *, overwrite: bool) -> Path:
    """Tell early whether a file of polygons can be written.

    Raises
    ------
    OutputError
        As `check_output`, or the ending is of no format.
    OptionError
        The format needs pyarrow, which is not installed.
    """
    target = check_output(path, overwrite=overwrite, suffixes=SUFFIXES)
    if target.suffix.lower() == ".parquet" and not can_arrow():
        raise OptionError(
            f"{target}: GeoParquet needs pyarrow: install it (pip install pyarrow), or name the"
            " output *.gpkg"
        )
    return target


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """A layer of other polygons that goes with a file, and appears with it."""

    name: str
    """Of the layer in a GeoPackage; of other formats it is a file of its own, ``FILE_name.EXT``."""
    shapes: NDArray[Any]
    """(features,) polygons and multipolygons."""
    crs: CRS | None
    """Their coordinate system."""
    columns: Mapping[str, Any]
    """(features,) attributes by name."""
    style_qml: str
    """QGIS style of the layer."""

    def place(self, target: Path) -> Path:
        """Say which file it is in."""
        return place_beside(target, self.name)


def place_beside(target: Path, name: str) -> Path:
    """Say which file a layer is in that goes with another: the same, of a GeoPackage."""
    if target.suffix.lower() == ".gpkg":
        return target
    return target.with_name(f"{target.stem}_{name}{target.suffix}")


class PolygonFile:
    """One layer of polygons: a context manager; `write` batches, then `publish`.

    Parameters
    ----------
    path
        The file to be; its ending says the format.
    grid
        Of the raster whose corners the polygons have.
    overwrite
        Whether a file of that name may be replaced.
    metadata
        Tags of the file.
    gathered
        Whether features are multipolygons of what `gather` was given.

    Attributes
    ----------
    folder
        For temporary files of the caller as well.

    Raises
    ------
    OutputError
        The file cannot be written (also by the methods).
    GridError
        The raster's coordinate system cannot be brought to that of the format.
    """

    def __init__(
        self,
        path: str | Path,
        grid: Grid,
        *,
        overwrite: bool,
        metadata: Mapping[str, str],
        gathered: bool = False,
    ) -> None:
        self.target = check_polygon_output(path, overwrite=overwrite)
        self._overwrite = overwrite
        self._grid = grid
        self._metadata = metadata
        self._waiting: list[tuple[NDArray[Any], Columns]] = []
        self._points = 0
        form = Form(
            layer=self.target.stem,
            crs=None if grid.crs is None else crs_definition(grid.crs),
            kind="MultiPolygon" if gathered else "Polygon",
            decimals=_decimals(grid),
            # Corners run counter-clockwise where the first row is at the top; else the other way.
            turn=None if gathered else grid.transform.determinant > 0,
        )
        with ExitStack() as stack:
            self._temporary = stack.enter_context(TemporaryFolder(self.target))
            self.folder = self._temporary.path
            self._made = self.folder / self.target.name
            try:
                self._sink = FORMATS[self.target.suffix.lower()](self._made, form, metadata)
                stack.callback(self._sink.close)
                self._parts = Parts(self.folder) if gathered else None
            except OSError as error:
                raise output_error(error, self.target) from error
            if self._parts is not None:
                stack.callback(self._parts.close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def shapes(self, polygons: Polygons) -> NDArray[Any]:
        """(polygons,) what was traced, in the raster's coordinate system."""
        t = self._grid.transform
        col, row = polygons.points[:, 0], polygons.points[:, 1]
        xy = np.column_stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f])
        found = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, xy, (polygons.ring_ends, polygons.polygon_ends)
        )
        return np.asarray(found, dtype=object)

    def write(self, polygons: Polygons, columns: Columns) -> None:
        """Add polygons, with their attributes by name: (polygons,) numbers or objects each."""
        if len(polygons):
            self._waiting.append((self.shapes(polygons), columns))
            self._flush(_BATCH)

    def gather(self, shapes: NDArray[Any], keys: NDArray[np.int64]) -> None:
        """Keep polygons on disk, each to be a part of the feature of its key."""
        if self._parts is None:
            raise ValueError("the file was not made to gather polygons")
        try:
            for key in np.unique(keys).tolist():
                self._parts.add(key, shapely.to_wkb(shapes[keys == key], byte_order=1))
        except OSError as error:
            raise self._error(error) from error

    @property
    def gathered(self) -> dict[int, int]:
        """How many polygons there are of each key."""
        return {} if self._parts is None else self._parts.counts

    def take(self, key: int, what: str) -> NDArray[Any]:
        """(1,) the multipolygon of all polygons of a key; `what` is its name, for errors."""
        if self._parts is None:
            raise ValueError("the file was not made to gather polygons")
        if self._parts.size(key) > _LARGEST:
            raise OutputError(
                f"{self.target}: the borders of {what} are too long for one feature: give"
                " --simplify or --min-area, or leave out --dissolve"
            )
        try:
            wkb = self._parts.multipolygon(key)
        except OSError as error:
            raise self._error(error) from error
        found = np.asarray(shapely.from_wkb([wkb]), dtype=object)
        return polygonal(valid(found))

    def write_taken(self, shapes: NDArray[Any], columns: Columns) -> None:
        """Add a feature that was taken, with its attributes: (1,) each."""
        self._waiting.append((shapes, columns))
        self._points += int(shapely.get_num_coordinates(shapes).sum())
        if self._points >= _POINTS:
            self._flush(1)
            self._points = 0

    def _flush(self, least: int) -> None:
        """Write batches as long as so many polygons wait."""
        count = sum(len(shapes) for shapes, _ in self._waiting)
        if count < least or not count:
            return
        shapes = np.concatenate([shapes for shapes, _ in self._waiting])
        names = self._waiting[0][1]
        columns = {n: np.concatenate([c[n] for _, c in self._waiting]) for n in names}
        begin = 0
        try:
            while count - begin >= least and count > begin:
                part = slice(begin, min(begin + _BATCH, count))
                self._sink.write(
                    _of_kind(shapes[part], self._parts is not None),
                    {n: c[part] for n, c in columns.items()},
                )
                begin = part.stop
        except _FAILURES as error:
            raise self._error(error) from error
        self._waiting = [(shapes[begin:], {n: c[begin:] for n, c in columns.items()})]

    def publish(self, style_qml: str | None = None, beside: Beside | None = None) -> list[Path]:
        """Write what waits, and give the file its name; return the files.

        Parameters
        ----------
        style_qml
            QGIS style of the layer. It goes beside the file as ``NAME.qml``, unless that is the
            style of a raster, or there are two layers; a GeoPackage then has it within. (Not
            always: some readers warn of two layers, where the other is the table of styles.)
        beside
            Other polygons to go with these.
        """
        self._flush(1)
        sidecars: dict[Path, str | bytes] = {}
        styles = {} if style_qml is None else {self.target: style_qml}
        within = {} if style_qml is None else {self.target.stem: style_qml}
        is_package = self.target.suffix.lower() == ".gpkg"
        try:
            self._sink.finish()
            if beside is not None:
                content = self._put_beside(beside)
                if content is not None:
                    sidecars[beside.place(self.target)] = content
                    styles[beside.place(self.target)] = beside.style_qml
                within[beside.name] = beside.style_qml
            taken = {path for path in styles if is_of_raster(path.with_suffix(".qml"))}
            if is_package and (taken or beside is not None):
                put_inside(self._made, within)
                styles = {}
            for path in styles.keys() - taken:
                sidecars[path.with_suffix(".qml")] = styles[path]
        except _FAILURES as error:
            raise self._error(error) from error
        # An old file's journal would be played into the new one.
        stale = [self.target.with_name(self.target.name + s) for s in ("-wal", "-shm", "-journal")]
        self._temporary.publish(self._made, sidecars, overwrite=self._overwrite, stale=stale)
        return [self.target, *sorted(sidecars)]

    def _put_beside(self, beside: Beside) -> bytes | None:
        """Write a layer into the file, or return what is a file of its own."""
        fields, masks = fields_of(beside.columns, len(beside.shapes))
        if self.target.suffix.lower() == ".gpkg":
            write_layer(self._made, beside.name, beside.shapes, fields, masks, beside.crs, None)
            return None
        made = self.folder / "beside"
        form = Form(
            layer=beside.place(self.target).stem,
            crs=None if beside.crs is None else crs_definition(beside.crs),
            kind="MultiPolygon",
        )
        sink = FORMATS[self.target.suffix.lower()](made, form, self._metadata)
        try:
            blank = {n: _blank(v, m) for (n, v), m in zip(fields.items(), masks, strict=True)}
            sink.write(_of_kind(beside.shapes, True), blank)
            sink.finish()
        finally:
            sink.close()
        return made.read_bytes()

    def _error(self, error: Exception) -> OutputError:
        # SQLite's words for a full disk are many and obscure.
        if self._temporary.free_bytes() < 4 << 20:
            return no_space(self.target)
        if isinstance(error, OSError):
            return output_error(error, self.target)
        return OutputError(f"{self.target} cannot be written: {' '.join(str(error).split())}")


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


def _decimals(grid: Grid) -> int:
    """Decimals of a degree that keep a thousandth of a pixel, and 1 cm at least."""
    if grid.crs is None:
        return 7
    metres = math.sqrt(grid.pixel_area_m2())
    return max(7, math.ceil(-math.log10(metres / 111_320 / 1000)))


def _of_kind(shapes: NDArray[Any], is_multi: bool) -> NDArray[Any]:
    """Make all of them multipolygons if a layer is of those."""
    if not is_multi:
        return shapes
    return np.array(
        [s if s.geom_type == "MultiPolygon" else shapely.MultiPolygon([s]) for s in shapes],
        dtype=object,
    )


def _blank(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Values as Python has them, None where there is none; times as text."""
    if values.dtype.kind in "mM":
        texts = values.astype(str).astype(object)
        texts[np.isnat(values)] = None
        return texts
    found = values.astype(object)
    if mask is not None:
        found[mask] = None
    return found
