"""Polygons as labels: painted on the prediction's grid, then a raster like any other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.assessment.codes import by_id
from geoseg.assessment.many import few_notes
from geoseg.assessment.mapfiles import lacks_place
from geoseg.errors import GridError, LabelError, OptionError, VectorError
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening.heads import RASTER_SUFFIXES, expand

if TYPE_CHECKING:
    from geoseg.raster.labels.rasterise import Rasterised

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
    source: str,
    prediction: str,
    *,
    field: str | None,
    classes: str | None,
    workers: int = 4,
    many: bool = False,
) -> Iterator[Labels]:
    """Make labels rasters, for as long as the context lasts, if they are polygons.

    A pixel has the class of the polygon that its centre lies in, of several the last; outside of
    all it is not scored. The rasters are temporary files.

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
        As for `parse_legend`.
    workers
        Threads that compress.
    many
        Whether `prediction` is a folder, or a pattern, of many maps: labels are then a folder of
        rasters with the names of the maps, those left out that no polygon lies on.

    Raises
    ------
    OptionError
        A field of a raster, or polygons of several classes without one.
    LabelError
        Polygons name classes, and a map does not say which of its values are which.
    VectorError, GridError, RasterReadError
        As `geoseg.raster.labels.rasterise.rasterise`.
    """
    bare = source.partition("|layername=")[0]
    suffix = Path(bare).suffix.lower()
    given = None if classes is None else parse_legend(classes)
    if field is None and suffix not in _SUFFIXES:
        yield Labels(path=source, name=source, classes=given)
        return
    if suffix in RASTER_SUFFIXES or Path(bare).is_dir():
        raise OptionError(f"{source} holds no polygons: leave out --field")
    how: dict[str, Any] = {"field": field, "classes": classes, "workers": workers}
    with tempfile.TemporaryDirectory(prefix="geoseg-labels-") as folder:
        if many:
            notes = _paint_many(source, expand([prediction]), Path(folder), **how)
            legend = None if given is None else by_id(given)
            yield Labels(path=folder, name=source, classes=legend, notes=notes)
            return
        made = _paint(source, prediction, Path(folder) / "labels.tif", **how)
        yield Labels(
            path=str(made.output),
            name=source,
            classes=by_id(made.legend),
            notes=tuple(made.notes),
        )


def _paint_many(source: str, maps: Sequence[str], folder: Path, **how: Any) -> tuple[str, ...]:
    """Paint polygons on every map that any lies on; return what there is to say."""
    said: list[str] = []
    error: GridError | VectorError | None = None
    made = 0
    for path in maps:
        try:
            said += _paint(source, path, folder / f"{Path(path).stem}.tif", **how).notes
        except (GridError, VectorError) as found:
            if lacks_place(path, maps):
                raise type(found)(f"{path}: {found}") from found
            error = error or found
            continue
        made += 1
    if not made and error is not None:
        raise error
    return few_notes(said)


def _paint(
    source: str,
    prediction: str,
    output: Path,
    *,
    field: str | None,
    classes: str | None,
    workers: int,
) -> Rasterised:
    from geoseg.raster.labels.rasterise import RasteriseSettings, rasterise  # noqa: PLC0415 — geopandas

    wanted = classes
    if wanted is None and raster_legend(prediction) is not None:
        wanted = prediction
    made = rasterise(
        source,
        prediction,
        output,
        settings=RasteriseSettings(field=field, classes=wanted),
        workers=workers,
    )
    if wanted is None and made.legend != Legend.of_values(made.legend.ids):
        names = made.legend.names
        example = ",".join(f"{number}={name}" for number, name in enumerate(names[:4], 1))
        raise LabelError(
            f"{prediction} names no classes, so which of its values is {names[0]!r} is not"
            f" known: say so with --classes, as {example}{',…' if len(names) > 4 else ''}"
        )
    return made
