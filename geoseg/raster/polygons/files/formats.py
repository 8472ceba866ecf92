"""What formats of polygons make of a layer: batches in, one file out. See `layer.py`."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geoseg.errors import GridError
from geoseg.raster.cover.region import polygonal, valid
from geoseg.raster.geoparquet import ParquetLayer
from geoseg.raster.legend.layerstyle import NO_DATE
from geoseg.raster.polygons.parts import CutShortError, open_kept, read_all, write_all
from geoseg.raster.vector import configured

Columns = Mapping[str, NDArray[Any]]
Mark = Mapping[str, Any]
"""How much of a file is whole: plain JSON."""

COPIES = ("copy-0", "copy-1")
BATCHES = "batches.raw"
"""What is kept beside a file that grows: whole GeoPackages, or what a GeoParquet was given."""


def copy_name(number: int) -> str:
    """Name of the copy of a GeoPackage that a mark made, by its number."""
    return COPIES[number % len(COPIES)]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a format needs to know of a layer before its features."""

    layer: str
    """Its name."""
    crs: str | None
    """Coordinate system in a form that PROJ reads."""
    kind: str = "Polygon"
    """Polygon or MultiPolygon."""
    decimals: int = 7
    """Decimals of a degree, where it comes to that."""
    turn: bool | None = None
    """Whether outer rings run clockwise on a map; None where they run in any direction."""
    is_kept: bool = False
    """Whether `Sink.mark` will be asked for."""


class Sink(Protocol):
    """One format."""

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        """Add features."""

    def mark(self) -> Mark:
        """Have what was written on the disk itself; say how another run goes on from there.

        What an earlier mark needs stays until the next but one.
        """

    def finish(self) -> None:
        """Write what comes last."""

    def close(self) -> None:
        """Close the file, finished or not."""


class _GeoPackage:
    def __init__(
        self, made: Path, form: Form, metadata: Mapping[str, str], again: Mark | None = None
    ) -> None:
        self._made, self._form, self._metadata = made, form, metadata
        self._begun = self._is_marked = False
        self._marks = 0
        made.unlink(missing_ok=True)
        if again is not None and again["number"] is not None:
            self._marks = int(again["number"])
            # The copy stays what it is: this run may be stopped as well.
            shutil.copyfile(self._copy(self._marks), made)
            self._begun = self._is_marked = True

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        options: dict[str, Any] = (
            {"append": True}
            if self._begun
            else {
                "dataset_options": {"VERSION": "1.2"},  # newer ones make older readers warn
                "dataset_metadata": dict(self._metadata),
            }
        )
        self._begun, self._is_marked = True, False
        with configured("OGR_CURRENT_DATE", NO_DATE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            pyogrio.raw.write(
                self._made,
                geometry=shapely.to_wkb(shapes),
                field_data=list(columns.values()),
                fields=np.array(list(columns), dtype=object),
                layer=self._form.layer,
                driver="GPKG",
                geometry_type=self._form.kind,
                crs=self._form.crs,
                **options,
            )

    def mark(self) -> Mark:
        """Copy the file: a batch changes it all over, and one that is stopped leaves half of it."""
        if self._begun and not self._is_marked:
            self._marks += 1  # over the last but one: what is noted needs the last
            with self._made.open("rb") as made, self._copy(self._marks).open("wb") as copy:
                shutil.copyfileobj(made, copy, 1 << 22)
                copy.flush()
                os.fsync(copy.fileno())
            self._is_marked = True
        return {"number": self._marks if self._begun else None}

    def _copy(self, number: int) -> Path:
        return self._made.with_name(copy_name(number))

    def finish(self) -> None:
        """Nothing: every batch closes the file."""

    def close(self) -> None:
        """Nothing: every batch closes the file."""


class _GeoJson:
    def __init__(
        self, made: Path, form: Form, metadata: Mapping[str, str], again: Mark | None = None
    ) -> None:
        self._file: BinaryIO = made.open("wb" if again is None else "r+b")
        self._move: pyproj.Transformer | None = None
        self._decimals = form.decimals
        self._turn = form.turn
        self._first = True
        if form.crs is not None:
            try:
                here = pyproj.CRS.from_user_input(form.crs)
                self._move = pyproj.Transformer.from_crs(here, "OGC:CRS84", always_xy=True)
            except ProjError as error:
                self._file.close()
                raise GridError(
                    "the raster's coordinate system cannot be brought to WGS 84, in which GeoJSON"
                    f" is: name the output *.gpkg ({' '.join(str(error).split())})"
                ) from error
        if again is not None:
            self._first = bool(again["first"])
            if made.stat().st_size < again["size"]:
                self._file.close()
                raise CutShortError(errno.EIO, "a file of finished work was cut short")
            self._file.truncate(again["size"])
            self._file.seek(again["size"])
            return
        head = {"type": "FeatureCollection", "name": form.layer, "metadata": dict(metadata)}
        text = json.dumps(head, ensure_ascii=False)
        self._file.write(f'{text[:-1]}, "features": ['.encode())

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        if self._move is not None:
            shapes = self._in_degrees(shapes)
        if self._turn is None:
            # Corners that a cut made may cross their neighbours once they are rounded.
            shapes = shapely.orient_polygons(polygonal(valid(shapes)))
        elif self._turn:
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
        moved = np.round(np.column_stack([lon, lat]), self._decimals)
        if not np.isfinite(moved).all():
            raise GridError(
                "the raster reaches beyond where its coordinate system is defined, so GeoJSON"
                " cannot hold it: name the output *.gpkg"
            )
        shapes = shapely.set_coordinates(shapes.copy(), moved)
        bounds = shapely.bounds(shapely.get_parts(shapes))
        if (bounds[:, 2] - bounds[:, 0] > 180).any():
            raise GridError(
                "a polygon lies across the 180th meridian, which GeoJSON cannot say: name the"
                " output *.gpkg"
            )
        return shapes

    def mark(self) -> Mark:
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"size": self._file.tell(), "first": self._first}

    def finish(self) -> None:
        self._file.write(b"\n]}\n")
        self._file.close()

    def close(self) -> None:
        self._file.close()


class _GeoParquet:
    """Its index comes last, so a file without it is none: another run writes it all again.

    That takes little time beside finding the polygons; batches are kept as they were given.
    """

    def __init__(
        self, made: Path, form: Form, metadata: Mapping[str, str], again: Mark | None = None
    ) -> None:
        self._layer = ParquetLayer(made, form.crs, form.kind, metadata)
        self._kept: FileIO | None = None
        if form.is_kept:
            size = 0 if again is None else int(again["size"])
            self._kept = open_kept(made.with_name(BATCHES), size)
            self._kept.seek(0)
            while self._kept.tell() < size:
                (length,) = struct.unpack("<Q", read_all(self._kept, 8))
                self._layer.write_again(read_all(self._kept, length))

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        wkb = list(shapely.to_wkb(shapes))
        if self._kept is None:
            self._layer.write(wkb, columns)
            return
        batch = self._layer.write_kept(wkb, columns)
        write_all(self._kept, struct.pack("<Q", batch.nbytes))
        write_all(self._kept, batch)

    def mark(self) -> Mark:
        if self._kept is None:
            raise ValueError("the file was not made to be kept")
        os.fsync(self._kept.fileno())
        return {"size": self._kept.tell()}

    def finish(self) -> None:
        self._layer.close()

    def close(self) -> None:
        self._layer.close()
        if self._kept is not None:
            self._kept.close()


FORMATS: dict[str, Callable[[Path, Form, Mapping[str, str], Mark | None], Sink]] = {
    ".gpkg": _GeoPackage,
    ".parquet": _GeoParquet,
    ".geojson": _GeoJson,
    ".json": _GeoJson,
}
"""By the ending of the file's name."""
