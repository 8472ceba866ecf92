"""One self-contained HTML page from headings, texts, tables and figures.

A page needs nothing but itself: no scripts, no fonts, no outside links; its images are data URIs,
and its content security policy forbids everything else. All text given is escaped. It follows the
reader's choice of light or dark, prints in light, and reads on a phone.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias
from urllib.parse import quote

from geoseg.errors import OptionError
from geoseg.raster.legend import Color, Legend
from geoseg.raster.legend.palette import Ramp
from geoseg.report.style import SHEET, THEME

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Tables of more columns are set smaller.
_MANY_COLUMNS = 9


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str

    def html(self) -> str:
        """Return the block as HTML."""
        return f"<p>{_text(self.text)}</p>"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str

    def html(self) -> str:
        """Return the block as HTML."""
        return f"<h3>{_text(self.text)}</h3>"


@dataclass(frozen=True)
class Points:
    """A list of short statements."""

    texts: tuple[str, ...]

    def html(self) -> str:
        """Return the block as HTML."""
        items = "".join(f"<li>{_text(text)}</li>" for text in self.texts)
        return f"<ul>{items}</ul>" if items else ""


@dataclass(frozen=True)
class Fact:
    """A number that stands out."""

    name: str
    value: str
    note: str = ""
    """What it means, in a few words."""


@dataclass(frozen=True)
class Facts:
    """A row of numbers that stand out."""

    facts: tuple[Fact, ...]

    def html(self) -> str:
        """Return the block as HTML."""
        return "<dl class=facts>" + "".join(map(self._tile, self.facts)) + "</dl>"

    @staticmethod
    def _tile(fact: Fact) -> str:
        note = f"<dd class=note>{_text(fact.note)}</dd>" if fact.note else ""
        return (
            f"<div><dt>{_text(fact.name)}</dt><dd class=value>{_text(fact.value)}</dd>{note}</div>"
        )


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than its text."""

    text: str
    spread: str = ""
    """Written behind the text, quieter: "± 0.012"."""
    swatch: Color | None = None
    """Colour of a small square before the text."""
    best: bool = False
    """Whether to mark it as the best of its column."""
    links: tuple[tuple[str, str], ...] = ()
    """Names of files, written behind the text, and where they lie as seen from the page."""


Row: TypeAlias = tuple[str | Cell, ...]
"""Cells of one row of a table."""


@dataclass(frozen=True)
class Table:
    """A table; on a narrow screen it can be pushed sideways."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    right: tuple[bool, ...]
    """Whether each column is aligned to the right."""
    caption: str = ""

    def __post_init__(self) -> None:
        for row in (self.right, *self.rows):
            if len(row) != len(self.header):
                raise OptionError(
                    f"a table of {len(self.header)} columns has a row of {len(row)} cells"
                )

    def html(self) -> str:
        """Return the block as HTML."""
        caption = f"<caption>{_text(self.caption)}</caption>" if self.caption else ""
        head = "".join(
            f"<th scope=col{_class('right' * r)}>{_text(text)}</th>"
            for text, r in zip(self.header, self.right, strict=True)
        )
        body = "".join(self._row(row) for row in self.rows)
        dense = _class("dense" * (len(self.header) > _MANY_COLUMNS))
        return (
            f'<div class=scroll tabindex=0 role=region aria-label="{escape(self._name())}">'
            f"<table{dense}>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _name(self) -> str:
        return self.caption or f"Table: {', '.join(self.header)}"

    def _row(self, row: Row) -> str:
        cells = []
        for place, (cell, right) in enumerate(zip(row, self.right, strict=True)):
            tag = "th scope=row" if place == 0 else "td"
            classes = "right " * right
            if isinstance(cell, str):
                content = _text(cell)
            else:
                content = _swatch(cell.swatch) + _text(cell.text)
                content += ", ".join(_link(_text(name), place) for name, place in cell.links)
                if cell.best:
                    content = f"<span class=best>{content}</span>"
                if cell.spread:
                    content += f" <span class=spread>{_text(cell.spread)}</span>"
            cells.append(f"<{tag}{_class(classes)}>{content}</{tag.split(maxsplit=1)[0]}>")
        return f"<tr>{''.join(cells)}</tr>"


@dataclass(frozen=True)
class Figure:
    """An image with what it shows."""

    image: bytes
    """A PNG, JPEG or SVG file."""
    alt: str
    """What it shows, for who cannot see it."""
    caption: str = ""
    """Text under it, or above it where it has a title."""
    title: str = ""
    """Bold beginning of the caption."""
    link: str = ""
    """Where the file lies that it shows, as seen from the page."""
    wide: bool = False
    """Whether to keep it large on a narrow screen, where it can then be pushed sideways."""

    def html(self) -> str:
        """Return the block as HTML."""
        title = f"<strong>{_text(self.title)}</strong> " if self.title else ""
        text = title + _text(self.caption)
        place = _class("above" * bool(title))
        caption = f"<figcaption{place}>{text}</figcaption>" if text else ""
        image = f'<img alt="{escape(self.alt)}" src="{data_uri(self.image)}">'
        if self.link:
            image = _link(image, self.link)
        if self.wide:
            image = f"<div class=scroll tabindex=0>{image}</div>"
        content = caption + image if title else image + caption
        return f"<figure{_class('wide' * self.wide)}>{content}</figure>"


@dataclass(frozen=True)
class Grid:
    """Figures side by side as far as there is room."""

    figures: tuple[Figure, ...]
    small: bool = False
    """Whether to keep them small, and as many in a row as there is room."""

    def html(self) -> str:
        """Return the block as HTML."""
        name = "pictures" if self.small else "grid"
        return f"<div class={name}>{''.join(figure.html() for figure in self.figures)}</div>"


@dataclass(frozen=True)
class Strip:
    """Four small pictures of one place, side by side; on a phone two by two."""

    text: str
    """What they are of."""
    figures: tuple[Figure, ...]
    below: tuple[Figure, ...] = ()
    """More of them, in a row of their own."""

    def html(self) -> str:
        """Return the block as HTML."""
        rows = "".join(
            f"<div class=row>{''.join(figure.html() for figure in figures)}</div>"
            for figures in (self.figures, self.below)
            if figures
        )
        return f"<div class=strip><p>{_text(self.text)}</p>{rows}</div>"


@dataclass(frozen=True)
class Key:
    """What colours mean."""

    entries: tuple[tuple[Color, str], ...]

    @classmethod
    def of(cls, legend: Legend) -> Key:
        """Make the key of a legend's classes."""
        return cls(tuple(zip(legend.colors, legend.names, strict=True)))

    def html(self) -> str:
        """Return the block as HTML."""
        items = "".join(f"<li>{_swatch(color)}{_text(name)}</li>" for color, name in self.entries)
        return f"<ul class=key>{items}</ul>"


@dataclass(frozen=True)
class RampKey:
    """What the colours of a ramp mean: a bar with its limits, and the middle between them."""

    text: str
    """What the values are."""
    ramp: Ramp

    def html(self) -> str:
        """Return the block as HTML."""
        ramp = self.ramp
        stops = ",".join(
            f"rgb({red},{green},{blue}) {100 * place:g}%"
            for place, (red, green, blue) in ramp.stops
        )
        middle = (ramp.minimum + ramp.maximum) / 2
        low, half, high = (
            _text(f"{value:.3g}".replace("-", "−"))
            for value in (ramp.minimum, middle, ramp.maximum)
        )
        return (
            f"<div class=ramp><p>{_text(self.text)}</p>"
            f'<div class=bar style="background:linear-gradient(90deg,{stops})"></div>'
            f"<div class=ends><span>{low}</span><span>{half}</span><span>{high}</span></div></div>"
        )


@dataclass(frozen=True)
class Folded:
    """Blocks that the reader opens on demand; they are not printed unless open."""

    summary: str
    blocks: tuple[Block, ...]

    def html(self) -> str:
        """Return the block as HTML."""
        inner = "".join(block.html() for block in self.blocks)
        return f"<details><summary>{_text(self.summary)}</summary>{inner}</details>"


Block: TypeAlias = (
    Paragraph | Heading | Points | Facts | Table | Figure | Grid | Strip | Key | RampKey | Folded
)


@dataclass(frozen=True)
class Section:
    """A part of a page with its heading."""

    title: str
    blocks: tuple[Block, ...]


def make_page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: str = "",
    foot: str = "",
    contents: bool = True,
) -> str:
    """Write a page.

    Parameters
    ----------
    title
        Its heading, and its name in the browser.
    sections
        Its parts, in order.
    lead, foot
        A line under the heading and one at the end; may be empty.
    contents
        Whether to list the sections' titles at the beginning.

    Returns
    -------
    html
        The whole file, to be written as UTF-8. The same content gives the same text.
    """
    names = _anchors(section.title for section in sections)
    pairs = list(zip(names, sections, strict=True))
    links = "".join(f'<a href="#{name}">{_text(s.title)}</a>' for name, s in pairs)
    body = "\n".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{_text(s.title)}</h2>\n'
        + "\n".join(block.html() for block in s.blocks)
        + "</section>"
        for name, s in pairs
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_text(title)}</title><style>{THEME}{SHEET}</style></head>\n<body>\n"
        f"<header><h1>{_text(title)}</h1>{f'<p>{_text(lead)}</p>' if lead else ''}</header>\n"
        + (f"<nav aria-label=Contents>{links}</nav>\n" if contents and links else "")
        + f"<main>\n{body}\n</main>\n"
        + (f"<footer>{_text(foot)}</footer>\n" if foot else "")
        + "</body></html>\n"
    )


def data_uri(image: bytes) -> str:
    """Write an image as a data URI.

    Raises
    ------
    OptionError
        It is neither PNG nor JPEG nor SVG.
    """
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "image/png"
    elif image.startswith(b"\xff\xd8\xff"):
        kind = "image/jpeg"
    elif b"<svg" in image[:1024]:
        kind = "image/svg+xml"
    else:
        raise OptionError("a page can hold PNG, JPEG and SVG images and no others")
    return f"data:{kind};base64,{b64encode(image).decode('ascii')}"


def _text(text: str) -> str:
    return escape(text)


def _link(content: str, place: str) -> str:
    return f'<a href="{escape(quote(place))}">{content}</a>'


def _class(names: str) -> str:
    return f' class="{names.strip()}"' if names.strip() else ""


def _swatch(color: Color | None) -> str:
    if color is None:
        return ""
    red, green, blue = color
    return f'<span class=swatch style="background:rgb({red},{green},{blue})"></span>'


def _anchors(titles: Iterable[str]) -> list[str]:
    """Name the sections for links, each differently."""
    names: list[str] = []
    for title in titles:
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        names.append(name if name not in names else f"{name}-{len(names) + 1}")
    return names
