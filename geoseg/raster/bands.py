"""What a scene is made of: bands, and the pieces of files that hold them.

Plain values; opens no files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geoseg.errors import BandError
from geoseg.raster.naming import product_and_band, stem
from geoseg.raster.orientation import Orientation
from geoseg.raster.window import Window

_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class Band:
    """One band of a scene."""

    name: str
    """Its name; unique within the scene."""
    dtype: str
    """numpy's name of its pixels' type in the file."""
    nodata: float | None
    """Value that means "no reading", NaN included; None where the file declares none."""
    path: str
    """File that holds it (of a mosaic, the first)."""
    index: int
    """Its number in that file, from 1."""
    scale: float = 1.0
    """Physical value = scale × pixel + offset, as the file says; never applied on reading."""
    offset: float = 0.0
    """See `scale`."""
    named: bool = True
    """False where the file gives no name and "band_N" was made up."""


@dataclass(frozen=True)
class Source:
    """Bands of one file, of one type, that go into one piece of a scene and are read together."""

    path: str
    indexes: tuple[int, ...]
    """Numbers in the file, from 1."""
    positions: tuple[int, ...]
    """Which bands of the scene they are, from 0; they follow each other."""
    dtype: str
    nodata: tuple[float | None, ...]
    """Nodata value of each."""
    alpha: int | None
    """Number of the file's alpha band, where 0 means invalid."""
    mask: str
    """"dataset" where the file has one mask for all bands, "band" where each has one, "none"."""
    turned: Orientation | None = None
    """How the pixels are turned on their way out of the file; None where they are not."""


@dataclass(frozen=True)
class Piece:
    """A rectangle of a scene's own grid, and the files that fill it."""

    window: Window
    sources: tuple[Source, ...]

    def select(self, order: Sequence[int]) -> Piece:
        """Keep the bands at these positions, in this order."""
        singles = {single.positions[0]: single for s in self.sources for single in _singles(s)}
        return Piece(self.window, join_sources([singles[position] for position in order]))

    def with_nodata(self, values: Sequence[float | None]) -> Piece:
        """Give the bands these nodata values, by position."""
        return replace(
            self,
            sources=tuple(
                replace(s, nodata=tuple(values[p] for p in s.positions)) for s in self.sources
            ),
        )


def _singles(source: Source) -> list[Source]:
    parts = zip(source.indexes, source.positions, source.nodata, strict=True)
    return [replace(source, indexes=(i,), positions=(p,), nodata=(n,)) for i, p, n in parts]


def join_sources(singles: Sequence[Source]) -> tuple[Source, ...]:
    """Join sources of one band each, numbered as they come, where they can be read together."""
    joined: list[Source] = []
    for position, single in enumerate(singles):
        last = joined[-1] if joined else None
        if last is not None and (last.path, last.dtype) == (single.path, single.dtype):
            joined[-1] = replace(
                last,
                indexes=last.indexes + single.indexes,
                positions=(*last.positions, position),
                nodata=last.nodata + single.nodata,
            )
        else:
            joined.append(replace(single, positions=(position,)))
    return tuple(joined)


def find_bands(
    bands: Sequence[Band], names: Sequence[str], *, where: str, hint: str = ""
) -> list[int]:
    """Return the positions of the bands that names mean; see `geoseg.raster.scene.Scene.select`.

    Parameters
    ----------
    bands
        The bands there are.
    names
        Names, words of names, or numbers.
    where, hint
        Beginning and end of the message, should one be needed.

    Raises
    ------
    BandError
        A name means no band or several; the message lists what there is.
    """
    return [_find_band(bands, str(name), where, hint) for name in names]


def find_name(known: Sequence[str], name: str, *, where: str) -> int | None:
    """Return which of some names one means: "blue" means "blue B2", and not "ultra blue B1" then.

    The same name, upper and lower case alike; else the one of which it is the first word; else the
    one of which it is a word at all. None where there is none.

    Parameters
    ----------
    known
        Names of bands.
    name
        A name, or a word of one.
    where
        Beginning of the message, should one be needed.

    Raises
    ------
    BandError
        It may mean several; the message lists them.
    """
    wanted = name.strip().casefold()
    if not wanted:
        return None
    folded = [other.casefold() for other in known]
    if wanted in folded:
        return folded.index(wanted)
    words = [_BETWEEN_WORDS.split(other) for other in folded]
    first = [i for i, parts in enumerate(words) if parts[0] == wanted]
    found = first or [i for i, parts in enumerate(words) if wanted in parts]
    if len(found) > 1:
        several = " or ".join(f"“{known[i]}”" for i in found)
        raise BandError(f"{where}: band “{name}” may mean {several}; give the full name")
    return found[0] if found else None


def said_files(paths: Sequence[str]) -> str:
    """Name the files of a scene in a message: the first, and how many more there are."""
    more = len(paths) - 1
    return paths[0] if not more else f"{paths[0]} and {more} more file{'s' * (more > 1)}"


def _find_band(bands: Sequence[Band], name: str, where: str, hint: str) -> int:
    found = find_name([band.name for band in bands], name, where=where)
    if found is not None:
        return found
    wanted = name.strip()
    made_up = not all(band.named for band in bands)
    if made_up and wanted.isdecimal() and 1 <= int(wanted) <= len(bands):
        return int(wanted) - 1
    there = ", ".join(band.name for band in bands)
    if all(product_and_band(stem(band.path))[1] == band.name for band in bands):
        there += (
            " (as the product's files are called; geoseg composite makes a scene of common names)"
        )
    raise BandError(f"{where}: has no band “{name}”; there are: {there}{hint}")


def unique_names(names: Sequence[str]) -> list[str]:
    """Make names unique (upper and lower case alike) by numbering the later ones: red, red_2."""
    taken = {name.casefold() for name in names}
    seen: set[str] = set()
    result = []
    for name in names:
        unique, number = name, 1
        while unique.casefold() in seen or (number > 1 and unique.casefold() in taken):
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique.casefold())
        result.append(unique)
    return result


def comparable_nodata(
    nodata: float | None, dtype: str, common: np.dtype[Any]
) -> np.generic[Any] | None:
    """Return nodata as a value to compare pixels with, or None where no pixel can equal it.

    A file may declare a value that its type cannot hold (−9999 in uint8); then nothing equals it.
    NaN and infinity need no comparing: such pixels are invalid anyway.

    Parameters
    ----------
    nodata
        As the file declares it.
    dtype
        Type of the pixels in the file.
    common
        Type in which they are compared; holds every value of `dtype`.
    """
    if nodata is None or not math.isfinite(nodata):
        return None
    own = np.dtype(dtype)
    value: np.generic[Any]
    if own.kind == "f":
        if abs(nodata) > float(np.finfo(own).max):
            return None
        value = common.type(own.type(nodata))  # float32 pixels equal the value rounded to float32
        return value
    limits = np.iinfo(own)
    if nodata != int(nodata) or not limits.min <= int(nodata) <= limits.max:
        return None
    value = common.type(int(nodata))
    return value
