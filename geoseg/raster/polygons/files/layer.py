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

from geoseg.errors import OptionError, OutputError
from geoseg.raster.cog.head import crs_definition
from geoseg.raster.cover.region import polygonal, valid
from geoseg.raster.geoparquet import can_arrow
from geoseg.raster.grid import Grid
from geoseg.raster.legend.layerstyle import is_of_raster, put_inside
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.kept import KeptFolder
from geoseg.raster.outputs.names import check_geopackage_path, layer_name
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import no_space, output_error
from geoseg.raster.outputs.unfinished import LeftoverError
from geoseg.raster.polygons.files.beside import Beside, blank
from geoseg.raster.polygons.files.formats import BATCHES, COPIES, FORMATS, Columns, Form, Mark
from geoseg.raster.polygons.parts import CutShortError, Parts
from geoseg.raster.polygons.tracer import Polygons
from geoseg.raster.vector import fields_of, write_layer

SUFFIXES = (".gpkg", ".geojson", ".json", ".parquet")
"""Endings of files that can be written."""

PARTS = "parts.raw"
KEPT = (PARTS, BATCHES, *COPIES, "made.geojson", "made.json")
"""What stays in a kept folder between runs."""

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
    if target.suffix.lower() == ".gpkg":
        check_geopackage_path(target)
    return target


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerMark:
    """How much of a layer is on disk."""

    sink: Mark
    """Of its file; plain JSON."""
    arrays: Mapping[str, NDArray[Any]]
    """What is not in the file yet, by name; no objects among them."""


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
    kept
        A folder for what is not finished that outlives the run; None for one that does not.
    again
        What `mark` of an earlier run returned, whose folder it is.

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
        kept: KeptFolder | None = None,
        again: LayerMark | None = None,
    ) -> None:
        self.target = check_polygon_output(path, overwrite=overwrite)
        self._overwrite = overwrite
        self._grid = grid
        self._metadata = metadata
        self._waiting: list[tuple[NDArray[Any], Columns]] = []
        self._points = 0
        self._again = again is not None
        form = Form(
            layer=layer_name(self.target),
            crs=None if grid.crs is None else crs_definition(grid.crs),
            kind="MultiPolygon" if gathered else "Polygon",
            decimals=_decimals(grid),
            # Corners run counter-clockwise where the first row is at the top; else the other way.
            turn=None if gathered else grid.transform.determinant > 0,
            is_kept=kept is not None,
        )
        with ExitStack() as stack:
            self._temporary = kept or stack.enter_context(TemporaryFolder(self.target))
            self.folder = self._temporary.path
            self._made = self.folder / f"made{self.target.suffix.lower()}"
            try:
                make = FORMATS[self.target.suffix.lower()]
                self._sink = make(self._made, form, metadata, None if again is None else again.sink)
                stack.callback(self._sink.close)
                self._parts = None
                if gathered:
                    self._parts = Parts(
                        self.folder,
                        kept=None if kept is None else self.folder / PARTS,
                        again=None if again is None else _named("parts_", again.arrays),
                    )
            except OSError as error:
                raise self.error(error) from error
            if self._parts is not None:
                stack.callback(self._parts.close)
            self._stack = stack.pop_all()
        if again is not None and "waiting_xy" in again.arrays:
            self._waiting = [_unpacked(_named("waiting_", again.arrays))]

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
            raise self.error(error) from error

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
            raise self.error(error) from error
        found = np.asarray(shapely.from_wkb([wkb]), dtype=object)
        return polygonal(valid(found))

    def write_taken(self, shapes: NDArray[Any], columns: Columns) -> bool:
        """Add a feature that was taken, with its attributes: (1,) each.

        Returns
        -------
        Whether nothing waits to be written, so that `mark` marks this feature too.
        """
        self._waiting.append((shapes, columns))
        self._points += int(shapely.get_num_coordinates(shapes).sum())
        if self._points >= _POINTS:
            self._flush(1)
            self._points = 0
        return self._points == 0

    def mark(self) -> LayerMark:
        """Have what was added on the disk itself; return what another run goes on from.

        Raises
        ------
        OSError
            The disk is full, or fails.
        """
        arrays: dict[str, NDArray[Any]] = {}
        if self._parts is not None:
            arrays |= {f"parts_{name}": array for name, array in self._parts.flush().items()}
        elif any(len(shapes) for shapes, _ in self._waiting):
            arrays |= {f"waiting_{name}": a for name, a in _packed(self._waiting).items()}
        return LayerMark(sink=self._sink.mark(), arrays=arrays)

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
            raise self.error(error) from error
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
        within = {} if style_qml is None else {layer_name(self.target): style_qml}
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
            raise self.error(error) from error
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
        sink = FORMATS[self.target.suffix.lower()](made, form, self._metadata, None)
        try:
            cells = {n: blank(v, m) for (n, v), m in zip(fields.items(), masks, strict=True)}
            sink.write(_of_kind(beside.shapes, True), cells)
            sink.finish()
        finally:
            sink.close()
        return made.read_bytes()

    def error(self, error: Exception) -> OutputError:
        """Say in words why the file, or what belongs to it, cannot be written or gone on with."""
        # SQLite's words for a full disk are many and obscure.
        if self._temporary.free_bytes() < 4 << 20:
            return no_space(self.target)
        if self._again and isinstance(error, FileNotFoundError | CutShortError):
            return LeftoverError(
                f"{self.folder} is damaged: what was finished is not there any more; begin anew"
                " with --overwrite"
            )
        if isinstance(error, OSError):
            return output_error(error, self.target)
        return OutputError(f"{self.target} cannot be written: {' '.join(str(error).split())}")


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


def _packed(waiting: list[tuple[NDArray[Any], Columns]]) -> dict[str, NDArray[Any]]:
    """Turn polygons and their attributes into arrays without objects."""
    shapes = np.concatenate([shapes for shapes, _ in waiting])
    _, xy, (ring_ends, polygon_ends) = shapely.to_ragged_array(shapes)
    found: dict[str, NDArray[Any]] = {"xy": xy, "rings": ring_ends, "polygons": polygon_ends}
    for name in waiting[0][1]:
        values = np.concatenate([columns[name] for _, columns in waiting])
        found[f"column_{name}"] = values.astype(str) if values.dtype == object else values
    return found


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], Columns]:
    shapes = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, arrays["xy"], (arrays["rings"], arrays["polygons"])
    )
    columns = {
        name: values.astype(object) if values.dtype.kind == "U" else values
        for name, values in _named("column_", arrays).items()
    }
    return np.asarray(shapes, dtype=object), columns


def _named(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
