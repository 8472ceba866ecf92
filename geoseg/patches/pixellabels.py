"""Labels of pixels, and how sure they are, laid on the scenes that they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import BandError, GridError, LabelError, RasterReadError
from geoseg.patches.settings import TileSettings
from geoseg.raster.heads import expand
from geoseg.raster.labelme import annotations_in
from geoseg.raster.laying import lay_labels
from geoseg.raster.legend import Legend
from geoseg.raster.pairing import file_names, pair_by_stem
from geoseg.raster.scene import Scene

if TYPE_CHECKING:
    from geoseg.patches.cutting import Job
    from geoseg.patches.inputs import Inputs

Source = str | Path
Say = Callable[[str], None]


def add_labels(
    inputs: Inputs,
    scenes: Sequence[Scene],
    given: Sequence[str],
    labels: Sequence[Source],
    confidence: Sequence[Source],
    settings: TileSettings,
    say: Say,
) -> None:
    """Lay labels, and confidences, on each scene.

    Photographs and their labels belong together by their names without ending; other scenes and
    their labels by their order.

    Parameters
    ----------
    inputs
        Told the labels of each scene, the files and the classes.
    scenes
        Those that can be used.
    given
        The files of all scenes, as they were named.
    labels, confidence, settings, say
        As for `geoseg.patches.inputs.open_inputs`, which says what can go wrong, too.
    """
    inputs.label_paths = _label_files(labels)
    inputs.confidence_paths = tuple(expand(confidence)) if confidence else ()
    if confidence and len(inputs.confidence_paths) != len(inputs.label_paths):
        raise LabelError(
            f"{inputs.confidence_paths[0]}: {len(inputs.confidence_paths)} files of confidences "
            f"for {len(inputs.label_paths)} of labels: give one for each, in the same order"
        )
    for kind, paths in (("labels", inputs.label_paths), ("confidence", inputs.confidence_paths)):
        if paths:
            by_scene, by_name = _by_name(paths, scenes, given, say, kind), True
            if not by_scene:
                by_scene, by_name = _paired(paths, scenes, given), False
            aligned = by_name or settings.assume_aligned
            _lay(inputs, kind, by_scene, paths, aligned, say)
    if inputs.legend is None:
        inputs.legend = Legend.of_raster(inputs.label_paths[0])


def _label_files(labels: Sequence[Source]) -> tuple[str, ...]:
    """Files of labels; drawings that are none yet are refused in words."""
    try:
        return tuple(expand(labels))
    except RasterReadError:
        folder = next((source for source in labels if annotations_in(source)), None)
        if folder is None:
            raise
        raise LabelError(
            f"{folder}: holds annotations and no masks; make these first: geoseg rasterise"
            f" {Path(folder).name} --like IMAGES -o masks"
        ) from None


def _by_name(
    paths: Sequence[str], scenes: Sequence[Scene], given: Sequence[str], say: Say, kind: str
) -> dict[int, Scene]:
    """Open the raster of the name of each photograph, by the scene's `id`; none if none has one."""
    if not all(scene.photograph and len(scene.paths) == 1 for scene in scenes):
        return {}
    found = pair_by_stem([scene.paths[0] for scene in scenes], paths)
    partners = dict(found.pairs)
    if partners and (left := pair_by_stem(given, paths).second_alone):
        say(f"{len(left):,} files of {kind} have no photograph of their name: {file_names(left)}")
    return {
        id(scene): _open_labels(partners[scene.paths[0]])
        for scene in scenes
        if scene.paths[0] in partners
    }


def _paired(
    paths: Sequence[str], scenes: Sequence[Scene], given: Sequence[str]
) -> dict[int, Scene]:
    """Open a raster for each scene, by the scene's `id`."""
    places = [given.index(s.paths[0]) if s.paths[0] in given else -1 for s in scenes]
    if len(paths) == len(given) > 1 and min(places) >= 0:
        # By the order in which scenes were named: some of them may be unreadable.
        paired = [_open_labels(paths[place]) for place in places]
    elif len(paths) == len(scenes) > 1:
        paired = [_open_labels(path) for path in paths]
    else:
        # One raster, or the tiles of one, for all.
        paired = [_open_labels(paths[0] if len(paths) == 1 else paths)] * len(scenes)
    return dict(zip(map(id, scenes), paired, strict=True))


def _lay(
    inputs: Inputs,
    kind: str,
    by_scene: Mapping[int, Scene],
    paths: Sequence[str],
    aligned: bool,
    say: Say,
) -> None:
    """Bring labels or confidences to each scene's grid."""
    missed: list[tuple[Job, GridError]] = []
    what = "label" if kind == "labels" else kind
    for job in list(inputs.jobs):
        raster = by_scene.get(id(job.scene))
        if raster is None:
            inputs.drop(job, f"there is no {what} of its name")
            continue
        try:
            laid = lay_labels(raster, job.scene, assume_aligned=aligned)
        except GridError as error:
            missed.append((job, error))
            continue
        setattr(job, kind, laid)
        if laid.is_warped:
            say(
                f"{what}s {Path(raster.paths[0]).name} lie on another grid than {job.name}: each "
                f"pixel gets the {what} in which its centre lies (nearest)"
            )
    if missed and (len(paths) > 1 or len(missed) == len(inputs.jobs)):
        raise missed[0][1]
    for job, _ in missed:
        inputs.drop(job, f"the {what}s do not cover it")


def _open_labels(source: str | Sequence[str]) -> Scene:
    """Open a raster of labels."""
    try:
        raster = Scene.open(source)
    except BandError as error:
        raise LabelError(
            f"{error}; labels are one raster for each scene in the same order, or one for all"
        ) from error
    if len(raster.bands) != 1:
        raise LabelError(
            f"{raster.paths[0]} has {len(raster.bands)} bands: labels have one, of class codes, "
            "and so have their confidences"
        )
    return raster
