"""Pictures of images before and after they were brought to one colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.report.canvas import (
    ACCENT,
    SECOND,
    Form,
    drawing,
    encode,
    new_figure,
    plain_axes,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 16
"""Pairs that a chart shows: those that differed most."""
EMPTY = (236, 239, 243)
"""Colour of what no image covers."""


@dataclass(frozen=True)
class Bar:
    """How much the images of a pair differ."""

    name: str
    before: float
    """In deviations; NaN where nothing could be measured, infinity where images are flat."""
    after: float
    """The same after."""


def colours(values: NDArray[np.floating[Any]], limits: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Stretch readings to colours.

    Parameters
    ----------
    values
        (3, rows, cols) readings shown as red, green and blue; NaN where there is none.
    limits
        (3, 2): readings drawn as 0 and as 255.

    Returns
    -------
    pixels
        (rows, cols, 3); `EMPTY` where any of the three is NaN.
    """
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    shares = np.clip((values - low) / (high - low), 0, 1)
    empty = np.isnan(shares).any(axis=0)
    pixels = np.rint(255 * np.nan_to_num(shares)).astype(np.uint8).transpose(1, 2, 0)
    pixels[empty] = EMPTY
    return np.ascontiguousarray(pixels)


def seam_chart(bars: Sequence[Bar], *, form: Form = "svg") -> bytes:
    """Draw the differences of pairs before and after as bars; of many the largest."""
    shown = _largest(bars)
    with drawing():
        figure = new_figure(6.6, 0.9 + 0.4 * len(shown))
        _draw_bars(figure.add_subplot(), shown)
        return encode(figure, form)


def seam_picture(before: NDArray[np.uint8], after: NDArray[np.uint8], bars: Sequence[Bar]) -> bytes:
    """Draw both mosaics side by side, and the differences of pairs below, as a PNG file.

    Parameters
    ----------
    before, after
        (rows, cols, 3), of one size and one stretch.
    bars
        Pairs; may be none.
    """
    shown = _largest(bars)
    rows, cols = before.shape[:2]
    # Inches: both as wide as the page, or, if they are tall, as high as a screen.
    width, height = 4.6, 4.6 * rows / cols
    if height > 6.0:
        width, height = 6.0 * cols / rows, 6.0
    below = 0.9 + 0.34 * len(shown) if shown else 0.0
    with drawing():
        figure = new_figure(max(6.6, 2 * width + 0.3), height + 0.45 + below)
        heights = [height + 0.3, below] if shown else [1.0]
        places = figure.add_gridspec(len(heights), 2, height_ratios=heights)
        for column, (title, pixels) in enumerate((("before", before), ("after", after))):
            axes = figure.add_subplot(places[0, column])
            axes.imshow(pixels, interpolation="nearest" if rows * cols < 40_000 else "antialiased")
            axes.set_title(title)
            axes.set_axis_off()
        if shown:
            _draw_bars(figure.add_subplot(places[1, :]), shown)
        return encode(figure, "png")


def _largest(bars: Sequence[Bar]) -> list[Bar]:
    known = [bar for bar in bars if math.isfinite(bar.before) and math.isfinite(bar.after)]
    return sorted(known, key=lambda bar: (-max(bar.before, bar.after), bar.name))[:MOST_BARS]


def _draw_bars(axes: Axes, bars: Sequence[Bar]) -> None:
    plain_axes(axes, grid="x")
    most = max((max(bar.before, bar.after) for bar in bars), default=0.0)
    for place, bar in enumerate(bars):
        for shift, value, color, name in (
            (-0.19, bar.before, SECOND, "before"),
            (0.19, bar.after, ACCENT, "after"),
        ):
            axes.barh(
                place + shift, value, height=0.34, color=color, label=name if place == 0 else "_"
            )
            axes.annotate(
                f"{value:.3g}",
                (value, place + shift),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axes.set_yticks(range(len(bars)), [shortened(bar.name, 40) for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(bars) - 0.45, -0.55)
    axes.set_xlim(0, 1.08 * most if most > 0 else 1)
    axes.set_xlabel("mean difference, in standard deviations")
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False, borderaxespad=0.2
    )
