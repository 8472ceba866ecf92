"""A scene and an image-level model in; activation maps and weak labels out.

First the maps of the whole scene, blended from overlapping tiles, row by row into the file that
they will be. Then, from that file, classes: by then the statistics of every map are known, and a
regression can be fitted. Memory depends on the scene's width alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from geoseg.inference.cam.activation import make_activations
from geoseg.inference.cam.combine import Combination
from geoseg.inference.cam.document import document
from geoseg.inference.cam.files import CamFiles, CamOutputs
from geoseg.inference.cam.making import Guides, Making
from geoseg.inference.cam.measure import choose_panels
from geoseg.inference.cam.reference import FittedPatches, Reference
from geoseg.inference.cam.result import CamResult, CamScores
from geoseg.inference.cam.settings import LabelSettings, MapSettings
from geoseg.inference.colour import in_colour, wanted_colour
from geoseg.inference.fit import fit_bands
from geoseg.inference.readings import strange_readings
from geoseg.models.bundle import ModelBundle
from geoseg.models.device import failures_in_words, resolve_device
from geoseg.raster.handles import small_block_cache
from geoseg.raster.output import refuse_inputs
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
    inputs = [*scene.files, *colour.files]
    reference = None
    if guides.reference is not None:
        reference = Reference(
            guides.reference,
            scene,
            card.legend,
            area=guides.area,
            assume_aligned=guides.assume_aligned,
        )
        inputs += guides.reference.files
        if reference.resampled:
            notes.append(
                f"the reference lies on another grid than {scene.name}: each pixel gets the label"
                " in which its centre lies (nearest)"
            )
    outputs.check(overwrite=overwrite, reference=reference is not None)
    refuse_inputs(outputs.paths, inputs)
    scene, more = in_colour(scene, colour, [card], workers=workers)
    notes += [*more, *strange_readings(scene, card)]
    fitted = None
    if reference is not None:
        # Half of them at most: what was fitted on cannot be measured by.
        chosen, labelled = reference.choose(maps.tile, labels.patches, labels.seed, most=0.5)
        fitted = FittedPatches(chosen) if outputs.fits(labels.combine) else None
        if fitted is not None and len(chosen) < labels.patches:
            notes.append(
                f"logistic is fitted on {len(chosen):,} of the {labelled:,} labelled patches and"
                " not on more, so that others are left to measure by"
            )
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
            scores=None
            if reference is None or measures is None
            else CamScores(
                ways=measures.confusions,
                task=made.task(reference),
                patches=0 if fitted is None else len(fitted.windows),
            ),
            panels=()
            if page is None or reference is None
            else choose_panels(
                scene.select(card.bands),
                reference,
                files.read_maps,
                made.labeller(files),
                ways[:1],
                side=maps.tile,
                fitted=fitted,
            ),
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
