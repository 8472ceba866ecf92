"""GeoParquet, written and read with pyarrow: geometries are WKB, attributes are columns.

Knows no geometry: what WKB means is for `vector.py` and `polygons/files.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from geoseg.errors import VectorError

_GROUP = 50_000


def can_arrow() -> bool:
    """Tell whether pyarrow is there."""
    return importlib.util.find_spec("pyarrow") is not None


class ParquetLayer:
    """A layer that grows by batches.

    Parameters
    ----------
    made
        The file.
    crs
        Coordinate system in a form that PROJ reads; None for none.
    kind
        Of the geometries, as OGC names it.
    metadata
        Tags of the file.
    """

    def __init__(self, made: Path, crs: str | None, kind: str, metadata: Mapping[str, str]) -> None:
        self._made = made
        self._arrow = importlib.import_module("pyarrow")
        self._parquet = importlib.import_module("pyarrow.parquet")
        self._writer: Any = None
        system = None if crs is None else pyproj.CRS.from_user_input(crs).to_json_dict()
        column = {"encoding": "WKB", "geometry_types": [kind], "crs": system}
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._metadata = {"geo": json.dumps(geo), **metadata}

    def write(self, wkb: Sequence[bytes], columns: Mapping[str, NDArray[Any]]) -> None:
        """Add features: geometries, and their attributes by name."""
        self._add(self._table(wkb, columns))

    def write_kept(self, wkb: Sequence[bytes], columns: Mapping[str, NDArray[Any]]) -> memoryview:
        """Add features as `write` does; return them in a form for `write_again`."""
        table = self._table(wkb, columns)
        self._add(table)
        sink = self._arrow.BufferOutputStream()
        with self._arrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return memoryview(sink.getvalue())

    def write_again(self, batch: bytes) -> None:
        """Add features that `write_kept` returned, to another file; it comes to the same bytes."""
        with self._arrow.ipc.open_stream(batch) as stream:
            self._add(stream.read_all())

    def _table(self, wkb: Sequence[bytes], columns: Mapping[str, NDArray[Any]]) -> Any:
        arrow = self._arrow
        arrays = {name: arrow.array(values, from_pandas=True) for name, values in columns.items()}
        arrays["geometry"] = arrow.array(wkb, type=arrow.binary())
        return arrow.table(arrays).replace_schema_metadata(self._metadata)

    def _add(self, table: Any) -> None:
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._made, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=_GROUP)

    def close(self) -> None:
        """Finish the file; safe to call again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def is_geoparquet(path: str) -> bool:
    """Tell by its name whether a file is one, which the vector side of GDAL need not read."""
    return path.lower().endswith((".parquet", ".geoparquet")) and Path(path).is_file()


def read_geoparquet(path: str, *, fields: bool) -> tuple[str | None, Any, dict[str, NDArray[Any]]]:
    """Read all features.

    Returns
    -------
    Their coordinate system in a form that PROJ reads, or None; (features,) WKB, None where a
    feature has no geometry; and, if wanted, attributes by name: (features,) each.

    Raises
    ------
    VectorError
        pyarrow is not there, or the file is no GeoParquet with geometries in WKB.
    """
    with _opened(path) as file:
        column, system = _geometry(file, path)
        names = [n for n in file.schema_arrow.names if n == column or fields]
        table = file.read(columns=names)
    wkb = np.empty(table.num_rows, dtype=object)
    wkb[:] = table.column(column).to_pylist()
    columns = {}
    for name in names:
        if name != column:
            values = table.column(name)
            columns[name] = values.to_numpy() if _is_number(values) else _objects(values)
    return system, wkb, columns


def parquet_tags(path: str) -> dict[str, str]:
    """Tags of a file.

    Raises
    ------
    VectorError
        As `read_geoparquet`.
    """
    with _opened(path) as file:
        found = file.schema_arrow.metadata or {}
    return {
        key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()
    }


def _opened(path: str) -> Any:
    if not can_arrow():
        raise VectorError(f"{path}: GeoParquet needs pyarrow: install it (pip install pyarrow)")
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    try:
        return parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise VectorError(f"{path} is no Parquet file that can be read") from error


def _geometry(file: Any, path: str) -> tuple[str, str | None]:
    """Name of the column of geometries, and their coordinate system."""
    try:
        geo = json.loads((file.schema_arrow.metadata or {})[b"geo"])
        name = str(geo["primary_column"])
        column = geo["columns"][name]
        if column["encoding"] != "WKB" or name not in file.schema_arrow.names:
            raise VectorError(f"{path}: only GeoParquet with geometries in WKB is read")
        # What is not named is longitude and latitude; null is unknown.
        given = column.get("crs", "OGC:CRS84")
        system = None if given is None else pyproj.CRS.from_user_input(given)
    except (KeyError, TypeError, AttributeError, ValueError, CRSError) as error:
        raise VectorError(f"{path} is Parquet without geometries that can be read") from error
    if system is None:
        return name, None
    authority = system.to_authority(min_confidence=100)
    return name, ":".join(authority) if authority else system.to_wkt()


def _is_number(values: Any) -> bool:
    return values.null_count == 0 and str(values.type).startswith(
        ("int", "uint", "float", "double")
    )


def _objects(values: Any) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = values.to_pylist()
    return found
