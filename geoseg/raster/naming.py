"""Band and scene names out of file names. Knows strings alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BORDERS = re.compile(r"([_\-.])")

# Landsat Collection files: sensor and level, path and row, date, then (in full) the date of
# processing, the collection and the tier; then the band. Named by this convention, a band has the
# same name whichever other bands lie beside it.
_LANDSAT = re.compile(
    r"(L[COTEM]\d{2}_L\w{3}_\d{6}_\d{8}(?:_\d{8}_\d{2}_(?:T1|T2|RT))?)"
    r"_((?:(?:SR|ST|QA)_)?[A-Z][A-Z0-9]*(?:_VCID_[12])?)",
    re.IGNORECASE,
)
# Parts of one export of Google Earth Engine: "NAME-0000000000-0000032768".
_SHARD = re.compile(r"(.+?)-?\d{10}-\d{10}")
_DATE = re.compile(r"(?:19|20)\d{2}[\-_.]?(?:\d{2}[\-_.]?(?:\d{2}(?:t\d{4,6}z?)?)?|\d{3})?", re.I)


def stem(path: str) -> str:
    """File name without folder, query and last extension."""
    name = path.partition("?")[0].replace("\\", "/").rpartition("/")[2]
    return name.rpartition(".")[0] or name


def product_and_band(file_stem: str) -> tuple[str, str | None]:
    """Scene and band as a product's own convention has them; band None where it has none."""
    match = _LANDSAT.fullmatch(file_stem)
    return (match[1], match[2].upper()) if match else (file_stem, None)


def shard_of(file_stem: str) -> str | None:
    """Name of the export that a file is a part of; None where it is none."""
    match = _SHARD.fullmatch(file_stem)
    return match[1] if match else None


def is_date(text: str) -> bool:
    """Tell whether a name is a year, a month or a day."""
    return bool(_DATE.fullmatch(text))


def _tokens(stems: Sequence[str]) -> tuple[list[list[str]], int]:
    """Cut names at "_", "-" and "." (tokens at even places); tell how much they all begin with."""
    split = [_BORDERS.split(text) for text in stems]
    shortest = min(len(tokens) for tokens in split)
    head = 0
    while head + 2 <= shortest and len({tuple(tokens[head : head + 2]) for tokens in split}) == 1:
        head += 2
    return split, head


def names_from_stems(stems: Sequence[str]) -> list[str]:
    """Return the part in which file names differ, cut at "_", "-" and ".".

    Examples
    --------
    >>> names_from_stems(["sr_b4_20200829", "sr_b5_20200829"])
    ['b4', 'b5']
    """
    products = [product_and_band(text) for text in stems]
    if len({scene for scene, _ in products}) == 1 and all(band for _, band in products):
        return [band for _, band in products if band is not None]
    split, head = _tokens(stems)
    room = min(len(tokens) for tokens in split) - head
    tail = 0
    while tail + 2 < room and len({tuple(t[len(t) - tail - 2 :]) for t in split}) == 1:
        tail += 2
    cut = ["".join(tokens[head : len(tokens) - tail]) for tokens in split]
    return [name or text for name, text in zip(cut, stems, strict=True)]


def common_name(stems: Sequence[str]) -> str:
    """Return a name for several files together: what their names begin with, or the first."""
    scenes = [shard_of(text) or product_and_band(text)[0] for text in stems]
    if len(set(scenes)) == 1:
        return scenes[0]
    split, head = _tokens(scenes)
    return "".join(split[0][: max(0, head - 1)]) or scenes[0]
