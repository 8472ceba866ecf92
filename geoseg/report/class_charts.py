"""Charts of classes: bars of their scores, and the confusion of one with another.

As in `geoseg.report.charts`: a file of the same bytes for the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.legend import Color
from geoseg.raster.legend.palette import hex_of
from geoseg.report.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    ON_ACCENT,
    ON_HALF,
    SECOND,
    Form,
    drawing,
    encode,
    new_figure,
    plain_axes,
    shortened,
)
from geoseg.report.numbers import score, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_COUNTS, _MOST_PERCENTS = 10, 22


@dataclass(frozen=True)
class ClassScore:
    """What one class scored; NaN where it is undefined."""

    name: str
    color: Color
    iou: float
    recall: float


def class_bars(classes: Sequence[ClassScore], *, form: Form = "svg") -> bytes:
    """Draw the IoU of each class as a bar and its recall as a ring, in the order given."""
    with drawing():
        figure = new_figure(4.8, 0.75 + 0.29 * len(classes))
        axes = figure.add_subplot()
        plain_axes(axes, grid="x")
        places = np.arange(len(classes))
        iou = np.array([c.iou for c in classes], np.float64)
        recall = np.array([c.recall for c in classes], np.float64)
        axes.barh(places, np.nan_to_num(iou), height=0.58, color=ACCENT, label="IoU")
        axes.scatter(
            recall,
            places,
            s=34,
            facecolors="none",
            edgecolors=SECOND,
            linewidths=1.6,
            label="recall",
            zorder=3,
            clip_on=False,
        )
        axes.scatter(
            np.full(len(classes), -0.045),
            places,
            s=42,
            marker="s",
            c=[hex_of(c.color) for c in classes],
            edgecolors=MUTED,
            linewidths=0.5,
            clip_on=False,
        )
        for place, value, other in zip(places, iou, recall, strict=True):
            _say_score(axes, float(place), float(value), float(other))
        axes.set_yticks(places, [shortened(c.name) for c in classes], color=INK)
        axes.tick_params(axis="y", length=0, pad=18)
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])
        axes.spines["left"].set_color(MUTED)
        axes.annotate("IoU", (1.04, -0.75), color=MUTED, va="bottom", annotation_clip=False)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            handles[::-1],
            labels[::-1],
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=2,
            frameon=False,
            borderaxespad=0.2,
            handlelength=1.2,
        )
        return encode(figure, form)


def _say_score(axes: Axes, place: float, iou: float, recall: float) -> None:
    """Write a class's IoU behind its bar, or in words why there is none or no recall."""
    absent = math.isnan(iou)
    axes.annotate(
        "neither in labels nor in predictions" if absent else score(iou),
        (0.008, place) if absent else (1.04, place),
        va="center_baseline",
        color=MUTED if absent else INK,
        fontstyle="italic" if absent else "normal",
        annotation_clip=False,
    )
    if not absent and math.isnan(recall):
        axes.annotate(
            "predicted, but not in the labels",
            (0.012 + iou, place),
            va="center_baseline",
            color=MUTED,
            fontstyle="italic",
        )


def confusion_picture(
    counts: NDArray[np.int64], names: Sequence[str], *, form: Form = "svg"
) -> bytes:
    """Draw a confusion matrix, each row divided by its sum, with shares and counts in the cells.

    Right pixels (the diagonal) are blue, wrong ones vermilion; the stronger, the larger the share
    of the row. Up to 10 classes with percent and counts, up to 22 with percent, beyond by colour
    alone. A row without pixels stays empty.

    Parameters
    ----------
    counts
        (classes, classes): rows are labels, columns predictions; pixels.
    names
        Of the classes, in order.
    """
    with drawing():
        number = len(names)
        shown = [shortened(name) for name in names]
        cell = 0.56 if number <= _MOST_COUNTS else 0.4 if number <= _MOST_PERCENTS else 0.24
        letters = 0.085 * max(map(len, shown))  # inches
        # Names above the columns are slanted, the last one beyond the last column.
        beyond = max(0.0, 0.6 * 0.085 * len(shown[-1]) - cell / 2)
        side = cell * number
        figure = new_figure(0.5 + letters + side + beyond, 0.6 + 0.75 * letters + side)
        axes = figure.add_subplot()
        _draw_squares(axes, counts)
        if number <= _MOST_PERCENTS:
            for row in range(number):
                _draw_words(axes, row, counts[row])
        axes.set_xlim(-0.02, number + 0.02)
        axes.set_ylim(number + 0.02, -0.02)
        axes.set_aspect("equal", anchor="W")
        middle = np.arange(number) + 0.5
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xticks(middle, shown, rotation=45, ha="left", rotation_mode="anchor", color=INK)
        axes.set_yticks(middle, shown, color=INK)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(number > _MOST_PERCENTS)
        axes.spines[:].set_color(LINE)
        axes.set_xlabel("predicted as", loc="left")
        axes.set_ylabel("labelled as", loc="top")
        return encode(figure, form)


def _draw_squares(axes: Axes, counts: NDArray[np.int64]) -> None:
    """Draw a square for each cell, the more opaque, the larger its share of the row."""
    from matplotlib.collections import PatchCollection  # noqa: PLC0415 — as above
    from matplotlib.patches import Rectangle  # noqa: PLC0415 — only who draws waits for it

    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = np.round(counts / totals, 3)
    seen = shares > 0
    if len(counts) <= _MOST_PERCENTS:
        seen |= (counts.sum(axis=1) > 0)[:, None]
    places = [(int(row), int(column)) for row, column in np.argwhere(seen)]
    if not places:
        return
    squares = [Rectangle((column + 0.03, row + 0.03), 0.94, 0.94) for row, column in places]
    # Transparent, so that they stand on a light page as on a dark one.
    colors = [(ACCENT if r == c else SECOND, float(shares[r, c])) for r, c in places]
    axes.add_collection(PatchCollection(squares, facecolors=colors, linewidths=0))
    if len(counts) <= _MOST_PERCENTS:
        axes.add_collection(
            PatchCollection(squares, facecolors="none", edgecolors=LINE, linewidths=0.6)
        )


def _draw_words(axes: Axes, row: int, counts: NDArray[np.int64]) -> None:
    """Write percent and, where there is room, counts into a row of cells."""
    total = int(counts.sum())
    if not total:
        axes.annotate(
            "no labelled pixels",
            (0.12, row + 0.5),
            va="center_baseline",
            color=MUTED,
            fontstyle="italic",
        )
    with_counts = len(counts) <= _MOST_COUNTS
    for column, pixels in enumerate(counts.tolist()):
        if not pixels:
            continue
        share = pixels / total
        text = "<1" if share < 0.005 else f"{100 * share:.0f}"
        words = [(text, 0.5, 8.0)]
        if with_counts:
            words = [(f"{text} %", 0.37, 9.0), (short_count(pixels), 0.72, 7.0)]
        for word, down, size in words:
            axes.annotate(
                word,
                (column + 0.5, row + down),
                ha="center",
                va="center_baseline",
                fontsize=size,
                color=INK if share < 0.6 else ON_HALF if share < 0.87 else ON_ACCENT,
            )
