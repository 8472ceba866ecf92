"""A scene and one or more models in, a map out.

Reading, networks, blending, cleaning and writing overlap in time, and each holds a band of rows:
memory depends on the scene's width, never on its height.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from geoseg.errors import InputError
from geoseg.inference.blocks import BlockWork
from geoseg.inference.colour import WantedColour, in_colour, wanted_colour
from geoseg.inference.engines import Engine, OnMachines, make_engine
from geoseg.inference.fit import fit_bands, fit_scale
from geoseg.inference.lane import lane
from geoseg.inference.outputs import Maps, Outputs
from geoseg.inference.plan import described, packages_of
from geoseg.inference.readings import looked_at
from geoseg.inference.settings import PredictSettings, meant_area
from geoseg.inference.source import KnownArea
from geoseg.inference.stream import Work
from geoseg.inference.unfinished import Unfinished, kept_rows, remove_useless
from geoseg.inference.whole import FinishedMap, are_whole, finished_map
from geoseg.models.bundle import ModelBundle
from geoseg.models.device import failures_in_words
from geoseg.raster.allocator import give_back
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.outputs.checks import refuse_inputs
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Scene

_GIVE_BACK_PIXELS = 1 << 26
"""Freed memory goes back to the system after so many: blocks of many sizes leave gaps between them
that fit nothing, more of them the longer a run is."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a run did."""

    outputs: tuple[Path, ...]
    """Rasters written, the class raster first."""
    pixels: dict[str, int]
    """Pixels of each class, by name, in the order of the legend."""
    hectares: dict[str, float] | None
    """The same as areas, where pixels have an area on Earth."""
    nodata: int
    """Pixels without a class."""
    tiles: int
    """Tiles computed."""
    skipped: int
    """Tiles left out because nothing in them is wanted."""
    seconds: float
    """Wall time."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know."""
    taken_over: int = 0
    """Rows that an earlier run had finished."""
    whole: bool = False
    """Whether an earlier run had made the outputs, and nothing was done."""


def predict(
    scene: Scene,
    output: str | Path,
    *,
    models: Sequence[ModelBundle],
    engine: Engine | None = None,
    settings: PredictSettings | None = None,
    probabilities: str | Path | None = None,
    confidence: str | Path | None = None,
    area: KnownArea | None = None,
    area_name: str | None = None,
    device: str = "auto",
    workers: int = 4,
    overwrite: bool = False,
    keep: bool = False,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Prediction:
    """Predict a scene and write the map.

    Parameters
    ----------
    scene
        Anything that `Scene.open` opens; bands are found by the names in the models' cards.
    output
        Class raster to write: uint8, nodata 255, on the scene's own grid.
    models
        One model, or an ensemble whose probabilities are averaged.
    engine
        The models made ready for the same settings and device, where many scenes share them or
        other machines have them.
    settings
        Tiles, weights, symmetries, scale, cleaning.
    probabilities
        Raster to write with one band a class, float32 in [0, 1], NaN where there is no class.
        Components that cleaning removes keep their probabilities.
    confidence
        Raster to write with the probability of the most probable class.
    area, area_name
        Where a map is wanted, and what to call that in the output's metadata; everywhere if None.
    device, workers
        Where networks run, several cards (``cuda:0,1``) with blocks of rows each, and threads that
        read and compute; neither changes the result on the processor.
    overwrite
        Replace outputs that are there.
    keep
        Whether finished rows outlive this run if it is stopped: killed, interrupted, or by a disk
        that is full.
    resume
        Go on from such rows, and `keep` them again. Where none are, all is computed; where the
        outputs are whole and made of the same, nothing is.
    progress
        Called with numbers of finished pixels.

    Raises
    ------
    InputError
        No valid pixel, or bands that the models need are missing; models that learned in different
        colours, or a colour asked for that there is not.
    OutputError
        Outputs are there already, or cannot be written; rows that are kept are of another scene,
        model or setting.
    """
    began = time.perf_counter()
    settings = fit_scale(settings or PredictSettings(), [bundle.card for bundle in models])
    engine = engine or make_engine(models, settings, device=device)
    scene, notes = fit_bands(scene, [bundle.card for bundle in models])
    card = models[0].card
    colour = wanted_colour(settings.homogenise, [bundle.card for bundle in models])
    contents = scene.fingerprint()
    tags = _tags(scene, contents, models, settings, area, area_name, colour)
    wanted = Outputs.of(output, probabilities, confidence)
    refuse_inputs(wanted.paths, [*scene.files, *colour.files])
    if resume and not overwrite and not kept_rows(output) and are_whole(wanted.paths, tags):
        maps: FinishedMap | Maps = finished_map(wanted.classes, card.legend, workers=workers)
        remove_useless(wanted.paths)
        rows = scene.grid.height
        if progress is not None:
            progress(rows * scene.grid.width)
        told = _told(wanted, maps, scene, Work(), began, notes, taken_over=rows)
        return replace(told, whole=True)
    scene, more = in_colour(scene, colour, [bundle.card for bundle in models], workers=workers)
    notes += more
    work = Work()
    kept: AbstractContextManager[Unfinished | None] = nullcontext()
    if keep or resume:
        plan = described(
            scene,
            contents,
            models,
            settings,
            wanted.words(),
            area=area,
            area_name=area_name,
            colour=colour,
            device=engine.kind,
            tags=tags,
        )
        kept = Unfinished(wanted.paths, plan, resume=resume, overwrite=overwrite)
    with kept as unfinished:
        if unfinished is not None and unfinished.done.made:
            # It was stopped while outputs got their names: those that have theirs get them again.
            there = [path for path in wanted.paths if path.exists()]
            overwrite = overwrite or (bool(there) and are_whole(there, tags))
        with Maps(
            wanted,
            grid=scene.grid,
            legend=card.legend,
            tags=tags,
            min_area=settings.min_area,
            workers=workers,
            overwrite=overwrite,
            unfinished=unfinished,
        ) as maps:
            taken_over = maps.rows
            wish = BlockWork(
                scene=scene,
                settings=settings,
                area=area,
                confidence=wanted.confidence is not None,
                probabilities=wanted.probabilities is not None,
                packing=maps.packing if isinstance(engine, OnMachines) else None,
            )
            with looked_at(scene, card) as strange:
                _compute(maps, wish, engine, workers, work, progress)
                notes += strange()
            if maps.valid_pixels == 0:
                if unfinished is not None:
                    unfinished.remove()
                raise InputError(_nothing(scene, area_name))
            maps.finish()
        if unfinished is not None:
            unfinished.remove()
    return _told(wanted, maps, scene, work, began, notes, taken_over=taken_over)


def _told(
    wanted: Outputs,
    maps: Maps | FinishedMap,
    scene: Scene,
    work: Work,
    began: float,
    notes: Sequence[str],
    *,
    taken_over: int,
) -> Prediction:
    return Prediction(
        outputs=wanted.paths,
        pixels=maps.pixels,
        hectares=maps.hectares,
        nodata=scene.grid.height * scene.grid.width - sum(maps.pixels.values()),
        tiles=work.tiles,
        skipped=work.skipped,
        seconds=time.perf_counter() - began,
        notes=(*notes, *work.notes),
        taken_over=taken_over,
    )


def _compute(
    maps: Maps,
    wish: BlockWork,
    engine: Engine,
    workers: int,
    work: Work,
    progress: Callable[[int], None] | None,
) -> None:
    """Compute the rows that are not there yet, and write them."""
    if progress is not None and maps.rows:
        progress(maps.rows * wish.scene.grid.width)
    with (
        failures_in_words(),
        lane("geoseg-write") as write,
        closing(engine.rows(wish, first=maps.rows, workers=workers, count=work)) as found,
    ):
        since = 0
        for rows in found:
            write(lambda r=rows: maps.write(*r))  # type: ignore[misc]
            if progress is not None:
                progress(rows.class_index.size)
            since += rows.class_index.size
            if since > _GIVE_BACK_PIXELS:
                give_back()
                since = 0
        write.drain()
        give_back()


def _nothing(scene: Scene, area_name: str | None) -> str:
    if area_name is None:
        return f"{scene.name}: every pixel is nodata in one of the bands used; nothing to predict"
    return f"{scene.name}: no valid pixel inside {area_name}; nothing to predict"


def _tags(
    scene: Scene,
    contents: str,
    models: Sequence[ModelBundle],
    settings: PredictSettings,
    area: KnownArea | None,
    area_name: str | None,
    colour: WantedColour,
) -> dict[str, str]:
    """Say in the output's metadata what made it, in the same words for every way of running it."""
    options, inputs = settings.words(), {scene.name: contents, **colour.inputs}
    if area_name is not None:
        options["region"] = area_name
    if area is not None and area_name is not None:
        inputs[area_name] = area.fingerprint()
    # By their names alone, however they were given: on other machines paths are others.
    names = [Path(path).name if is_local_file(path) else path for path in scene.paths]
    command = ["geoseg", "predict", *names]
    for bundle in models:
        command += ["--model", f"{bundle.card.name}{bundle.suffix}"]
    return provenance(
        [*command, *option_words(options)],
        inputs,
        model=[{bundle.card.name: bundle.card.hash} for bundle in models],
        options=options | meant_area(settings.min_area, settings.min_area_given),
        also=packages_of(models),
    )
