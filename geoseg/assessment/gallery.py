"""What the page of an evaluation shows: shares of errors by place, and the worst patches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.assessment.align import names_many
from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.findings import Findings
from geoseg.assessment.sides import Sides
from geoseg.assessment.worst import Worst
from geoseg.errors import GridError, InputError
from geoseg.raster.legend import Legend
from geoseg.raster.opening.heads import expand
from geoseg.raster.pairing import pair_by_stem
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.window import Window
from geoseg.report.evaluation_page import Side, WorstPatch, evaluation_page
from geoseg.report.pictures import rgb_picture, show_bands, stretch_limits

_LONGEST = 768
"""Pixels along a picture before it is drawn."""


def open_scene(source: str | Path, prediction: Scene) -> Scene:
    """Open the scene to show, on the prediction's pixels.

    Raises
    ------
    GridError
        It does not overlap the prediction.
    RasterReadError
        It cannot be read.
    """
    scene = Scene.open(source)
    return scene if scene.grid.same_pixels(prediction.grid) else scene.on_grid(prediction.grid)


def page_of(
    content: Mapping[str, Any],
    findings: Findings,
    rows: ClassRows,
    legend: Legend,
    *,
    scene: Scene | None = None,
) -> str:
    """Write the page of an evaluation.

    Parameters
    ----------
    content
        `geoseg.assessment.document.document`.
    findings
        What was found.
    rows
        Where the worst patches are read from.
    legend
        The classes.
    scene
        A scene on the prediction's pixels, whose bands are shown beside.
    """
    documents: Sequence[Mapping[str, Any]] = content.get("predictions", [content])
    sides = [
        Side(
            content=one,
            shares=None if findings.overview is None else findings.overview[p].shares,
            cell=1 if findings.overview is None else findings.overview[p].side,
            worst=_worst(findings, rows, p, scene),
        )
        for p, one in enumerate(documents)
    ]
    return evaluation_page(
        sides,
        legend,
        common=content.get("common"),
        differences=content.get("differences", ()),
        options=content.get("settings"),
    )


def pictures_of(source: str, sides: Sequence[Sides]) -> dict[str, str]:
    """Find the photograph or scene of each map: that of its name, or one scene for all.

    Returns
    -------
    Files by the path of the map; maps without a picture are not in it.

    Raises
    ------
    RasterReadError
        There is none.
    GridError
        A scene does not overlap its map; one for all overlaps none.
    InputError
        No picture has the name of a map.
    """
    maps = {one.paths[0]: one for one in (side.comparisons[0].prediction for side in sides)}
    if names_many(source):
        found = dict(pair_by_stem(list(maps), expand([source])).pairs)
        if not found:
            raise InputError(f"{source} holds no picture of the name of a map: --scene shows those")
        off = [_why_off(picture, maps[path]) for path, picture in found.items()]
    else:
        Scene.open(source)
        why = {path: _why_off(source, one) for path, one in maps.items()}
        found = {path: source for path, error in why.items() if error is None}
        off = [] if found else list(why.values())
    for error in off:
        if error is not None:
            raise error
    return found


def _why_off(picture: str, prediction: Scene) -> GridError | None:
    """Say why a scene cannot be laid on a map; photographs are shown as they are."""
    if prediction.grid.is_georeferenced:
        try:
            open_scene(picture, prediction)
        except GridError as error:
            return error
    return None


def page_of_folders(
    content: Mapping[str, Any],
    sides: Sequence[Sides],
    stems: Sequence[str],
    legend: Legend,
    *,
    each: Sequence[Sequence[Mapping[str, Any]]],
    worst: Worst | None,
    scenes: str | None = None,
) -> str:
    """Write the page of an evaluation of many maps.

    Parameters
    ----------
    content
        The document, with ``photographs`` or ``maps`` of each prediction.
    sides, stems
        One of each a map.
    legend
        The classes.
    each
        Of each prediction how each map was scored, in the order of `sides`.
    worst
        The worst patches of all maps; None of photographs, which are shown whole.
    scenes
        Folder of the photographs or scenes, to show beside the worst.
    """
    documents: Sequence[Mapping[str, Any]] = content.get("predictions", [content])
    pictures = {} if scenes is None else pictures_of(scenes, sides)
    pages = []
    for p, one in enumerate(documents):
        if worst is None:
            found = each[p]
            order = sorted(range(len(found)), key=lambda i: -found[i]["wrong_pixels"])
            patches = [
                _of_photograph(sides[i], stems[i], legend, p, found[i], pictures) for i in order[:8]
            ]
        else:
            patches = [
                _of_map(sides[i], stems[i], legend, p, (window, wrong, scored), pictures)
                for i, window, wrong, scored in worst.of(p)
            ]
        pages.append(Side(content=one, shares=None, cell=1, worst=tuple(patches)))
    return evaluation_page(
        pages,
        legend,
        common=content.get("common"),
        differences=content.get("differences", ()),
        options=content.get("settings"),
    )


def _of_photograph(
    side: Sides,
    stem: str,
    legend: Legend,
    prediction: int,
    found: Mapping[str, Any],
    pictures: Mapping[str, str],
) -> WorstPatch:
    rows = ClassRows(side.comparisons, legend)
    truth, classes = rows.read(rows.window)
    picture = None
    path = pictures.get(side.comparisons[0].prediction.paths[0])
    if path is not None:
        scene = Scene.open(path)
        picture = _pictures([scene.read(scene.grid.window)], scene)[0]
    return WorstPatch(
        place=stem,
        wrong=found["wrong_pixels"],
        scored=found["scored_pixels"],
        truth=truth,
        found=classes[prediction],
        scene=picture,
    )


def _of_map(
    side: Sides,
    stem: str,
    legend: Legend,
    prediction: int,
    patch: tuple[Window, int, int],
    pictures: Mapping[str, str],
) -> WorstPatch:
    window, wrong, scored = patch
    truth, classes = ClassRows(side.comparisons, legend).read(window)
    picture = None
    first = side.comparisons[0].prediction
    if first.paths[0] in pictures:
        scene = open_scene(pictures[first.paths[0]], first)
        picture = _pictures([scene.read(window)], scene)[0]
    return WorstPatch(
        place=f"{stem}, row {window.row}, column {window.col}",
        wrong=wrong,
        scored=scored,
        truth=truth,
        found=classes[prediction],
        scene=picture,
    )


def _worst(
    findings: Findings, rows: ClassRows, prediction: int, scene: Scene | None
) -> tuple[WorstPatch, ...]:
    if findings.overview is None:
        return ()
    worst = findings.overview[prediction].worst
    pictures: list[bytes | None] = [None] * len(worst)
    if scene is not None:
        read = [scene.read(window) for window, _, _ in worst]
        pictures = [*_pictures(read, scene)]
    patches = []
    for (window, wrong, scored), picture in zip(worst, pictures, strict=True):
        truth, found = rows.read(window)
        patches.append(
            WorstPatch(
                place=f"row {window.row}, column {window.col}",
                wrong=wrong,
                scored=scored,
                truth=truth,
                found=found[prediction],
                scene=picture,
            )
        )
    return tuple(patches)


def _pictures(read: Sequence[Pixels], scene: Scene) -> list[bytes]:
    if not read:
        return []
    images = []
    for pixels in read:
        # A photograph may have more pixels than a page can show, by far.
        step = np.s_[:: math.ceil(max(pixels.valid.shape) / _LONGEST)]
        image = pixels.data[:, step, step].astype(np.float32)
        image[:, ~pixels.valid[step, step]] = np.nan
        images.append(image)
    bands = show_bands(scene.band_names)
    limits = stretch_limits(images, bands)
    return [rgb_picture(image, bands, limits) for image in images]
