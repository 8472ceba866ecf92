"""What the page of an evaluation shows: shares of errors by place, and the worst patches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.findings import Findings
from geoseg.assessment.sides import Sides
from geoseg.raster.heads import rasters_in
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Pixels, Scene
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
        differences=content.get("differences", ()),
        options=content.get("settings"),
    )


def page_of_folders(
    content: Mapping[str, Any],
    sides: Sequence[Sides],
    stems: Sequence[str],
    legend: Legend,
    *,
    photographs: str | None = None,
) -> str:
    """Write the page of an evaluation of photographs.

    Parameters
    ----------
    content
        The document, with ``photographs`` of each prediction.
    sides, stems
        One of each a photograph.
    legend
        The classes.
    photographs
        Folder of the photographs, to show beside the worst.
    """
    documents: Sequence[Mapping[str, Any]] = content.get("predictions", [content])
    pictures = {} if photographs is None else _by_stem(photographs)
    pages = []
    for p, one in enumerate(documents):
        found = one["photographs"]
        order = sorted(range(len(found)), key=lambda i: -found[i]["wrong_pixels"])
        worst = [
            _of_photograph(sides[i], stems[i], legend, p, found[i], pictures) for i in order[:8]
        ]
        pages.append(Side(content=one, shares=None, cell=1, worst=tuple(worst)))
    return evaluation_page(
        pages,
        legend,
        differences=content.get("differences", ()),
        options=content.get("settings"),
    )


def _by_stem(folder: str) -> dict[str, str]:
    return {Path(path).stem: path for path in rasters_in(Path(folder))}


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
    if stem in pictures:
        scene = Scene.open(pictures[stem])
        picture = _pictures([scene.read(scene.grid.window)], scene)[0]
    return WorstPatch(
        place=stem,
        wrong=found["wrong_pixels"],
        scored=found["scored_pixels"],
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
