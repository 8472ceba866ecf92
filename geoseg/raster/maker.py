"""What made a file that is no raster: written into pictures, pages, texts, documents and tables.

Every form carries what `geoseg.raster.provenance.provenance` says, in the way that its readers take
without noticing: a picture as text chunks (which ``gdalinfo`` prints), a page as ``meta`` elements,
Markdown as a comment, JSON under the key ``made_by``. A table has no such place: a file of metadata
stands beside it, under the name that W3C's "CSV on the Web" gives it.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, BinaryIO

from geoseg.errors import OutputError
from geoseg.raster.provenance import PREFIX, made_by, maker_tags

KEY = "made_by"
"""Key of JSON documents."""
TABLE_SUFFIX = "-metadata.json"
"""What follows a table's name, ending and all, in the name of the file that says what made it."""

_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = len(_PNG) + 25
"""Bytes of a PNG file up to the end of its first chunk, which says its size."""
_PAGE_HEAD = '<head><meta charset="utf-8">'
_COMMENT = "<!-- made_by: ", " -->"
"""Around what made a text, on a line of its own."""
_MOST_COMMENT = 60_000
_MOST_BYTES = 16 << 20
"""Of a file, that are looked at."""


def document_with(content: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Return a JSON document that says at its end what made it."""
    return {**content, KEY: made_by(tags)}


def page_with(html: str, tags: Mapping[str, str]) -> str:
    """Return a page of `geoseg.report.page.make_page` that says in its head what made it."""
    elements = "".join(
        f'<meta name="{escape(name)}" content="{escape(text)}">'
        for name, text in sorted(tags.items())
        if name.startswith(PREFIX)
    )
    return html.replace(_PAGE_HEAD, _PAGE_HEAD + elements, 1)


def picture_with(png: bytes, tags: Mapping[str, str]) -> bytes:
    """Return a PNG file that says in text chunks, UTF-8, what made it; its pixels stay.

    Raises
    ------
    OutputError
        It is no PNG.
    """
    if not png.startswith(_PNG):
        raise OutputError("what made a picture can be noted in PNG files alone")
    said = b"".join(
        _chunk(b"iTXt", name.encode() + b"\0\0\0\0\0" + text.encode())
        for name, text in sorted(tags.items())
        if name.startswith(PREFIX)
    )
    return png[:_HEAD] + said + png[_HEAD:]


def text_with(markdown: str, tags: Mapping[str, str]) -> str:
    """Return a text of Markdown that says at its end, in a comment, what made it."""
    # No ">" is in it, and so no end of the comment.
    said = _json(made_by(tags)).replace(">", "\\u003e")
    return f"{markdown.rstrip()}\n\n{said.join(_COMMENT)}\n"


def comment_of(tags: Mapping[str, str]) -> bytes:
    """Return what made a photograph, for the comment of its file; without its inputs if too long.

    JPEG's comments end at 65,533 bytes.
    """
    said = made_by(tags)
    for left_out in ("", "inputs", "options", "command"):
        said.pop(left_out, None)
        text = _json(said).encode()
        if len(text) <= _MOST_COMMENT:
            break
    return text


def maker_path(table: Path) -> Path:
    """Name the file that says what made a table."""
    return table.with_name(table.name + TABLE_SUFFIX)


def beside_table(table: Path, tags: Mapping[str, str]) -> dict[Path, str]:
    """Return the text of the file that says what made a table, by its path.

    Nothing where somebody else's file has that name: it is theirs.
    """
    path = maker_path(table)
    try:
        if KEY not in json.loads(path.read_bytes()):
            return {}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
    content = {"@context": "http://www.w3.org/ns/csvw", "url": table.name, KEY: made_by(tags)}
    return {path: json.dumps(content, ensure_ascii=False, indent=2) + "\n"}


def read_maker(path: Path) -> dict[str, Any] | None:
    """Read what made a picture, a photograph's preview, a page or a text of Markdown.

    Returns
    -------
    What `geoseg.raster.provenance.made_by` gave; None where the file does not say, is of another
    form, or cannot be read. Nothing in it is trusted: it is what somebody wrote.
    """
    read = {
        ".png": _of_picture,
        ".jpg": _of_photograph,
        ".html": _of_page,
        ".htm": _of_page,
        ".md": _of_text,
    }.get(path.suffix.lower())
    if read is None:
        return None
    try:
        with path.open("rb") as file:
            found = read(file)
    except (OSError, ValueError, RecursionError):
        return None
    return found or None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _object(text: str | bytes) -> dict[str, Any]:
    """Take an object out of JSON; an empty one where there is none."""
    found = json.loads(text)
    return made_by(maker_tags(found)) if isinstance(found, dict) else {}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _of_picture(file: BinaryIO) -> dict[str, Any]:
    if file.read(len(_PNG)) != _PNG:
        return {}
    tags: dict[str, str] = {}
    for kind, data in _chunks(file):
        name, _, rest = data.partition(b"\0")
        if kind == b"iTXt" and rest.startswith(b"\0\0\0\0"):  # as it is, in no language
            tags[name.decode("latin-1")] = rest[4:].decode()
    return made_by(tags)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk before the pixels."""
    left = _MOST_BYTES
    while len(head := file.read(8)) == 8:
        size, kind = int(struct.unpack(">I", head[:4])[0]), head[4:]
        left -= size
        if kind == b"IDAT" or left < 0:
            return
        yield kind, file.read(size)
        file.seek(4, io.SEEK_CUR)


def _of_photograph(file: BinaryIO) -> dict[str, Any]:
    """Read the comment of a JPEG file, which is before its pixels."""
    if file.read(2) != b"\xff\xd8":
        return {}
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] != 0xDA:
        size = int(struct.unpack(">H", head[2:])[0]) - 2
        if size < 0:  # to `read`, all that there is
            return {}
        data = file.read(size)
        if head[1] == 0xFE and b"{" in data:
            return _object(data[data.index(b"{") :])
    return {}


def _of_page(file: BinaryIO) -> dict[str, Any]:
    reader = _Metas()
    reader.feed(file.read(_MOST_BYTES).partition(b"<style")[0].decode())
    return made_by(reader.found)


class _Metas(HTMLParser):
    """Collects what ``meta`` elements say, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take one element."""
        said = dict(attrs)
        name, content = said.get("name"), said.get("content")
        if tag == "meta" and name is not None and content is not None:
            self.found[name] = content


def _of_text(file: BinaryIO) -> dict[str, Any]:
    begin, end = _COMMENT
    # Line by line: an expression for all of it would take for ever over some texts.
    for line in reversed(file.read(_MOST_BYTES).decode().split("\n")):
        text = line.rstrip()
        if text.startswith(begin) and text.endswith(end):
            return _object(text.removeprefix(begin).removesuffix(end))
    return {}
