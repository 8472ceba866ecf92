"""Photographs: pictures without a place on Earth, of which each is a scene of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import InputError, OptionError, RasterReadError
from geoseg.raster.grouping import Problem
from geoseg.raster.opening.heads import expand, read_head
from geoseg.raster.sources import group_files

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """What was named, if all of it is photographs."""

    paths: tuple[str, ...]
    """Those that can be opened, in the order named."""
    pixels: int
    """Pixels of all of them."""
    problems: tuple[Problem, ...]
    """Those that cannot."""

    @property
    def scenes(self) -> int:
        """How many scenes they would be elsewhere, where pictures may be bands of one."""
        return len(group_files(self.paths, mosaic=False)[0])


def find_photographs(sources: Sequence[str | Path]) -> Photographs | None:
    """Look whether files, folders and patterns mean photographs and nothing else.

    Returns
    -------
    The photographs; None where anything is no picture, or has a place on Earth.

    Raises
    ------
    RasterReadError
        A folder holds no raster, or a pattern matches none.
    InputError
        Two have the same name but for the folder or the ending, and so would their maps.
    """
    found: list[str] = []
    problems: list[Problem] = []
    pixels = 0
    for path in expand(sources):
        try:
            head = read_head(path)
        except InputError as error:
            if Path(path).suffix.lower() not in _SUFFIXES:
                return None
            problems.append(Problem(path, str(error)))
            continue
        if not head.photograph:
            return None
        found.append(path)
        pixels += head.grid.height * head.grid.width
    if not found:
        return None
    stems: dict[str, str] = {}
    for path in found:
        other = stems.setdefault(Path(path).stem, path)
        if other != path:
            raise InputError(f"{other} and {path} have the same name, and so would what they give")
    return Photographs(paths=tuple(found), pixels=pixels, problems=tuple(problems))


_NUMBERS = re.compile(r"\(?\s*([0-9.]+)\s*\)?\s*")


def place_of(path: str) -> tuple[float, float] | None:
    """Longitude and latitude in degrees (WGS 84) where a photograph was taken, as its EXIF says.

    Returns
    -------
    None where it does not say, or says what is no place.

    Raises
    ------
    RasterReadError
        The file cannot be opened.
    """
    tags = _tags_of(path)
    lon = _degrees(tags, "Longitude", "EW", 180)
    lat = _degrees(tags, "Latitude", "NS", 90)
    if lon is None or lat is None or (lon == 0 and lat == 0):
        return None  # 0, 0 is what receivers write before they know
    return lon, lat


def has_bad_place(path: str) -> bool:
    """Tell whether a photograph has a latitude or longitude in its EXIF that make no place.

    Raises
    ------
    RasterReadError
        The file cannot be opened.
    """
    said = {"EXIF_GPSLatitude", "EXIF_GPSLongitude"} & _tags_of(path).keys()
    return bool(said) and place_of(path) is None


def _tags_of(path: str) -> Mapping[str, str]:
    try:
        return read_head(path).tags
    except InputError as error:
        raise RasterReadError(str(error)) from error


def _degrees(tags: Mapping[str, str], name: str, signs: str, most: float) -> float | None:
    """Read degrees, minutes and seconds: "(48) (51) (30.12)", with a letter for the sign."""
    text = tags.get(f"EXIF_GPS{name}", "")
    sign = tags.get(f"EXIF_GPS{name}Ref", "").strip().upper()[:1]
    parts = _NUMBERS.findall(text)
    if _NUMBERS.sub("", text) or not 1 <= len(parts) <= 3 or not sign or sign not in signs:
        return None
    try:
        value = sum(float(part) / 60**place for place, part in enumerate(parts))
    except ValueError:
        return None
    return None if value > most else (-value if sign in "SW" else value)


def photographs_to_map(sources: Sequence[str | Path], output: str | Path) -> Photographs | None:
    """Return the photographs that get a map each in a folder; None where one scene is meant.

    Bands in separate pictures are one scene, and so is what goes to a ``.tif``.

    Raises
    ------
    OptionError
        Several photographs, and an output that can hold the map of one.
    RasterReadError, InputError
        As by `find_photographs`.
    """
    many = find_photographs(sources)
    if many is None or Path(output).suffix.lower() not in (".tif", ".tiff"):
        return many
    if many.scenes > 1:
        raise OptionError(
            f"{many.scenes} photographs are a scene each: name a folder as the output"
        )
    return None
