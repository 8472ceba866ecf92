"""What the values or colours of somebody's class raster mean: "1=1,5=2,*=0", "#00ffff=1".

A code has what is found in the raster on its left, a value, a colour, or a name that the raster
gives to its values, and a class id on its right, or "nodata". ``*`` is what is not listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from geoseg.errors import LabelError, OptionError
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.palette import Color, hex_of, of_hex

UNLISTED = -1
"""What becomes of what no code names, until somebody has been told."""

_Key = TypeVar("_Key")
_FORM = "write 5=2 (value=class), '#00ffff=1' (colour=class), corn=1 (name=class), '*=nodata'"


@dataclass(frozen=True, kw_only=True)
class Codes:
    """What becomes of what."""

    values: Mapping[int, int] = field(default_factory=dict)
    """Class id (255: no class) by value."""
    colours: Mapping[Color, int] = field(default_factory=dict)
    """Class id by colour."""
    names: Mapping[str, int] = field(default_factory=dict)
    """Class id by the name that the raster gives to values."""
    rest: int = UNLISTED
    """Class id of what is not listed; `UNLISTED` where that is an error."""

    def __post_init__(self) -> None:
        if self.colours and (self.values or self.names):
            value = next(iter([*self.values, *self.names]))
            raise OptionError(
                f"--codes names colours ({hex_of(next(iter(self.colours)))}) and values ({value}):"
                " a raster holds one of the two"
            )

    @property
    def ids(self) -> list[int]:
        """Class ids that something becomes, in ascending order."""
        found = {*self.values.values(), *self.colours.values(), *self.names.values(), self.rest}
        return sorted(found - {NODATA, UNLISTED})

    def named_by(self, names: Mapping[int, str], path: str) -> Codes:
        """Return the codes with values in place of names, as a raster names its values.

        Parameters
        ----------
        names
            Names by value.
        path
            The raster, for errors.

        Raises
        ------
        LabelError
            It has no such name, or its value is listed as well, with another class.
        """
        if not self.names:
            return self
        found = dict(self.values)
        for name, id_ in self.names.items():
            meant = [v for v, n in names.items() if n.casefold() == name.casefold()]
            if not meant:
                there = ", ".join(list(names.values())[:8]) + (", …" if len(names) > 8 else "")
                what = f"has the names {there}" if names else "names none of its values"
                raise LabelError(f"{path}: {what}, not {name!r}: list its value in --codes instead")
            for value in meant:
                if found.setdefault(value, id_) != id_:
                    raise LabelError(
                        f"{path}: {name!r} is its value {value}, which --codes lists as well, with"
                        " another class"
                    )
        return replace(self, values=found, names={})


def parse_codes(text: str | None, legend: Legend | None) -> Codes:
    """Read codes.

    Where they name no class, or only that of the rest, a list of classes says which is which: see
    `colours_of` and `values_of`.

    Parameters
    ----------
    text
        ``"1=1,5=2,*=0"``; or None.
    legend
        Classes, if a person gave them; ids on the right may then be names.

    Raises
    ------
    LabelError
        No codes, or one is given twice.
    OptionError
        Neither codes nor classes are given, or colours and values at once.
    """
    values: dict[int, int] = {}
    colours: dict[Color, int] = {}
    names: dict[str, int] = {}
    rest = UNLISTED
    for key, id_ in _items(text or "", legend):
        if key == "*":
            if rest != UNLISTED:
                raise LabelError("--codes says twice what '*' is")
            rest = id_
        elif key.startswith("#"):
            _add(colours, _colour(key), id_, key)
        elif re.fullmatch(r"[+-]?[0-9]{1,9}(\.0*)?", key):
            _add(values, int(float(key)), id_, key)
        elif re.fullmatch(r"[+-]?[0-9.]+", key) or "=" in key:
            raise LabelError(f"--codes: {key!r} is no whole number of up to nine digits: {_FORM}")
        else:
            _add(names, key, id_, key)
    codes = Codes(values=values, colours=colours, names=names, rest=rest)
    if legend is None and not any(
        id_ != NODATA for id_ in (*values.values(), *colours.values(), *names.values())
    ):
        raise OptionError(
            "nothing says what becomes which class: list it with --codes, or give --classes with"
            " colours or values"
        )
    return codes


def colours_of(codes: Codes, legend: Legend | None) -> Codes:
    """Return codes of colours for a raster that holds colours; those of the legend fill in.

    Raises
    ------
    LabelError
        Two classes have one colour.
    """
    if legend is None or any(id_ != NODATA for id_ in codes.colours.values()):
        return codes
    found = dict(codes.colours)
    for c in legend.classes:
        if found.setdefault(c.color, c.id) not in (c.id, NODATA):
            raise LabelError(f"--classes gives {hex_of(c.color)} to two classes: give each its own")
    return replace(codes, colours=found)


def values_of(codes: Codes, legend: Legend | None) -> Codes:
    """Return codes of values for a raster that holds values; those of the legend fill in."""
    if legend is None or codes.names or any(id_ != NODATA for id_ in codes.values.values()):
        return codes
    return _with_values(codes, legend)


def _with_values(codes: Codes, legend: Legend) -> Codes:
    of_legend = {value: c.id for c in legend.classes for value in c.label_values}
    return replace(codes, values=of_legend | dict(codes.values))


def _items(text: str, legend: Legend | None) -> Iterable[tuple[str, int]]:
    """Yield what is on the left, and the class id on the right, of each code."""
    for item in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        key, equals, target = (part.strip().strip("\"'") for part in item.rpartition("="))
        if not equals or not key or not target:
            raise LabelError(f"--codes: {item!r} is no code: {_FORM}")
        yield key, _id(target, item, legend)


def _id(target: str, item: str, legend: Legend | None) -> int:
    """Class id of what is on the right."""
    if target.casefold() == "nodata" or target == str(NODATA):
        return NODATA
    if re.fullmatch(r"[0-9]{1,3}", target) and int(target) < NODATA:
        return int(target)
    index = None if legend is None or target.isdecimal() else legend.find(target)
    if legend is None or index is None:
        raise LabelError(
            f"--codes: {item!r}: {target!r} is no class: give an id from 0 to 254, 'nodata', or a"
            " name that --classes has"
        )
    return legend.ids[index]


def _colour(key: str) -> Color:
    try:
        return of_hex(key)
    except ValueError as error:
        raise LabelError(f"--codes: {error}") from None


def _add(into: dict[_Key, int], key: _Key, id_: int, said: str) -> None:
    if into.setdefault(key, id_) != id_:
        raise LabelError(f"--codes says twice what {said} is, and differently")


def codes_file(text: str | None) -> bool:
    """Tell whether codes are a file, with classes and their values, and not written out."""
    return text is not None and "=" not in text and os.path.isfile(text)


# -- classes --------------------------------------------------------------------------------------


def legend_of_codes(codes: Codes, given: Legend | None, names: Mapping[int, str]) -> Legend:
    """Classes of what is made: those given, or ids with the names and colours that are known.

    Parameters
    ----------
    codes
        What becomes what; names may be among them.
    given
        Classes, if a person gave them.
    names
        What the raster calls its values.

    Raises
    ------
    LabelError
        An id is no class of those given; or all becomes nodata.
    """
    if given is not None:
        missing = [str(id_) for id_ in codes.ids if id_ not in given.ids]
        if missing:
            raise LabelError(
                f"--classes has no class {', '.join(missing[:8])}, which --codes names: add it"
            )
        return Legend(tuple(replace(c, values=()) for c in given.classes))
    if not codes.ids:
        raise LabelError("--codes makes nodata of everything, and no class")
    called: dict[int, str] = {}
    for id_ in codes.ids:
        found = {name for name, target in codes.names.items() if target == id_}
        found |= {names.get(v, "") for v, target in codes.values.items() if target == id_}
        if not found and id_ == codes.rest:
            found = {"other"}
        name = found.pop() if len(found) == 1 else ""
        called[id_] = name if name and name not in called.values() else f"class {id_}"
    looks = {id_: [c for c, target in codes.colours.items() if target == id_] for id_ in called}
    return Legend.of(
        (id_, name, looks[id_][0] if len(looks[id_]) == 1 else None, ())
        for id_, name in called.items()
    )
