"""The report of images that were brought to one colour, as one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg import __version__
from geoseg.report.homogenise import MOST_BARS, Bar, colours, seam_chart
from geoseg.report.numbers import NONE, count, percent, setting
from geoseg.report.page import (
    Block,
    Fact,
    Facts,
    Figure,
    Folded,
    Grid,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    make_page,
)
from geoseg.report.pictures import write_png

_MOST_ROWS = 400
"""Rows of a table; the CSV file has all."""


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """What is said of an image."""

    name: str
    gains: tuple[float, ...] | None
    """None where a curve or a local adjustment says more than a gain and an offset."""
    offsets: tuple[float, ...] | None
    clipped: float | None
    """Share of its readings; None without readings."""


@dataclass(frozen=True, kw_only=True)
class SeamRow:
    """What is said of a pair of images in a band."""

    first: str
    second: str
    kind: str
    """"overlap" or "border"."""
    band: str
    pixels: int
    before: tuple[float, float, float]
    """Mean of first − second, mean of |first − second|, and that in deviations."""
    after: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Mosaics:
    """All images at the size of a screen, first those before, with one stretch."""

    before: NDArray[np.float64]
    """(3, rows, cols) readings shown as red, green and blue; NaN where there is none."""
    after: NDArray[np.float64]
    limits: NDArray[np.float64]
    """(3, 2) readings drawn black and full."""
    bands: tuple[str, str, str]
    """What is shown as red, green and blue."""


def homogenise_page(
    *,
    colour: str,
    bands: Sequence[str],
    images: Sequence[ImageRow],
    seams: Sequence[SeamRow],
    bars: Sequence[Bar],
    overall: tuple[float, float],
    kept: bool,
    notes: Sequence[str],
    mosaics: Mosaics,
    options: Mapping[str, Any],
    middle: tuple[float, float] = (math.nan, math.nan),
) -> str:
    """Write the report as one self-contained HTML page.

    Parameters
    ----------
    colour
        What the colour is and how images came to it, in a line.
    bands
        Names of the bands.
    images, seams, bars
        What was found, an image each, a pair and band each, a pair each.
    overall
        Mean difference over all seams in deviations, before and after; NaN without seams.
    kept
        Whether images were left as they are.
    notes
        What a reader should know.
    mosaics
        Pictures.
    options
        What was asked for, by name.
    middle
        Median difference over all seams in deviations, before and after; NaN to say nothing of it.

    Returns
    -------
    html
        The same arguments give the same text.
    """
    sections = [
        Section("In short", _summary(overall, middle, kept, notes, images)),
        Section("Before and after", _pictures(mosaics)),
    ]
    if seams:
        sections.append(Section("Where images meet", _seams(seams, bars)))
    sections.append(Section("What was done to each image", _images(images, bands)))
    table = Table(
        ("option", "value"),
        tuple((name, setting(value)) for name, value in options.items()),
        (False, False),
    )
    asked: Block = table if options else Paragraph("Nothing but what is the default.")
    sections.append(Section("What was asked for", (asked,)))
    return make_page(
        f"{count(len(images))} image{'' if len(images) == 1 else 's'} brought to one colour",
        sections,
        lead=f"{colour[:1].upper()}{colour[1:]}; bands {', '.join(bands)}",
        foot=f"Written by geoseg {__version__}.",
    )


def _summary(
    overall: tuple[float, float],
    middle: tuple[float, float],
    kept: bool,
    notes: Sequence[str],
    images: Sequence[ImageRow],
) -> tuple[Block, ...]:
    before, after = overall
    facts = [
        Fact("Seams before", _number(before), "mean difference where images meet, in deviations"),
        Fact("Seams after", _number(after), "the same measure after"),
    ]
    if before > 0 and math.isfinite(before) and math.isfinite(after) and not kept:
        facts.append(Fact("Smaller by", times(before, after), "seams before ÷ after"))
    if math.isfinite(middle[0]) and math.isfinite(middle[1]):
        told = f"{_number(middle[0])} → {_number(middle[1])}"
        facts.append(Fact("Middle pixel", told, "median difference: clouds hardly count"))
    worst = max((image.clipped or 0.0 for image in images), default=0.0)
    facts.append(
        Fact("Most clipped", percent(worst), "of an image's readings did not fit into its type")
    )
    blocks: list[Block] = [Facts(tuple(facts))]
    if kept:
        blocks.append(
            Paragraph(
                "Nothing made the images agree better than they do: all were left as they are."
            )
        )
    if notes:
        blocks.append(Points(tuple(f"{note[:1].upper()}{note[1:]}." for note in notes)))
    return tuple(blocks)


def times(before: float, after: float) -> str:
    """Write how many times smaller something has become."""
    if after <= 0:
        return "∞"
    ratio = before / after
    return f"{ratio:.0f} ×" if ratio >= 9.95 else f"{ratio:.1f} ×"


def _pictures(mosaics: Mosaics) -> tuple[Block, ...]:
    figures = tuple(
        Figure(
            write_png(colours(values, mosaics.limits)),
            alt=f"All images in one picture, {title} they were brought to one colour",
            title=f"{title.capitalize()}.",
        )
        for title, values in (("before", mosaics.before), ("after", mosaics.after))
    )
    ranges = ", ".join(
        f"{name} {_number(low)} to {_number(high)}"
        for name, (low, high) in zip(mosaics.bands, mosaics.limits.tolist(), strict=True)
    )
    return (
        Grid(figures),
        Paragraph(
            f"Red, green and blue show {ranges}, in both pictures alike. Where images overlap, the"
            " one named first is on top."
        ),
    )


def _seams(seams: Sequence[SeamRow], bars: Sequence[Bar]) -> tuple[Block, ...]:
    blocks: list[Block] = [
        Paragraph(
            "Each pair of images is compared over the ground that both show; images that only lie"
            " side by side along their border, pixel against pixel, where ground differs, too."
            " Differences in deviations are mean |first − second| divided by the standard deviation"
            " of both sides, so that less contrast does not look like a better fit."
        )
    ]
    measured = [bar for bar in bars if math.isfinite(bar.before) and math.isfinite(bar.after)]
    if measured:
        more = len(measured) - MOST_BARS
        caption = f"The {MOST_BARS} pairs that differed most; {count(more)} more are not shown."
        blocks.append(
            Figure(
                seam_chart(measured),
                alt="Difference of each pair of images before and after",
                caption=caption if more > 0 else "Mean over the bands.",
                wide=True,
            )
        )
    sums = ("first − second", "after", "|first − second|", "after", "in deviations", "after")
    header = ("images", "band", "pixels", *sums)
    rows: list[Row] = []
    for seam in seams[:_MOST_ROWS]:
        side = " (border)" if seam.kind == "border" else ""
        pairs = zip(seam.before, seam.after, strict=True)
        numbers = [_number(value) for pair in pairs for value in pair]
        name = f"{seam.first} – {seam.second}{side}"
        rows.append((name, seam.band, count(seam.pixels), *numbers))
    table = Table(header, tuple(rows), (False, False, *[True] * 7))
    left = len(seams) - len(rows)
    said = f"{count(left)} rows more are in seams.csv." if left else "The same is in seams.csv."
    blocks.append(Folded("Every pair and band", (table, Paragraph(said))))
    return tuple(blocks)


def _images(images: Sequence[ImageRow], bands: Sequence[str]) -> tuple[Block, ...]:
    rows: list[Row] = []
    for image in images[:_MOST_ROWS]:
        if image.gains is None or image.offsets is None:
            lines = ["curve"] * len(bands)
        else:
            pairs = zip(image.gains, image.offsets, strict=True)
            lines = [line(gain, offset) for gain, offset in pairs]
        rows.append((image.name, *lines, percent(image.clipped)))
    blocks: list[Block] = [
        Table(
            ("image", *bands, "clipped"),
            tuple(rows),
            (False, *[True] * (len(bands) + 1)),
            "What a reading x became, a band",
        )
    ]
    if len(images) > len(rows):
        blocks.append(Paragraph(f"{count(len(images) - len(rows))} images more are not listed."))
    return tuple(blocks)


def line(gain: float, offset: float) -> str:
    """Write a gain and an offset: "1.25 x − 310"."""
    if gain == 1 and offset == 0:
        return "x"
    sign = "−" if offset < 0 else "+"
    return f"{gain:.4g} x {sign} {abs(offset):.4g}"


def _number(value: float) -> str:
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞"
    return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:,.0f}"
