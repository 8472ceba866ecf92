"""The examples of a report: places of the scene with their maps, weak labels and true labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.cam.result import Panel
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.palette import Ramp
from geoseg.report.numbers import count, percent
from geoseg.report.page import Block, Figure, Key, Paragraph, RampKey, Strip
from geoseg.report.pictures import (
    RIGHT_COLOR,
    UNLABELLED_COLOR,
    WRONG_COLOR,
    class_picture,
    error_picture,
    ramp_picture,
)
from geoseg.training.report.gallery import Sample, classes_in_words, pictures_of

# Pictures of a row; of these, one is the image where there are no labels to go with it.
_ROW = 4
# Few pixels stand out so much that all others would look alike beside them.
_PERCENTILE = 99


def cam_gallery(
    panels: Sequence[Panel], legend: Legend, bands: Sequence[str], way: str | None
) -> tuple[Block, ...]:
    """Show examples: image, labels and errors, and below them the maps of the main classes.

    All images are stretched between the same readings, and all maps drawn between the same
    limits, so that they compare.

    Parameters
    ----------
    panels
        The examples.
    legend
        The classes.
    bands
        Names of the bands of their images, in order.
    way
        How their weak labels were made, in words; None where there are none.
    """
    if not panels:
        return ()
    ramp = activation_ramp(panels)
    words, pictures = pictures_of([_sample(panel, bands) for panel in panels])
    with_truth = any((panel.truth != NODATA).any() for panel in panels)
    strips = (
        _strip(panel, picture, legend, ramp, weak=way is not None, truth=with_truth)
        for panel, picture in zip(panels, pictures, strict=True)
    )
    weak = "" if way is None else f" Weak labels are those by {way}."
    if way is None and not with_truth:
        chosen = f"the {_ROW - 1} classes whose activation is highest on average"
    else:
        chosen = f"the classes with the most pixels, at most {_ROW},"
    return (
        Paragraph(
            f"{words} Of each place the activation maps of {chosen} are shown, between the same"
            f" limits everywhere.{weak}"
        ),
        *_class_key(panels, legend, weak=way is not None, truth=with_truth),
        RampKey("Activation: above 0 speaks for a class, below 0 against it", ramp),
        *strips,
    )


def activation_ramp(panels: Sequence[Panel]) -> Ramp:
    """Make the ramp for all maps: symmetric, up to the 99th percentile of |activation|."""
    known = [np.abs(panel.maps[np.isfinite(panel.maps)]).ravel() for panel in panels]
    values = np.concatenate([np.zeros(0, np.float32), *known])
    limit = float(np.percentile(values, _PERCENTILE)) if values.size else 0.0
    # Where nearly all is 0, a few values alone may be more.
    limit = limit or float(values.max(initial=0.0)) or 1.0
    return Ramp(name="activation", minimum=-limit, maximum=limit)


def main_classes(panel: Panel, most: int = _ROW) -> tuple[int, ...]:
    """Choose the classes whose maps are shown, in the order of the legend.

    At most so many: those with the most pixels among the weak labels and the labels; of equal ones
    (such as none at all) those with the highest mean activation.
    """
    classes = len(panel.maps)
    held = np.bincount(panel.index[panel.index < classes], minlength=classes)
    held += np.bincount(panel.truth[panel.truth < classes], minlength=classes)
    flat = panel.maps.reshape(classes, -1).astype(np.float64)
    known = np.isfinite(flat)
    level = np.where(known, flat, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    order = np.lexsort((np.arange(classes), -level, -held))
    wanted = [int(i) for i in order if held[i] or not held.any()]
    return tuple(sorted(wanted[:most]))


def _sample(panel: Panel, bands: Sequence[str]) -> Sample:
    """Take a panel as a patch: readings that are not valid become NaN."""
    image = np.where(panel.valid, panel.image.astype(np.float32), np.float32(np.nan))
    # Pixels without a weak label are not wrong: nothing was said of them.
    truth = np.where(panel.index == NODATA, np.uint8(NODATA), panel.truth)
    return Sample(image=image, truth=truth, prediction=panel.index, bands=tuple(bands))


def _strip(
    panel: Panel, picture: bytes, legend: Legend, ramp: Ramp, *, weak: bool, truth: bool
) -> Strip:
    rows, cols = panel.index.shape
    place = (
        f"Rows {panel.row} to {panel.row + rows - 1}, columns {panel.col} to {panel.col + cols - 1}"
    )
    sample = _sample(panel, ())
    right = ""
    figures = [Figure(picture, f"Image of {_lower(place)}.", "image")]
    if truth:
        words = f"Labels: {classes_in_words(panel.truth, legend)}."
        figures.append(Figure(class_picture(panel.truth, legend), words, "labels"))
    if weak:
        words = f"Weak labels: {classes_in_words(panel.index, legend)}."
        figures.append(Figure(class_picture(panel.index, legend), words, "weak labels"))
    if truth and weak:
        wrong = f"{count(sample.wrong)} of {count(sample.labelled)} labelled pixels are wrong"
        figures.append(
            Figure(error_picture(sample.truth, panel.index), f"Errors: {wrong}.", "errors")
        )
        if sample.labelled:
            share = percent(1 - sample.wrong / sample.labelled)
            right = f": {share} of {count(sample.labelled)} labelled pixels right"
    shown = main_classes(panel, _ROW if weak or truth else _ROW - 1)
    maps = [_map(panel.maps[i], legend.names[i], ramp) for i in shown]
    if len(figures) + len(maps) <= _ROW:
        return Strip(f"{place}{right}", (*figures, *maps))
    return Strip(f"{place}{right}", tuple(figures), tuple(maps))


def _map(values: NDArray[np.float32], name: str, ramp: Ramp) -> Figure:
    known = values[np.isfinite(values)].astype(np.float64)
    words = (
        f"from {known.min():.3g} to {known.max():.3g}, {known.mean():.3g} on average".replace(
            "-", "−"
        )
        if known.size
        else "none here"
    )
    drawn = np.where(np.isfinite(values), values, np.float32(np.nan))
    return Figure(ramp_picture(drawn, ramp), f"Activation of {name}: {words}.", name)


def _class_key(
    panels: Sequence[Panel], legend: Legend, *, weak: bool, truth: bool
) -> tuple[Key, ...]:
    """Key of the classes that are seen, and of the pictures of errors."""
    shown = [p.index.ravel() for p in panels] if weak else []
    shown += [p.truth.ravel() for p in panels] if truth else []
    seen = np.unique(np.concatenate([np.zeros(0, np.uint8), *shown]))
    entries = [(c.color, c.name) for i, c in enumerate(legend.classes) if i in seen]
    if weak and truth:
        entries += [(RIGHT_COLOR, "right"), (WRONG_COLOR, "wrong")]
    blank = NODATA in seen or any(np.isnan(p.maps).any() for p in panels)
    if blank:
        entries.append((UNLABELLED_COLOR, "no label, or nothing to show"))
    return (Key(tuple(entries)),) if entries else ()


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
