"""What formats of polygons make of a layer: batches in, one file out. See `layer.py`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geoseg.errors import GridError
from geoseg.raster.geoparquet import ParquetLayer
from geoseg.raster.layerstyle import NO_DATE
from geoseg.raster.region import polygonal, valid
from geoseg.raster.vector import configured

Columns = Mapping[str, NDArray[Any]]


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


class Sink(Protocol):
    """One format."""

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        """Add features."""

    def finish(self) -> None:
        """Write what comes last."""

    def close(self) -> None:
        """Close the file, finished or not."""


class _GeoPackage:
    def __init__(self, made: Path, form: Form, metadata: Mapping[str, str]) -> None:
        self._made, self._form, self._metadata = made, form, metadata
        self._begun = False

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        options: dict[str, Any] = (
            {"append": True}
            if self._begun
            else {
                "dataset_options": {"VERSION": "1.2"},  # newer ones make older readers warn
                "dataset_metadata": dict(self._metadata),
            }
        )
        self._begun = True
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

    def finish(self) -> None:
        """Nothing: every batch closes the file."""

    def close(self) -> None:
        """Nothing: every batch closes the file."""


class _GeoJson:
    def __init__(self, made: Path, form: Form, metadata: Mapping[str, str]) -> None:
        self._file: BinaryIO = made.open("wb")
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

    def finish(self) -> None:
        self._file.write(b"\n]}\n")
        self._file.close()

    def close(self) -> None:
        self._file.close()


class _GeoParquet:
    def __init__(self, made: Path, form: Form, metadata: Mapping[str, str]) -> None:
        self._layer = ParquetLayer(made, form.crs, form.kind, metadata)

    def write(self, shapes: NDArray[Any], columns: Columns) -> None:
        self._layer.write(list(shapely.to_wkb(shapes)), columns)

    def finish(self) -> None:
        self._layer.close()

    def close(self) -> None:
        self._layer.close()


FORMATS: dict[str, Callable[[Path, Form, Mapping[str, str]], Sink]] = {
    ".gpkg": _GeoPackage,
    ".parquet": _GeoParquet,
    ".geojson": _GeoJson,
    ".json": _GeoJson,
}
"""By the ending of the file's name."""
