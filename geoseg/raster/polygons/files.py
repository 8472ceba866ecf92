"""Files of polygons that grow by batches and appear when they are whole.

Three formats, by the ending of the name:

- GeoPackage (``.gpkg``), in the raster's coordinate system.
- GeoJSON (``.geojson``, ``.json``), in WGS 84 longitude and latitude as RFC 7946 wants it, outer
  rings counter-clockwise; in the raster's own coordinates where it has no coordinate system.
- GeoParquet (``.parquet``), in the raster's coordinate system; needs pyarrow.

Features are written in batches of a fixed number, so that a file's bytes depend on nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import sqlite3
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import ProjError

from geoseg.errors import GridError, OptionError, OutputError
from geoseg.raster.cog import crs_definition
from geoseg.raster.grid import Grid
from geoseg.raster.layerstyle import is_of_raster, put_inside
from geoseg.raster.output import TemporaryFolder, check_output, no_space, output_error
from geoseg.raster.polygons.stream import Polygons
from geoseg.raster.vector import configured

SUFFIXES = (".gpkg", ".geojson", ".json", ".parquet")
"""Endings of files that can be written."""

_BATCH = 50_000
# GeoPackage notes when it was written; the same run must give the same bytes.
_NO_DATE = "1970-01-01T00:00:00.000Z"

Columns = Mapping[str, NDArray[Any]]


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
    if target.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise OptionError(
            f"{target}: GeoParquet needs pyarrow: install it (pip install pyarrow), or name the"
            " output *.gpkg"
        )
    return target


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
    style_qml
        QGIS style of the layer, or None.

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
    ) -> None:
        self.target = check_polygon_output(path, overwrite=overwrite)
        self._overwrite = overwrite
        self._grid = grid
        self._waiting: list[tuple[NDArray[Any], Columns]] = []
        suffix = self.target.suffix.lower()
        formats: dict[str, Callable[..., _Sink]] = {
            ".gpkg": _GeoPackage,
            ".parquet": _GeoParquet,
        }
        make = formats.get(suffix, _GeoJson)
        with ExitStack() as stack:
            self._temporary = stack.enter_context(TemporaryFolder(self.target))
            self.folder = self._temporary.path
            self._made = self.folder / self.target.name
            try:
                self._sink = make(self._made, self.target.stem, grid, metadata)
            except OSError as error:
                raise output_error(error, self.target) from error
            stack.callback(self._sink.close)
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

    def write(self, polygons: Polygons, columns: Columns) -> None:
        """Add polygons, with their attributes by name: (polygons,) numbers or objects each."""
        if not len(polygons):
            return
        t = self._grid.transform
        col, row = polygons.points[:, 0], polygons.points[:, 1]
        xy = np.column_stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f])
        shapes = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, xy, (polygons.ring_ends, polygons.polygon_ends)
        )
        self._waiting.append((np.asarray(shapes, dtype=object), columns))
        self._flush(_BATCH)

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
                self._sink.write(shapes[part], {n: c[part] for n, c in columns.items()})
                begin = part.stop
        except (DataSourceError, DataLayerError, RuntimeError, OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        self._waiting = [(shapes[begin:], {n: c[begin:] for n, c in columns.items()})]

    def publish(self, style_qml: str | None = None) -> list[Path]:
        """Write what waits, and give the file its name; return the files.

        Parameters
        ----------
        style_qml
            QGIS style of the layer. It goes beside the file as ``NAME.qml``, unless that is the
            style of a raster; a GeoPackage then has it within. (Not always: some readers warn of
            two layers, where the other is the table of styles.)
        """
        self._flush(1)
        sidecars: dict[Path, str | bytes] = {}
        style = self.target.with_suffix(".qml")
        try:
            is_taken = is_of_raster(style)
            self._sink.finish(style_qml if is_taken else None)
            if style_qml is not None and not is_taken:
                sidecars[style] = style_qml
        except (DataSourceError, DataLayerError, RuntimeError, OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        # An old file's journal would be played into the new one.
        stale = [self.target.with_name(self.target.name + s) for s in ("-wal", "-shm", "-journal")]
        self._temporary.publish(self._made, sidecars, overwrite=self._overwrite, stale=stale)
        return [self.target, *sidecars]

    def _error(self, error: Exception) -> OutputError:
        # SQLite's words for a full disk are many and obscure.
        if self._temporary.free_bytes() < 4 << 20:
            return no_space(self.target)
        if isinstance(error, OSError):
            return output_error(error, self.target)
        return OutputError(f"{self.target} cannot be written: {' '.join(str(error).split())}")


class _Sink(Protocol):
    """One format."""

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        """Add features."""

    def finish(self, style_qml: str | None) -> None:
        """Write what comes last."""

    def close(self) -> None:
        """Close the file, finished or not."""


class _GeoPackage:
    def __init__(self, made: Path, layer: str, grid: Grid, metadata: Mapping[str, str]) -> None:
        self._made, self._layer, self._metadata = made, layer, metadata
        self._crs = None if grid.crs is None else crs_definition(grid.crs)

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        more = self._made.exists()
        options: dict[str, Any] = (
            {"append": True}
            if more
            else {
                "dataset_options": {"VERSION": "1.2"},  # newer ones make older readers warn
                "dataset_metadata": dict(self._metadata),
            }
        )
        with configured("OGR_CURRENT_DATE", _NO_DATE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            pyogrio.raw.write(
                self._made,
                geometry=shapely.to_wkb(shapes),
                field_data=list(columns.values()),
                fields=np.array(list(columns), dtype=object),
                layer=self._layer,
                driver="GPKG",
                geometry_type="Polygon",
                crs=self._crs,
                **options,
            )

    def finish(self, style_qml: str | None) -> None:
        """Put the style into the file."""
        if style_qml is not None:
            put_inside(self._made, self._layer, style_qml)

    def close(self) -> None:
        """Nothing: every batch closes the file."""


class _GeoJson:
    def __init__(self, made: Path, layer: str, grid: Grid, metadata: Mapping[str, str]) -> None:
        self._file: BinaryIO = made.open("wb")
        self._move: pyproj.Transformer | None = None
        self._decimals: int | None = None
        # Corners run counter-clockwise where the first row is at the top; else the other way.
        self._turn = grid.transform.determinant > 0
        self._first = True
        if grid.crs is not None:
            try:
                here = pyproj.CRS.from_user_input(crs_definition(grid.crs))
                self._move = pyproj.Transformer.from_crs(here, "OGC:CRS84", always_xy=True)
            except ProjError as error:
                self._file.close()
                raise GridError(
                    "the raster's coordinate system cannot be brought to WGS 84, in which GeoJSON"
                    f" is: name the output *.gpkg ({' '.join(str(error).split())})"
                ) from error
            self._decimals = _decimals(grid)
        head = {"type": "FeatureCollection", "name": layer, "metadata": dict(metadata)}
        text = json.dumps(head, ensure_ascii=False)
        self._file.write(f'{text[:-1]}, "features": ['.encode())

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        if self._move is not None:
            shapes = self._in_degrees(shapes)
        if self._turn:
            shapes = shapely.reverse(shapes)
        texts = shapely.to_geojson(shapes)
        rows = zip(*(c.tolist() for c in columns.values()), strict=True)
        lines = []
        for text, row in zip(texts, rows, strict=True):
            named = json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False)
            lines.append(f'{{"type": "Feature", "properties": {named}, "geometry": {text}}}')
        self._file.write((("\n" if self._first else ",\n") + ",\n".join(lines)).encode())
        self._first = False

    def _in_degrees(self, shapes: NDArray[Any]) -> NDArray[Any]:
        xy = shapely.get_coordinates(shapes)
        lon, lat = self._move.transform(xy[:, 0], xy[:, 1])  # type: ignore[union-attr]
        moved = np.round(np.column_stack([lon, lat]), self._decimals or 7)
        if not np.isfinite(moved).all():
            raise GridError(
                "the raster reaches beyond where its coordinate system is defined, so GeoJSON"
                " cannot hold it: name the output *.gpkg"
            )
        shapes = shapely.set_coordinates(shapes.copy(), moved)
        bounds = shapely.bounds(shapes)
        if (bounds[:, 2] - bounds[:, 0] > 180).any():
            raise GridError(
                "a polygon lies across the 180th meridian, which GeoJSON cannot say: name the"
                " output *.gpkg"
            )
        return shapes

    def finish(self, style_qml: str | None) -> None:
        del style_qml  # there is no place for it within
        self._file.write(b"\n]}\n")
        self._file.close()

    def close(self) -> None:
        self._file.close()


def _decimals(grid: Grid) -> int:
    """Decimals of a degree that keep a thousandth of a pixel, and 1 cm at least."""
    metres = math.sqrt(grid.pixel_area_m2())
    return max(7, math.ceil(-math.log10(metres / 111_320 / 1000)))


class _GeoParquet:
    def __init__(self, made: Path, layer: str, grid: Grid, metadata: Mapping[str, str]) -> None:
        del layer
        self._made = made
        self._arrow = importlib.import_module("pyarrow")
        self._parquet = importlib.import_module("pyarrow.parquet")
        self._writer: Any = None
        crs = None
        if grid.crs is not None:
            crs = pyproj.CRS.from_user_input(crs_definition(grid.crs)).to_json_dict()
        column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": crs}
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._metadata = {"geo": json.dumps(geo), **metadata}

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        arrow = self._arrow
        arrays = {name: arrow.array(values) for name, values in columns.items()}
        arrays["geometry"] = arrow.array(shapely.to_wkb(shapes), type=arrow.binary())
        table = arrow.table(arrays).replace_schema_metadata(self._metadata)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._made, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=_BATCH)

    def finish(self, style_qml: str | None) -> None:
        del style_qml  # there is no place for it within
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
