"""A class raster as polygons: what is wanted, and the way from file to file.

`geoseg.raster.polygons` traces and writes; here it is said which classes become polygons, how large
they must be, how much simpler their borders, and what each polygon says of itself. The raster is
read from top to bottom, once more before that where zones are measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.classids import ClassIds, Ground
from geoseg.assessment.dissolving import gather, write_classes, write_cut
from geoseg.assessment.measure import Measure, tolerance_on
from geoseg.assessment.zonetable import LAYER, ZoneAmount, ZoneFile, measure_zones
from geoseg.errors import BandError, GridError, LabelError, OptionError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend, LegendClass
from geoseg.raster.output import check_outputs, refuse_inputs
from geoseg.raster.polygonlegend import CLASS, COLOR, NAME, classes_tag
from geoseg.raster.polygons.files.layer import (
    PolygonFile,
    check_polygon_output,
    place_beside,
)
from geoseg.raster.polygons.simplify import Simplifier
from geoseg.raster.polygons.stream import Polygons, Tally, trace_polygons
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.style import category_qml


@dataclass(frozen=True, kw_only=True)
class VectoriseSettings:
    """What becomes polygons, as one value."""

    classes: tuple[int | str, ...] = ()
    """Ids or names of the classes that are wanted; empty for all."""
    min_area: Measure | None = None
    """Polygons smaller than this are left out."""
    simplify: Measure | None = None
    """How far borders may move; None leaves them on the edges of pixels."""
    dissolve: bool = False
    """Whether all polygons of a class are one feature; with zones, those of each zone."""
    zones: str | None = None
    """File of polygons (``FILE`` or ``FILE|layername=NAME``) in each of which the ground of every
    class is measured."""
    zone_field: str | None = None
    """Attribute that names the zones; by default their places in the file, from 1."""

    def __post_init__(self) -> None:
        if self.zone_field is not None and self.zones is None:
            raise OptionError("--zone-field names zones; it goes with --zones")
        if self.zones is not None and not self.zones.strip():
            raise OptionError("--zones names no file of polygons")

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        words: dict[str, Any] = {}
        if self.classes:
            words["classes"] = ",".join(map(str, self.classes))
        if self.min_area is not None:
            words["min-area"] = str(self.min_area)
        if self.simplify is not None:
            words["simplify"] = str(self.simplify)
        if self.dissolve:
            words["dissolve"] = True
        if self.zones is not None:
            words["zones"] = self.zones
        if self.zone_field is not None:
            words["zone-field"] = self.zone_field
        return words


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much ground some polygons have."""

    polygons: int
    """Number of polygons."""
    pixels: int
    """Their pixels."""
    hectares: float | None
    """Their area on the ellipsoid; None where pixels have no place on Earth."""


@dataclass(frozen=True, kw_only=True)
class Vectorised:
    """What was written."""

    files: tuple[Path, ...]
    """The file of polygons, and what lies beside it: its style, and zones in formats of one layer
    with their own."""
    features: int
    """Features of the layer: its polygons, or dissolved the multipolygons of them."""
    classes: Mapping[LegendClass, Amount]
    """What each class has in the layer, in the order of the legend; those without polygons are not
    there. Cut at the borders of zones, areas are those of the shapes, of each zone anew."""
    left_out: Amount
    """What was too small, on the whole raster."""
    zones: tuple[ZoneAmount, ...] = ()
    """What each zone holds, by its pixels: whatever is left out of the polygons or made simpler."""
    notes: tuple[str, ...]
    """What a person should know, in words."""
    seconds: float
    """How long it took."""


def vectorise(
    source: str | Path,
    output: str | Path,
    *,
    settings: VectoriseSettings | None = None,
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Vectorised:
    """Write the polygons of a class raster.

    Each polygon has the columns ``class`` (id), ``name``, ``color`` (#rrggbb), ``pixels`` and,
    where pixels have an area on Earth, ``area_ha``: that of its pixels on the ellipsoid, whatever
    was made simpler. `geoseg.raster.rasterise.rasterise` makes the same classes of them.

    Dissolved, a feature is all of a class and ``polygons`` says of how many; memory is then that of
    the borders of one, or of a million corners. With zones it is cut at their borders and has the
    column ``zone``, and ``area_ha`` is that of its shape. The zones are a second layer, or a file
    ``NAME_zones.EXT``: with their own attributes, ``NAME_ha`` for each class, and the percent
    without data.

    Parameters
    ----------
    source
        Raster of one band: class ids, 0 to 254; nodata and 255 are no class.
    output
        ``.gpkg``, ``.geojson`` or ``.parquet``; see `geoseg.raster.polygons.files.layer`.
    settings
        Which classes, how large, how simple.
    workers
        Threads that read and trace; they do not change the result.
    overwrite
        Replace a file that is there.
    progress
        Called with numbers of finished pixels.

    Raises
    ------
    RasterReadError, BandError
        The raster cannot be read, or has several bands.
    LabelError
        A pixel is no class id, a class is none, or nothing is left to write.
    GridError
        An area on Earth was asked for and pixels have none.
    VectorError
        Zones cannot be read, or lie elsewhere.
    OutputError
        The file cannot be written.
    """
    began = time.perf_counter()
    settings = settings or VectoriseSettings()
    target = check_polygon_output(output, overwrite=overwrite)
    scene = _open(source, target, settings, overwrite)
    legend = Legend.of_raster(scene.paths[0])
    ground = Ground(scene.grid)
    ids = ClassIds(str(source), legend, settings.classes)
    least = ground.least(settings.min_area)
    notes, zones, table = [*ground.notes], None, None
    if target.suffix.lower() in (".geojson", ".json"):
        notes.append("GeoJSON is in longitude and latitude (WGS 84): coordinates are reprojected")
    if settings.zones is not None:
        zones = ZoneFile.read(settings.zones, scene, settings.zone_field)
        table = measure_zones(scene, ids, ground, zones, workers=workers, progress=progress)
        notes += table.notes
    tally = Tally()
    with ExitStack() as stack:
        file = stack.enter_context(
            PolygonFile(
                target,
                scene.grid,
                overwrite=overwrite,
                metadata=_tags(scene, settings) | classes_tag(ids.legend),
                gathered=settings.dissolve,
            )
        )
        simplifier = None
        if settings.simplify is not None:
            simplifier = stack.enter_context(_simplifier(scene.grid, settings.simplify, file))
        rows = stack.enter_context(closing(_rows(scene, ids, workers, progress)))
        polygons = trace_polygons(
            rows,
            scene.grid.width,
            areas=ground.rows if ground.known else None,
            least_pixels=least[0],
            least_area=least[1],
            simplifier=simplifier,
            tally=tally,
            workers=workers,
        )
        stack.enter_context(closing(polygons))
        if settings.dissolve:
            gather(file, polygons, zones)
        else:
            for some in polygons:
                file.write(some, _columns(some, ids, ground))
        left_out = _amount(
            ground, tally.left_out.sum(), tally.left_out_pixels.sum(), tally.left_out_areas.sum()
        )
        if not tally.polygons.any():
            raise LabelError(_nothing(source, settings, left_out))
        features = int(tally.polygons.sum())
        classes = {
            c: _amount(ground, tally.polygons[c.id], tally.pixels[c.id], tally.areas[c.id])
            for c in ids.classes(np.flatnonzero(tally.polygons).tolist())
        }
        if zones is not None and settings.dissolve:
            features, cut = write_cut(file, ids, ground, zones, scene.grid)
            classes = {
                c: Amount(
                    polygons=cut[c.id].polygons,
                    pixels=round(cut[c.id].pixels),
                    hectares=cut[c.id].hectares,
                )
                for c in classes
                if c.id in cut
            }
            notes.append("polygons are cut at the borders of zones; what lies in none is left out")
        elif settings.dissolve:
            features = write_classes(file, ids, ground, tally)
        style = category_qml(CLASS, {str(c.id): (c.name, c.color) for c in classes}, alpha=255)
        files = file.publish(style, None if table is None else table.layer)
    notes += _notes_of_classes(source, legend, list(classes))
    if table is None and len(files) == 1:
        notes.append(_note_of_style(target))
    return Vectorised(
        files=tuple(files),
        features=features,
        classes=classes,
        left_out=left_out,
        zones=() if table is None else table.zones,
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
    )


def _open(source: str | Path, target: Path, settings: VectoriseSettings, overwrite: bool) -> Scene:
    """Open a class raster of which a file of polygons can be made."""
    scene = Scene.open(source)
    if len(scene.bands) != 1:
        raise BandError(
            f"{source} has {len(scene.bands)} bands ({', '.join(scene.band_names[:6])}), not the"
            " one of a class raster"
        )
    outputs, read = [target], [*scene.files]
    if settings.zones is not None:
        outputs = list(dict.fromkeys([target, place_beside(target, LAYER)]))
        check_outputs(outputs, overwrite=overwrite)
        read.append(settings.zones.partition("|layername=")[0])
        if target.suffix.lower() == ".gpkg" and target.stem.casefold() == LAYER:
            raise OptionError(f"{target}: its second layer is called {LAYER}; name it otherwise")
    refuse_inputs(outputs, read)
    if target.suffix.lower() in (".geojson", ".json") and scene.grid.crs is None:
        raise GridError(
            f"{source} has no coordinate system, and GeoJSON is in longitude and latitude"
            " alone; name the output *.gpkg"
        )
    return scene


def _simplifier(grid: Grid, length: Measure, file: PolygonFile) -> Simplifier:
    tolerance, metric = tolerance_on(grid, length)
    return Simplifier(
        grid.height, grid.width, tolerance=tolerance, metric=metric, folder=file.folder
    )


def _notes_of_classes(
    source: str | Path, legend: Legend | None, classes: list[LegendClass]
) -> list[str]:
    if legend is None:
        return [f"{source} names no classes: polygons are named by their values"]
    return [
        f"{source}: the value {c.id} is none of its classes; its polygons are named '{c.name}'"
        for c in classes
        if c.id not in legend.ids
    ]


def _note_of_style(target: Path) -> str:
    is_package = target.suffix.lower() == ".gpkg"
    return f"{target.with_suffix('.qml').name} is the style of a raster and stays; " + (
        "the GeoPackage holds its own"
        if is_package
        else "name the output otherwise to get one for the polygons"
    )


def _amount(ground: Ground, polygons: int, pixels: int, area: float) -> Amount:
    return Amount(polygons=int(polygons), pixels=int(pixels), hectares=ground.hectares_of(area))


def _rows(
    scene: Scene, ids: ClassIds, workers: int, progress: Callable[[int], None] | None
) -> Generator[NDArray[np.uint8], None, None]:
    """Read rows (rows, cols) of class ids, from the top."""
    with closing(read_strips([scene], workers=workers, convert=ids.convert)) as strips:
        for strip in strips:
            yield strip.arrays[0]
            if progress is not None:
                progress(strip.height * scene.grid.width)


def _columns(some: Polygons, ids: ClassIds, ground: Ground) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        CLASS: some.values.astype(np.int32),
        NAME: ids.names[some.values],
        COLOR: ids.colors(some.values),
        "pixels": some.pixels,
    }
    if ground.known:
        columns["area_ha"] = np.round(ground.hectares(some.areas), 6)
    return columns


def _nothing(source: str | Path, settings: VectoriseSettings, left_out: Amount) -> str:
    if left_out.polygons:
        return (
            f"all {left_out.polygons:,} polygons of {source} are smaller than"
            f" {settings.min_area}: give a smaller --min-area"
        )
    which = " of the classes that are wanted" if settings.classes else ""
    return f"{source} has no pixel{which or ' with a class'}: there is nothing to write"


def _tags(scene: Scene, settings: VectoriseSettings) -> dict[str, str]:
    options = settings.words()
    command = ["geoseg", "vectorise", *scene.paths, *option_words(options)]
    inputs = {scene.name: scene.fingerprint()}
    if settings.zones is not None:
        path = settings.zones.partition("|layername=")[0]
        inputs[path] = fingerprint_files([path]) if Path(path).is_file() else ""
    return provenance(command, inputs, options=options)
