"""A class raster as polygons: what is wanted, and the way from file to file.

`geoseg.raster.polygons` traces and writes; here it is said which classes become polygons, how large
they must be, how much simpler their borders, and what each polygon says of itself. The raster is
read from top to bottom, once more before that where zones are measured. `making` does it; here is
what comes before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.assessment.classids import ClassIds
from geoseg.assessment.keptpolygons import KIND, PolygonRun, remove_leftover
from geoseg.assessment.polygonmaking import Making
from geoseg.assessment.polygonsettings import Amount, VectoriseSettings
from geoseg.assessment.zonetable import LAYER, PURPOSE, ZoneAmount
from geoseg.errors import BandError, GridError, OptionError, OutputError
from geoseg.raster.legend import Legend, LegendClass
from geoseg.raster.legend.polygons import classes_tag
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.outputs.checks import check_outputs, refuse_inputs
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.outputs.unfinished import check_leftover
from geoseg.raster.polygons.files.beside import place_beside
from geoseg.raster.polygons.files.layer import check_polygon_output
from geoseg.raster.provenance import DATE, VERSIONS, option_words, provenance, versions
from geoseg.raster.scene import Scene
from geoseg.raster.vector import fingerprint_polygons, read_tags

__all__ = ["Amount", "VectoriseSettings", "Vectorised", "vectorise"]


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
    taken_over: int = 0
    """Rows of the raster that an earlier run had finished, those measured for zones among them."""
    whole: bool = False
    """Whether an earlier run had made the file of the same; then nothing is made, or counted."""


def vectorise(
    source: str | Path,
    output: str | Path,
    *,
    settings: VectoriseSettings | None = None,
    workers: int = 4,
    overwrite: bool = False,
    keep: bool = False,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Vectorised:
    """Write the polygons of a class raster.

    Each polygon has the columns ``class`` (id), ``name``, ``color`` (#rrggbb), ``pixels`` and,
    where pixels have an area on Earth, ``area_ha``: that of its pixels on the ellipsoid, whatever
    was made simpler. `geoseg.raster.labels.rasterise.rasterise` makes the same classes of them.

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
    keep
        Whether what is finished outlives this run if it is stopped: killed, interrupted, or by a
        disk that is full. A GeoPackage is then copied now and then, so it takes up to three times
        its room on the disk while it is made.
    resume
        Go on from that, and `keep` it again. Where there is nothing, all is made; where the file is
        there and was made of the same, nothing is.
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
        The file cannot be written; what is kept is of another raster or of other settings.
    """
    began = time.perf_counter()
    settings = settings or VectoriseSettings()
    target = check_polygon_output(output, overwrite=overwrite or resume)
    check_leftover([target], KIND, resume=resume, overwrite=overwrite)
    scene = _open(source, target, settings, overwrite or resume)
    legend = raster_legend(scene.paths[0])
    ids = ClassIds(str(source), legend, settings.classes)
    zones = settings.zones and fingerprint_polygons(settings.zones, purpose=PURPOSE)
    contents = scene.fingerprint()
    tags = _tags(scene, contents, settings, zones) | classes_tag(ids.legend)
    if resume and not overwrite:
        files = _outputs(target, settings)
        _refuse_others(files, tags)
        if target.exists():  # it comes last
            remove_leftover(target)
            return _whole(files, time.perf_counter() - began)
    with ExitStack() as stack:
        run = None
        if keep or resume:
            plan = _plan(scene, contents, settings, zones, tags)
            run = stack.enter_context(PolygonRun(target, plan, resume=resume, overwrite=overwrite))
        making = Making(
            source=str(source),
            scene=scene,
            settings=settings,
            ids=ids,
            tags=tags,
            run=run,
            workers=workers,
            progress=progress,
        )
        try:
            made = making.make(target, overwrite=overwrite)
        except OSError as error:
            raise output_error(error, target) from error
        if run is not None:
            run.remove()
    notes = [*making.notes, *_notes_of_classes(source, legend, list(made.classes))]
    if settings.zones is None and len(made.files) == 1:
        notes.append(_note_of_style(target))
    return Vectorised(
        files=made.files,
        features=made.features,
        classes=made.classes,
        left_out=made.left_out,
        zones=made.zones,
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
        taken_over=making.taken_over,
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


def _outputs(target: Path, settings: VectoriseSettings) -> list[Path]:
    """List the files of features: the polygons, and zones in formats of one layer."""
    beside = [] if settings.zones is None else [place_beside(target, LAYER)]
    return list(dict.fromkeys([target, *beside]))


def _refuse_others(files: Iterable[Path], tags: Mapping[str, str]) -> None:
    """Refuse to go on over files that were not made of the same."""
    wanted = {name: text for name, text in tags.items() if name not in VERSIONS}
    for path in files:
        if path.exists():
            found = read_tags(path)
            if any(found.get(name) != text for name, text in wanted.items()):
                raise OutputError(
                    f"{path} is there already, made of something else; replace it with --overwrite"
                )


def _whole(files: Iterable[Path], seconds: float) -> Vectorised:
    return Vectorised(
        files=tuple(path for path in files if path.exists()),
        features=0,
        classes={},
        left_out=Amount(polygons=0, pixels=0, hectares=None),
        notes=(),
        seconds=seconds,
        whole=True,
    )


def _plan(
    scene: Scene,
    contents: str,
    settings: VectoriseSettings,
    zones: str | None,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Say what determines the polygons, to the bit; of raster and zones, their digests."""
    grid = scene.grid
    return {
        **{f"--{name}": value for name, value in settings.words().items()},
        "raster": scene.name,
        "contents": contents,
        "grid": f"{grid.describe()}, from {grid.transform.c!r}, {grid.transform.f!r}",
        "transform": list(grid.transform)[:6],
        "classes": [text for name, text in sorted(tags.items()) if not name.startswith("GEOSEG_")],
        "zones": zones,
        "versions": versions(),
        "tags": {name: text for name, text in tags.items() if name != DATE},
    }


def _tags(
    scene: Scene, contents: str, settings: VectoriseSettings, zones: str | None
) -> dict[str, str]:
    options = settings.words()
    command = ["geoseg", "vectorise", *scene.paths, *option_words(options)]
    inputs = {scene.name: contents}
    if settings.zones is not None and zones is not None:
        inputs[settings.zones.partition("|layername=")[0]] = zones
    return provenance(command, inputs, options=options)
