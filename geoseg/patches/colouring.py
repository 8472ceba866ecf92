"""Scenes that are to be cut, brought to one colour: readings change as they are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

from geoseg.compositing.homogenise.bring import bring, carries, strange
from geoseg.compositing.homogenise.fit import group_target
from geoseg.compositing.homogenise.group import fit_group
from geoseg.compositing.homogenise.measure import measure
from geoseg.compositing.homogenise.seams import overall
from geoseg.compositing.homogenise.settings import HomogeniseSettings
from geoseg.compositing.homogenise.standard import ImageLine, Method, Standard, read_standard
from geoseg.errors import RasterReadError
from geoseg.patches.gathered import Inputs, Say, SetColour
from geoseg.patches.settings import METHODS, TileSettings


def bring_to_one_colour(inputs: Inputs, settings: TileSettings, say: Say) -> None:
    """Replace the scenes of all jobs by views of them in one colour, and note which in `inputs`.

    Parameters
    ----------
    inputs
        What will be cut.
    settings
        Of these, `homogenise` says how; the statistics are of whole scenes, whatever the region.
    say
        Told what a person should know.

    Raises
    ------
    BandError
        The colour asked for is of other bands.
    ColourError
        Its file holds none, or none can be found for the scenes.
    RasterReadError
        No scene is left.
    """
    asked = settings.homogenise
    if asked in METHODS:
        _as_a_group(inputs, settings, say)
    elif asked is not None:
        _to(read_standard(asked), asked, inputs, settings, say)


def _as_a_group(inputs: Inputs, settings: TileSettings, say: Say) -> None:
    """Bring the scenes to each other's colour."""
    scenes = [job.scene.renamed(inputs.bands) for job in inputs.jobs]
    if had := [scene.name for scene in scenes if carries(scene)]:
        say(
            f"brought to one colour before, by geoseg homogenise: {_first(had)}; to leave it at"
            " that, give the colour.json that it saved as --homogenise"
        )
    method = cast("Method", settings.homogenise)
    if len(scenes) == 1:
        say(
            "one scene has nothing to agree with, and stays as it is: the colour of"
            f" {scenes[0].name} becomes the one that others are brought to"
        )
        inputs.colour = SetColour(standard=_of_one(inputs, method, settings), seams=None)
        return
    say(f"bringing {len(scenes):,} scenes to one colour")
    try:
        fitted = fit_group(
            scenes, settings=HomogeniseSettings(method=method), workers=settings.workers
        )
    except RasterReadError:
        # Large scenes are not read before: without those that are damaged, once more.
        if not _drop_unreadable(inputs, settings):
            raise
        _as_a_group(inputs, settings, say)
        return
    for note in fitted.notes:
        say(note)
    for job, scene, colour in zip(inputs.jobs, scenes, fitted.colours, strict=True):
        job.scene = scene.recoloured(colour)
    before, after = overall(fitted.seams_before), overall(fitted.seams_after)
    if math.isfinite(before):
        say(f"where scenes meet they differed by {before:.3g} deviations, and now by {after:.3g}")
    inputs.colour = SetColour(
        standard=fitted.standard, seams=(before, after) if math.isfinite(before) else None
    )


def _drop_unreadable(inputs: Inputs, settings: TileSettings) -> bool:
    """Read all scenes and leave out those that are damaged; tell whether there are any."""
    found = False
    for job in list(inputs.jobs):
        try:
            measure(job.scene, workers=settings.workers)
        except RasterReadError as error:
            inputs.drop(job, str(error))
            found = True
    return found


def _of_one(inputs: Inputs, method: Method, settings: TileSettings) -> Standard:
    """Make a colour of a single scene's own: nothing changes, and others will be brought to it."""
    scene = inputs.jobs[0].scene.renamed(inputs.bands)
    image = measure(scene, workers=settings.workers)
    same = ImageLine(
        name=scene.name,
        fingerprint=inputs.contents(scene),
        gains=(1.0,) * len(scene.bands),
        offsets=(0.0,) * len(scene.bands),
        readings=image.digests,
    )
    return Standard(method=method, bands=group_target([image]), images=(same,))


def _to(standard: Standard, path: str, inputs: Inputs, settings: TileSettings, say: Say) -> None:
    """Bring the scenes to a colour that was saved."""
    own = inputs.jobs[0].scene.band_names
    known = {name.casefold() for name in standard.names}
    names = [a if a.casefold() in known else b for a, b in zip(own, inputs.bands, strict=True)]
    wanted = standard.select(names).renamed(inputs.bands)
    already, before, unknown = [], [], []
    for job in list(inputs.jobs):
        scene = job.scene.renamed(inputs.bands)
        try:
            brought = bring(scene, wanted, workers=settings.workers)
        except RasterReadError as error:
            inputs.drop(job, str(error))
            continue
        job.scene = brought.scene
        if brought.how == "already":
            already.append(job.name)
        elif carries(scene):
            before.append(job.name)
        elif brought.how == "measured":
            unknown.append(job.name)
    if already:
        say(f"of the colour of {Path(path).name} already, and not changed: {_first(already)}")
    if before:
        say(f"brought to another colour before, and now to this one: {_first(before)}")
    for note in strange(unknown, wanted):
        say(note)
    inputs.colour = SetColour(standard=wanted, seams=None)


def _first(names: list[str]) -> str:
    """Name one scene, and count the others."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
