"""A scene and an image-level model in; activation maps and weak labels out.

First the maps of the whole scene, blended from overlapping tiles, row by row into the file that
they will be. Then, from that file, classes: by then the statistics of every map are known, and a
regression can be fitted. Memory depends on the scene's width alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from geoseg.inference.cam.activation import make_activations
from geoseg.inference.cam.combine import Combination
from geoseg.inference.cam.document import document
from geoseg.inference.cam.files import CamFiles, CamOutputs
from geoseg.inference.cam.making import Guides, Making
from geoseg.inference.cam.measure import Measures, choose_panels
from geoseg.inference.cam.reference import FittedPatches, Reference
from geoseg.inference.cam.result import CamResult, CamScores, Panel
from geoseg.inference.cam.settings import LabelSettings, MapSettings
from geoseg.inference.colour import in_colour, wanted_colour
from geoseg.inference.fit import fit_bands
from geoseg.inference.readings import strange_readings
from geoseg.models.bundle import ModelBundle
from geoseg.models.device import failures_in_words, resolve_device
from geoseg.raster.legend import Legend
from geoseg.raster.opening.handles import small_block_cache
from geoseg.raster.outputs.checks import refuse_inputs
from geoseg.raster.scene import Scene

# Neighbouring blocks of labels read some of the same blocks of the scene.
_CACHE_BYTES = 1 << 28


def make_cam(
    scene: Scene,
    outputs: CamOutputs,
    *,
    model: ModelBundle,
    maps: MapSettings | None = None,
    labels: LabelSettings | None = None,
    guides: Guides | None = None,
    page: Callable[[CamResult], str] | None = None,
    device: str = "auto",
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> CamResult:
    """Make class activation maps of a scene, and weak labels of them.

    Parameters
    ----------
    scene
        Anything that `Scene.open` opens; bands are found by the names in the model's card.
    outputs
        What to write where.
    model
        An image-level model.
    maps, labels
        How maps and labels are made; None for the defaults, with tiles of the size that the model
        learned from.
    guides
        What else is known.
    page
        Makes the report of the result, where `outputs` name one.
    device, workers
        Where the network runs, and threads that read and compute; neither changes the result on
        the processor.
    overwrite
        Replace outputs that are there.
    progress
        Called with numbers of finished pixels; every pixel is finished twice, as map and as label,
        where labels are made.

    Raises
    ------
    InputError
        No valid pixel, or bands that the model needs are missing.
    LabelError, GridError
        The reference cannot be laid on the scene, or nothing can be learned from it.
    ModelError
        The model is not one of image-level labels.
    OptionError
        Outputs or settings do not go together.
    OutputError
        Outputs are there already, or cannot be written.
    """
    began = time.perf_counter()
    card = model.card
    guides = guides or Guides()
    labels = labels or LabelSettings()
    maps = replace(maps or MapSettings(tile=card.tile), reduce=card.scale)
    activations = make_activations(
        model,
        device=resolve_device(device),
        precision=maps.precision,
        upsampling=maps.upsampling,
        bias=maps.bias,
        tta=maps.tta,
        scales=maps.scales,
    )
    maps = maps.stepping(activations.network.stride)
    scene, notes = fit_bands(scene, [card])
    colour = wanted_colour(maps.homogenise, [card])
    reference, more = _reference(guides, scene, card.legend)
    notes += more
    outputs.check(overwrite=overwrite, reference=reference is not None)
    of_labels = [] if guides.reference is None else guides.reference.files
    refuse_inputs(outputs.paths, [*scene.files, *colour.files, *of_labels])
    scene, more = in_colour(scene, colour, [card], workers=workers)
    notes += [*more, *strange_readings(scene, card)]
    fitted, more = _to_fit_on(reference, outputs, maps, labels)
    notes += more
    made = Making(
        scene=scene,
        model=model,
        maps=maps,
        labels=labels,
        guides=guides,
        activations=activations,
        colour=colour,
        workers=workers,
        progress=progress or (lambda _: None),
    )
    if fitted is None and labels.combine == "logistic":
        notes += made.take_kept()
    with ExitStack() as stack:
        stack.enter_context(failures_in_words())
        stack.enter_context(small_block_cache(_CACHE_BYTES))
        files = stack.enter_context(
            CamFiles(
                outputs,
                grid=scene.grid,
                legend=card.legend,
                tags=made.tags(reference),
                min_area=labels.min_area,
                workers=workers,
                overwrite=overwrite,
            )
        )
        made.write_maps(files)
        ways: list[Combination] = []
        if outputs.labelled or reference is not None:
            ways, more = made.ways(files, reference, fitted)
            notes += more
            if all(way.method != "logistic" for way in ways):
                fitted = None
        measures = made.write_labels(files, ways, reference, fitted)
        files.finish()
        result = CamResult(
            outputs=outputs.paths,
            settings=maps.words() | labels.words(),
            combine=labels.combine if outputs.labelled else None,
            pixels=files.pixels,
            hectares=files.hectares,
            nodata=scene.grid.height * scene.grid.width - made.moments.count,
            seams=made.seams.result(),
            scores=_scores(made, measures, reference, fitted),
            panels=() if page is None else _panels(made, files, ways, reference, fitted),
            tiles=made.work.tiles,
            skipped=made.work.skipped,
            seconds=time.perf_counter() - began,
            notes=(*notes, *made.work.notes),
        )
        if page is not None:
            files.add_report(page(result), document(result))
        if outputs.fitted_model is not None and fitted is not None:
            regression = next(way for way in ways if way.method == "logistic")
            made.keep(
                regression,
                outputs.fitted_model,
                reference,
                patches=len(fitted.windows),
                overwrite=overwrite,
            )
    return replace(result, seconds=time.perf_counter() - began)


def _reference(
    guides: Guides, scene: Scene, legend: Legend
) -> tuple[Reference | None, tuple[str, ...]]:
    """Lay the labels on the scene, if there are any, and tell what is worth saying of it."""
    if guides.reference is None:
        return None, ()
    reference = Reference(
        guides.reference,
        scene,
        legend,
        area=guides.area,
        assume_aligned=guides.assume_aligned,
    )
    if not reference.resampled:
        return reference, ()
    return reference, (
        f"the reference lies on another grid than {scene.name}: each pixel gets the label"
        " in which its centre lies (nearest)",
    )


def _to_fit_on(
    reference: Reference | None, outputs: CamOutputs, maps: MapSettings, labels: LabelSettings
) -> tuple[FittedPatches | None, tuple[str, ...]]:
    """Choose patches for a regression, if there shall be one, and tell where they are few."""
    if reference is None:
        return None, ()
    # Half of them at most: what was fitted on cannot be measured by.
    chosen, labelled = reference.choose(maps.tile, labels.patches, labels.seed, most=0.5)
    if not outputs.fits(labels.combine):
        return None, ()
    if len(chosen) >= labels.patches:
        return FittedPatches(chosen), ()
    return FittedPatches(chosen), (
        f"logistic is fitted on {len(chosen):,} of the {labelled:,} labelled patches and"
        " not on more, so that others are left to measure by",
    )


def _scores(
    made: Making,
    measures: Measures | None,
    reference: Reference | None,
    fitted: FittedPatches | None,
) -> CamScores | None:
    """Return how good the maps are, where there are labels to tell."""
    if reference is None or measures is None:
        return None
    return CamScores(
        ways=measures.confusions,
        task=made.task(reference),
        patches=0 if fitted is None else len(fitted.windows),
    )


def _panels(
    made: Making,
    files: CamFiles,
    ways: Sequence[Combination],
    reference: Reference | None,
    fitted: FittedPatches | None,
) -> tuple[Panel, ...]:
    """Choose examples to show, where there are labels beside them."""
    if reference is None:
        return ()
    return choose_panels(
        made.scene.select(made.model.card.bands),
        reference,
        files.read_maps,
        made.labeller(files),
        ways[:1],
        side=made.maps.tile,
        fitted=fitted,
    )
