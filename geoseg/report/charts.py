"""Charts for pages: curves, gains of weight averaging, what the runs of a comparison scored.

Every function gives a file (SVG, or PNG if asked) of the same bytes for the same numbers. Colours
never carry a meaning alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoseg.report.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    ON_ACCENT,
    SECOND,
    SOFT,
    Form,
    drawing,
    encode,
    new_figure,
    plain_axes,
    shortened,
)
from geoseg.report.numbers import score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Losses that fall by more than this factor are drawn on a logarithmic axis.
_LOG_FROM = 20.0


@dataclass(frozen=True)
class Line:
    """A line of a panel; NaN leaves a gap."""

    name: str
    """Empty for no entry in the key."""
    y: tuple[float, ...]
    """Values of epochs 1, 2, …"""
    quiet: bool = False
    """Whether it is there to compare with."""


@dataclass(frozen=True)
class Panel:
    """One chart of lines over epochs."""

    title: str
    """Written above where several panels are one picture."""
    lines: tuple[Line, ...]
    mark: int | None = None
    """Epoch to mark, from 1."""
    may_be_log: bool = False
    """Whether the axis may be logarithmic where values differ much."""


def curves(panels: Sequence[Panel], *, form: Form = "svg") -> bytes:
    """Draw lines over epochs: one panel alone without its title, several two by two with them."""
    with drawing():
        columns = 1 if len(panels) == 1 else 2
        rows = -(-len(panels) // columns)
        figure = new_figure(4.5 * columns, 2.6 * rows + 0.15 * (columns - 1))
        for place, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(rows, columns, place)
            _draw_panel(axes, panel)
            if len(panels) > 1:
                axes.set_title(panel.title, pad=18)
        return encode(figure, form)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 — only who draws waits for it

    plain_axes(axes, grid="y")
    longest = max((len(line.y) for line in panel.lines), default=1)
    values = [v for line in panel.lines for v in line.y if math.isfinite(v)]
    if panel.may_be_log and values and min(values) > 0 and max(values) > _LOG_FROM * min(values):
        axes.set_yscale("log")
    for line in panel.lines:
        lonely = sum(map(math.isfinite, line.y)) == 1
        axes.plot(
            range(1, len(line.y) + 1),
            line.y,
            label=line.name or "_",
            color=SECOND if line.quiet else ACCENT,
            linewidth=1.2 if line.quiet else 2.0,
            linestyle=(0, (4, 1.5)) if line.quiet else "solid",
            marker="o" if lonely else None,
            markersize=5,
        )
    if panel.mark is not None:
        axes.axvline(panel.mark, color=INK, linewidth=0.9, linestyle=":", label="epoch kept")
    axes.set_xlim(*((1, longest) if longest > 1 else (0.5, 1.5)))
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=7, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    axes.yaxis.set_major_formatter(_plain)
    axes.yaxis.set_minor_formatter(_nothing)
    if values and axes.get_yscale() == "linear" and max(values) == min(values):
        middle = values[0]
        axes.set_ylim(middle - max(abs(middle), 0.1) / 2, middle + max(abs(middle), 0.1) / 2)
    axes.set_xlabel("epoch")
    if any(line.name for line in panel.lines):
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.98),
            ncols=3,
            frameon=False,
            borderaxespad=0.2,
            handlelength=1.9,
            columnspacing=1.4,
        )


def _plain(value: float, _place: Any) -> str:
    return f"{value:.6g}".replace("-", "−")


def _nothing(_value: float, _place: Any) -> str:
    return ""


def gains(
    cycles: Sequence[int], last: Sequence[float], average: Sequence[float], *, form: Form = "svg"
) -> bytes:
    """Draw, cycle by cycle, a score of the last weights and that of their average so far."""
    with drawing():
        figure = new_figure(4.8, 2.6)
        axes = figure.add_subplot()
        plain_axes(axes, grid="y")
        axes.vlines(cycles, last, average, color=LINE, linewidth=3, zorder=1)
        axes.scatter(
            cycles,
            last,
            s=34,
            facecolors="none",
            edgecolors=SECOND,
            linewidths=1.6,
            zorder=2,
            label="last weights",
        )
        axes.plot(cycles, average, color=ACCENT, marker="o", markersize=5, label="average so far")
        axes.set_xticks(list(cycles))
        axes.set_xlim(min(cycles) - 0.5, max(cycles) + 0.5)
        axes.yaxis.set_major_formatter(_plain)
        axes.set_xlabel("cycle")
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.98),
            ncols=2,
            frameon=False,
            borderaxespad=0.2,
        )
        return encode(figure, form)


@dataclass(frozen=True)
class Group:
    """Runs that differ by chance alone."""

    name: str
    values: tuple[float, ...]
    """A score of each run; NaN where it is undefined."""
    mean: float
    std: float
    """NaN or 0 for a single run."""
    best: bool = False
    """Whether to let it stand out."""


def spreads(groups: Sequence[Group], *, form: Form = "svg") -> bytes:
    """Draw the mean of each group as a bar, its runs as dots, ± a standard deviation as a line."""
    with drawing():
        figure = new_figure(6.6, 0.6 + 0.36 * len(groups))
        axes = figure.add_subplot()
        plain_axes(axes, grid="x")
        for place, group in enumerate(groups):
            mean = group.mean if math.isfinite(group.mean) else 0.0
            axes.barh(place, mean, height=0.62, color=ACCENT if group.best else SOFT)
            if math.isfinite(group.std) and group.std > 0:
                axes.hlines(place, mean - group.std, mean + group.std, color=INK, linewidth=1.6)
            dots = [v for v in group.values if math.isfinite(v)]
            if len(dots) > 1:
                axes.scatter(
                    dots,
                    [place] * len(dots),
                    s=20,
                    facecolors=ON_ACCENT,
                    edgecolors=INK,
                    linewidths=0.9,
                    zorder=3,
                )
            axes.annotate(
                score(group.mean),
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontweight="bold" if group.best else "normal",
                annotation_clip=False,
            )
        names = [shortened(group.name, 44) for group in groups]
        axes.set_yticks(range(len(groups)), names, color=INK)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(groups) - 0.45, -0.55)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(_plain)
        axes.spines["left"].set_color(MUTED)
        return encode(figure, form)
