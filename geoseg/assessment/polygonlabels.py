"""Polygons as labels: painted on the prediction's grid, then a raster like any other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.assessment.codes import by_id
from geoseg.errors import OptionError
from geoseg.raster.heads import RASTER_SUFFIXES
from geoseg.raster.legend import Legend

_SUFFIXES = (".gpkg", ".shp", ".geojson", ".fgb", ".kml", ".gml", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a prediction is compared with."""

    path: str
    """A raster, or a folder of masks."""
    name: str
    """What people call it: the file as given."""
    classes: Legend | None
    """Classes that were given; None where the rasters say."""
    notes: tuple[str, ...] = ()
    """What was done, in words."""


@contextmanager
def open_labels(
    source: str, prediction: str, *, field: str | None, classes: str | None, workers: int = 4
) -> Iterator[Labels]:
    """Make labels a raster, for as long as the context lasts, if they are polygons.

    A pixel has the class of the polygon that its centre lies in, of several the last; outside of
    all it is not scored. The raster is a temporary file.

    Parameters
    ----------
    source
        A raster, a folder, or a file of polygons.
    prediction
        The raster on whose pixels polygons are painted, and whose classes they have if none are
        given.
    field
        Attribute that says the class of a polygon; None for rasters.
    classes
        As for `Legend.parse`.
    workers
        Threads that compress.

    Raises
    ------
    OptionError
        A field of a raster, or polygons of several classes without one.
    VectorError, LabelError, GridError, RasterReadError
        As `geoseg.raster.rasterise.rasterise`.
    """
    bare = source.partition("|layername=")[0]
    suffix = Path(bare).suffix.lower()
    given = None if classes is None else Legend.parse(classes)
    if field is None and suffix not in _SUFFIXES:
        yield Labels(path=source, name=source, classes=given)
        return
    if suffix in RASTER_SUFFIXES or Path(bare).is_dir():
        raise OptionError(f"{source} holds no polygons: leave out --field")
    from geoseg.raster.rasterise import RasteriseSettings, rasterise  # noqa: PLC0415 — geopandas

    wanted = classes
    if wanted is None and Legend.of_raster(prediction) is not None:
        wanted = prediction
    with tempfile.TemporaryDirectory(prefix="geoseg-labels-") as folder:
        made = rasterise(
            source,
            prediction,
            Path(folder) / "labels.tif",
            settings=RasteriseSettings(field=field, classes=wanted),
            workers=workers,
        )
        yield Labels(
            path=str(made.output),
            name=source,
            classes=by_id(made.legend),
            notes=tuple(made.notes),
        )
