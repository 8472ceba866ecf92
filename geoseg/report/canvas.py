"""Figures of matplotlib as bytes: drawn without pyplot, the same bytes every time.

An SVG follows the reader's choice of light or dark: the colours of `geoseg.report.style` are
written into it as variables. A PNG is light.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from geoseg.report.style import LIGHT, THEME

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Form = Literal["svg", "png"]

INK, MUTED, LINE = LIGHT["ink"], LIGHT["muted"], LIGHT["line"]
ACCENT, SECOND, SOFT = LIGHT["accent"], LIGHT["second"], LIGHT["soft"]
ON_ACCENT, ON_HALF = LIGHT["on-accent"], LIGHT["on-half"]

_DPI = 144
_FONT = "font-family: system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"

_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    # Names of classes are no formulae, whatever dollars they hold.
    "text.parse_math": False,
    # Letters stay letters: small files, and text that can be searched.
    "svg.fonttype": "none",
    "svg.hashsalt": "geoseg",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib up for one figure, whatever the user's own settings, and back again.

    Wraps making the figure and `encode`. The settings are matplotlib's global ones: not for two
    threads at once.
    """
    # Where a cache cannot be written it says so at length, and draws all the same.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import style  # noqa: PLC0415 — only who draws waits for it

    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # The reader's fonts may hold what ours do not.
        warnings.filterwarnings(
            "ignore", message=r"Glyph \d+ .* missing from", category=UserWarning
        )
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of so many inches whose parts keep clear of each other."""
    from matplotlib.figure import Figure  # noqa: PLC0415 — only who draws waits for it
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415 — as above

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)  # inches
    return Figure(figsize=(width, height), layout=layout)


def encode(figure: Figure, form: Form) -> bytes:
    """Return a figure as a file, without dates and versions."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 — as above
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 — as above

    out = io.BytesIO()
    if form == "png":
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
        return out.getvalue()
    FigureCanvasSVG(figure)
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    return _themed(out.getvalue().decode("utf-8")).encode("utf-8")


def _themed(svg: str) -> str:
    """Let an SVG follow light and dark, in the fonts of the page."""
    for name, color in LIGHT.items():
        svg = svg.replace(f": {color}", f": var(--{name})")
    svg = re.sub(r"(font: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1system-ui, sans-serif", svg)
    svg = re.sub(r"font-family: 'DejaVu Sans'[^;\"]*", _FONT, svg)
    # Only the part that a browser reads: the declarations before it name an outside address.
    svg = svg[svg.index("<svg") :]
    head = svg.index(">") + 1
    return f"{svg[:head]}<style>{THEME}</style>{svg[head:]}"


def plain_axes(axes: Axes, *, grid: Literal["x", "y"]) -> None:
    """Take away all lines but the axis and a faint grid."""
    axes.grid(visible=True, axis=grid, color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines["left" if grid == "y" else "bottom"].set_visible(False)
    axes.tick_params(axis=grid, length=0)


def shortened(name: str, length: int = 26) -> str:
    """Cut a long name for a chart; the page's tables have it whole."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"
