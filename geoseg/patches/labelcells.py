"""What a table of image-level labels says, cell by cell: "water; forest", or 0 and 1 in columns.

An empty cell says nothing, so that a table may be filled in for some patches and not for others;
"-" says that none of the classes is there.

Knows neither files nor patches. Without a list of classes, these are found: every cell is taken in
before any is given a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.patches.presence import UNKNOWN
from geoseg.raster.legend import Legend

NONE = "-"
"""Cell that lists classes and means none of them."""
PLACE = ("patch", "scene", "row", "col")
"""Columns that say which patch is meant."""

# Columns that geoseg's own index has besides.
_OF_INDEX = ("size", "split", "position", "nodata", "reason")
_LISTS = ("classes", "class")
_STATES = {"1": 1, "true": 1, "yes": 1, "0": 0, "false": 0, "no": 0, "": UNKNOWN}
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
# More different names than this are descriptions.
_MOST_CLASSES = 64


class Cells:
    """Takes in the rows of a table; equal rows are kept once.

    Parameters
    ----------
    header
        Names of the columns.
    source
        The file, for errors.
    column
        The one that lists classes; by default ``classes`` or ``class``. Where there is none of
        these, every column but those of `PLACE` is a class, with 0 or 1 in its cells.
    legend
        The classes, if they are known beforehand.

    Raises
    ------
    LabelError
        There is no such column.
    """

    def __init__(
        self, header: Sequence[str], *, source: str, column: str | None, legend: Legend | None
    ) -> None:
        self._header = [name.strip() for name in header]
        self._source = source
        self._legend = legend
        self._list = self._find_list(column)
        self._flags = [] if self._list is not None else self._find_flags()
        self._numbers: dict[str | tuple[str, ...], int] = {}
        self._first: list[str] = []
        self._said: list[tuple[str, ...] | tuple[int, ...] | None] = []

    def add(self, cells: Sequence[str], where: str) -> int:
        """Take in a row and return its number, the same for rows that say the same.

        Raises
        ------
        LabelError
            A cell means nothing; `where` is the row to name.
        """
        key: str | tuple[str, ...]
        if self._list is not None:
            key = cells[self._list].strip()
        else:
            key = tuple(cells[i].strip().casefold() for i in self._flags)
        number = self._numbers.get(key)
        if number is None:
            said = self._names(key, where) if isinstance(key, str) else self._states(key, where)
            number = self._numbers[key] = len(self._said)
            self._said.append(said)
            self._first.append(where)
        return number

    def says_nothing(self, number: int) -> bool:
        """Whether rows of a number have nothing but empty cells."""
        said = self._said[number]
        if said is None:
            return True
        return self._list is None and all(state == UNKNOWN for state in said)

    def resolve(self) -> tuple[Legend, NDArray[np.uint8]]:
        """Give names their classes, once all rows are taken in.

        Returns
        -------
        legend, states
            The classes, and (rows' numbers, classes) uint8: 1 present, 0 absent, 255 unknown.

        Raises
        ------
        LabelError
            A name is no class, or there is none at all.
        """
        legend = self._legend or self._found()
        if self._list is None:
            of_column = [legend.find(self._header[i]) for i in self._flags]
            states = np.full((len(self._said), len(legend)), UNKNOWN, np.uint8)
            for index_of_class in range(len(legend)):
                # Several columns may be of one class: label values that mean the same.
                columns = [column for column, of in enumerate(of_column) if of == index_of_class]
                for number, said in enumerate(self._said):
                    told = {said[column] for column in columns if said is not None}
                    states[number, index_of_class] = next(s for s in (1, UNKNOWN, 0) if s in told)
            return legend, states
        states = np.zeros((len(self._said), len(legend)), np.uint8)
        for number, names in enumerate(self._said):
            if names is None:
                states[number] = UNKNOWN
            for name in names or ():
                index = legend.find(str(name))
                if index is None:
                    raise LabelError(
                        f"{self._first[number]}: {name!r} is none of the classes; there are "
                        f"{_listed(f'{c.id} {c.name}' for c in legend.classes)}"
                    )
                states[number, index] = 1
        return legend, states

    def _find_list(self, column: str | None) -> int | None:
        folded = [name.casefold() for name in self._header]
        for name in (column,) if column is not None else _LISTS:
            if name in self._header:
                return self._header.index(name)
            if name.casefold() in folded:
                return folded.index(name.casefold())
        if column is not None:
            raise LabelError(
                f"{self._source} has no column {column!r}; it has {_listed(self._header)}: choose "
                "one with --label-field"
            )
        return None

    def _find_flags(self) -> list[int]:
        folded = [name.casefold() for name in self._header]
        aside = {*PLACE, *_OF_INDEX, "fid", ""}
        flags = [
            i
            for i, name in enumerate(folded)
            if name not in aside and not name.startswith("share_")
        ]
        if self._legend is not None:
            of_column = {i: self._legend.find(self._header[i]) for i in flags}
            flags = [i for i in flags if of_column[i] is not None]
            missing = set(range(len(self._legend))) - set(of_column.values())
            if flags and missing:
                raise LabelError(
                    f"{self._source} has no column for the class "
                    f"{self._legend.names[min(missing)]!r}; it has {_listed(self._header)}"
                )
        if not flags:
            raise LabelError(
                f"{self._source} has no column 'classes' or 'class'; it has "
                f"{_listed(self._header)}: choose one with --label-field"
            )
        return flags

    def _names(self, text: str, where: str) -> tuple[str, ...] | None:
        if not text:
            return None
        if text == NONE:
            return ()
        # A name with a comma may stand alone, as people type it.
        if self._legend is not None and text in self._legend.names:
            return (text,)
        try:
            names = tuple(sorted(set(split_names(text))))
        except ValueError as error:
            raise LabelError(f"{where}: {error}") from None
        if NONE in names and f'"{NONE}"' not in text:
            raise LabelError(
                f"{where}: '{NONE}' means none of the classes, and others stand beside it"
            )
        return names

    def _states(self, cells: tuple[str, ...], where: str) -> tuple[int, ...]:
        for cell, column in zip(cells, self._flags, strict=True):
            if cell not in _STATES:
                raise LabelError(
                    f"{where}: {cell[:40]!r} in the column {self._header[column]!r} is neither 0 "
                    "nor 1: name the column that lists classes with --label-field, or those that "
                    "are classes with --classes"
                )
        return tuple(_STATES[cell] for cell in cells)

    def _found(self) -> Legend:
        """Classes of the names that came up."""
        if self._list is None:
            names = sorted({self._header[i] for i in self._flags})
        else:
            names = sorted({str(name) for said in self._said for name in said or ()})
        if not names:
            raise LabelError(
                f"{self._source} names no class in any row: fill in the column "
                f"{self._header[self._list or 0]!r}, or choose another with --label-field"
            )
        if len(names) > _MOST_CLASSES:
            raise LabelError(
                f"{self._source} has {len(names)} different names, {_listed(names, 3)}, which look "
                "like descriptions and not like classes: choose another column with --label-field, "
                "or name the classes with --classes"
            )
        try:
            if all(map(_WHOLE.fullmatch, names)):
                return Legend.of_values(map(int, names))
            return Legend.of((number, name, None, ()) for number, name in enumerate(names, start=1))
        except LabelError as error:
            raise LabelError(f"{self._source}: {error}") from None


def split_names(text: str) -> list[str]:
    """Names in a cell, between ``;``, ``|`` and ``,``; one that holds these in double quotes.

    Raises
    ------
    ValueError
        A double quote is not closed.
    """
    items, item, quoted = [], "", False
    for character in text:
        if character == '"':
            quoted = not quoted
        if character in ";|," and not quoted:
            items.append(item)
            item = ""
        else:
            item += character
    if quoted:
        raise ValueError(f"a double quote is not closed in {text[:60]!r}")
    stripped = [name.strip() for name in [*items, item]]
    bare = [
        name[1:-1].replace('""', '"').strip()
        if len(name) > 1 and name[0] == name[-1] == '"'
        else name
        for name in stripped
    ]
    return [name for name in bare if name]


def join_names(names: Sequence[str]) -> str:
    """Cell of names that `split_names` takes apart again; of no names `NONE`."""
    return (
        NONE
        if not names
        else "; ".join(
            '"' + name.replace('"', '""') + '"'
            if name == NONE or re.search(r'[;|,"]', name)
            else name
            for name in names
        )
    )


def _listed(words: Iterable[str], most: int = 12) -> str:
    every = list(words)
    return ", ".join(every[:most]) + (", …" if len(every) > most else "")
