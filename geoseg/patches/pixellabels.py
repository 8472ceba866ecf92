"""Labels of pixels, and how sure they are, laid on the scenes that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from geoseg.errors import BandError, GridError, InputError, LabelError, RasterReadError
from geoseg.patches.gathered import Inputs, Say, Source
from geoseg.patches.job import Job
from geoseg.patches.settings import TileSettings
from geoseg.raster.labels.labelme import annotations_in
from geoseg.raster.labels.laying import lay_labels
from geoseg.raster.labels.sanity import sizes, whole_factor
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.opening.heads import expand
from geoseg.raster.pairing import file_names, pair_by_stem
from geoseg.raster.scene import Scene


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
    inputs.label_paths = label_files(labels, given)
    inputs.confidence_paths = tuple(expand(confidence)) if confidence else ()
    if confidence and len(inputs.confidence_paths) != len(inputs.label_paths):
        raise LabelError(
            f"{inputs.confidence_paths[0]}: {len(inputs.confidence_paths)} files of confidences "
            f"for {len(inputs.label_paths)} of labels: give one for each, in the same order"
        )
    for kind, paths in (("labels", inputs.label_paths), ("confidence", inputs.confidence_paths)):
        if paths:
            partners = _by_name(paths, scenes, given, say, kind)
            if partners:
                _lay_by_name(inputs, kind, partners, settings)
            else:
                by_scene = _paired(paths, scenes, given)
                _lay(inputs, kind, by_scene, paths, settings.assume_aligned, say)
    if inputs.legend is None:
        inputs.legend = raster_legend(inputs.label_paths[0])


def label_files(labels: Sequence[Source], given: Sequence[str]) -> tuple[str, ...]:
    """Files of labels; drawings that are none yet are refused in words.

    `given` are the files of scenes: annotations often lie beside their photographs.
    """
    try:
        found = tuple(expand(labels))
        if not set(found) <= set(given):
            return found
    except RasterReadError:
        found = ()
    folder = next((source for source in labels if annotations_in(source)), None)
    if folder is None:
        return found or tuple(expand(labels))
    raise LabelError(
        f"{folder}: holds annotations and no masks; make these first: geoseg rasterise"
        f" {Path(folder).name} --like IMAGES -o masks"
    )


def _by_name(
    paths: Sequence[str], scenes: Sequence[Scene], given: Sequence[str], say: Say, kind: str
) -> dict[str, str]:
    """File of the name of each photograph; none if none has one."""
    if not all(scene.photograph and len(scene.paths) == 1 for scene in scenes):
        return {}
    found = pair_by_stem([scene.paths[0] for scene in scenes], paths)
    if found.pairs:
        if found.note is not None:
            say(f"{kind} are {found.note}")
        if left := pair_by_stem(given, paths).second_alone:
            more = f"{len(left):,} files of {kind} have no photograph of their name"
            say(f"{more}: {file_names(left)}")
    return dict(found.pairs)


def _lay_by_name(
    inputs: Inputs, kind: str, partners: Mapping[str, str], settings: TileSettings
) -> None:
    """Lay labels, or confidences, on photographs pixel by pixel; leave out what does not fit."""
    what = "label" if kind == "labels" else kind
    wrong: list[tuple[Job, InputError]] = []
    for job in list(inputs.jobs):
        path = partners.get(job.scene.paths[0])
        if path is None:
            inputs.drop(job, f"there is no {what} of its name")
            continue
        try:
            raster = _open_labels(path)
            _check_size(raster, job.scene, fitted=settings.fit_labels)
            setattr(job, kind, lay_labels(raster, job.scene, assume_aligned=True))
        except InputError as error:
            wrong.append((job, error))
    if len(wrong) == len(inputs.jobs):
        raise wrong[0][1]
    for job, why in wrong:
        path = partners[job.scene.paths[0]]
        inputs.drop(job, str(why).replace(path, Path(path).name))


def _check_size(labels: Scene, scene: Scene, *, fitted: bool) -> None:
    """Refuse labels that a photograph is some times as large as, and say what can be done."""
    if whole_factor(scene, labels) not in (None, 1):
        advice = "most are otherwise" if fitted else "bring it to their pixels with --fit-labels"
        raise LabelError(f"{labels.paths[0]}: {scene.name} has {sizes(scene, labels)}; {advice}")


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
            "and so have their confidences; of colours, make class rasters with geoseg recode"
        )
    return raster
