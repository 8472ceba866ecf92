"""Classes: their ids, names and colours, and which label values mean them.

A class raster's pixel is a class *id* (0…254; 255 is nodata). Networks and arrays in memory count
classes from 0 without gaps: that is the class *index*, the place in `Legend.classes`.
`Legend.lookup` goes from label values to indices, `Legend.id_lut` from indices to ids. Knows no
files.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.raster.legend.palette import Color, Ramp, class_colors, hex_of, parse_color

__all__ = ["NODATA", "Color", "Legend", "LegendClass", "Ramp"]

NODATA = 255
"""Pixel value of class rasters, and class index, that means: no class."""


@dataclass(frozen=True)
class LegendClass:
    """One class of a map."""

    id: int
    """Pixel value in class rasters, 0…254."""
    name: str
    """Name for people; one line."""
    color: Color
    """Red, green, blue, each 0…255."""
    values: tuple[int, ...] = ()
    """Label values that mean this class; empty means: its id alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", operator.index(self.id))
        object.__setattr__(self, "name", self.name.strip())
        object.__setattr__(self, "color", tuple(map(operator.index, self.color)))
        object.__setattr__(self, "values", tuple(map(operator.index, self.values)))
        if not 0 <= self.id < NODATA:
            raise LabelError(
                f"class id {self.id}: ids are from 0 to 254; other label values go into its values"
            )
        if not self.name:
            raise LabelError(f"class {self.id} has no name")
        if not all(map(_is_plain, self.name)):
            raise LabelError(f"class {self.id}: the name {self.name!r} must be one line of text")
        if not all(0 <= c <= 255 for c in self.color):
            raise LabelError(f"class {self.id}: the colour {self.color} is not three of 0 to 255")

    @property
    def label_values(self) -> tuple[int, ...]:
        """Label values that mean this class, its id where none were named."""
        return self.values or (self.id,)


def _is_plain(character: str) -> bool:
    """Whether XML and a legend's line can hold a character: no controls, line ends, half pairs."""
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp", "Cn")


@dataclass(frozen=True)
class Legend:
    """The classes of a map, in the order in which networks and tables count them.

    Raises
    ------
    LabelError
        No class at all, more than 255, or two that share an id, a name or a label value.
    """

    classes: tuple[LegendClass, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes:
            raise LabelError("a legend needs one class or more")
        ids: dict[int, str] = {}
        names: dict[str, int] = {}
        values: dict[int, str] = {}
        for c in self.classes:
            if c.id in ids:
                raise LabelError(f"class id {c.id} is given twice: {ids[c.id]!r} and {c.name!r}")
            if c.name in names:
                raise LabelError(
                    f"the name {c.name!r} is given to two classes: {names[c.name]} and {c.id}"
                )
            ids[c.id] = c.name
            names[c.name] = c.id
            for value in c.label_values:
                if values.setdefault(value, c.name) != c.name:
                    raise LabelError(
                        f"label value {value} would mean two classes: "
                        f"{values[value]!r} and {c.name!r}"
                    )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids in the order of the classes."""
        return tuple(c.id for c in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the classes."""
        return tuple(c.name for c in self.classes)

    @property
    def colors(self) -> tuple[Color, ...]:
        """Colours in the order of the classes."""
        return tuple(c.color for c in self.classes)

    def index_of(self, id: int) -> int:  # noqa: A002 - the field's word
        """Class index of an id; LabelError where no class has it."""
        try:
            return self.ids.index(id)
        except ValueError:
            raise LabelError(f"no class has the id {id}; there are {self._listing()}") from None

    def index_of_name(self, name: str) -> int:
        """Class index of a name, exact first, then without regard to case; LabelError if none."""
        names = self.names
        if name in names:
            return names.index(name)
        folded = [n.casefold() for n in names]
        if folded.count(name.casefold()) == 1:
            return folded.index(name.casefold())
        raise LabelError(f"no class is named {name!r}; there are {self._listing()}")

    def find(self, text: str) -> int | None:
        """Class index that a name, a label value or an id means, as a person wrote it; or None."""
        names = self.names
        if text in names:
            return names.index(text)
        folded = [name.casefold() for name in names]
        if folded.count(text.casefold()) == 1:
            return folded.index(text.casefold())
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
            return None
        for index, c in enumerate(self.classes):
            if int(text) in c.label_values:
                return index
        return self.ids.index(int(text)) if int(text) in self.ids else None

    def _listing(self) -> str:
        shown = ", ".join(f"{c.id} {c.name}" for c in self.classes[:12])
        return shown + (", …" if len(self) > 12 else "")

    # -- from and to numbers ---------------------------------------------------------------------

    @cached_property
    def id_lut(self) -> NDArray[np.uint8]:
        """(256,) uint8: class index to class id; 255, and any index without a class, to 255."""
        lut = np.full(256, NODATA, dtype=np.uint8)
        lut[: len(self)] = self.ids
        lut.flags.writeable = False
        return lut

    @cached_property
    def _value_luts(self) -> dict[str, NDArray[np.uint8]]:
        return {}

    def label_lut(self, dtype: str = "uint8") -> NDArray[np.uint8]:
        """(256,) or (65536,) uint8: label value to class index, 255 where it means no class.

        For labels of "uint8" or "uint16", used as ``lut[labels]``; "int8" and "int16" labels are
        looked up by their unsigned view.
        """
        lut = self._value_luts.get(dtype)
        if lut is None:
            info = np.iinfo(dtype)
            bits = info.bits
            lut = np.full(1 << bits, NODATA, dtype=np.uint8)
            for index, c in enumerate(self.classes):
                for value in c.label_values:
                    if info.min <= value <= info.max:
                        lut[value % (1 << bits)] = index
            lut.flags.writeable = False
            self._value_luts[dtype] = lut
        return lut

    def lookup(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Class indices of label values.

        Parameters
        ----------
        values
            Array of any shape and any integer, boolean or floating type. A floating value counts
            only where it is a whole number; NaN is no class.

        Returns
        -------
        uint8 array of the same shape: 0…n−1, or 255 where a value means no class.
        """
        values = np.asarray(values)
        if values.dtype == np.bool_:
            values = values.astype(np.uint8)
        if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
            native = values.dtype.newbyteorder("=")
            unsigned = values.astype(native, copy=False).view(f"u{values.dtype.itemsize}")
            return np.take(self.label_lut(native.name), unsigned)
        if values.dtype.kind not in "iuf":
            raise LabelError(f"labels of type {values.dtype} cannot be classes")
        pairs = sorted((v, i) for i, c in enumerate(self.classes) for v in c.label_values)
        known = np.array(
            [v for v, _ in pairs], dtype=np.float64 if values.dtype.kind == "f" else np.int64
        )
        index = np.array([i for _, i in pairs], dtype=np.uint8)
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[place] == values, index[place], np.uint8(NODATA))

    # -- from and to text ------------------------------------------------------------------------

    @classmethod
    def of(cls, rows: Iterable[tuple[int, str, Color | None, Sequence[int]]]) -> Legend:
        """Legend of (id, name, colour or None, label values); colours are found where None."""
        rows = list(rows)
        colors = class_colors([r[1] for r in rows], [r[2] for r in rows])
        return cls(
            tuple(
                LegendClass(id_, name, color, tuple(values))
                for (id_, name, _, values), color in zip(rows, colors, strict=True)
            )
        )

    @classmethod
    def of_values(cls, values: Iterable[int]) -> Legend:
        """Legend for label values of which nothing is known: "class 1", "class 2" and so on.

        Ids are the values where all lie in 0…254; else classes are numbered from 1 in the order of
        their values.
        """
        found = sorted({int(v) for v in values})
        if len(found) > NODATA:
            raise LabelError(
                f"{len(found)} different label values are too many for classes: these look like "
                "measurements, or name the classes"
            )
        if found and min(found) >= 0 and max(found) < NODATA:
            return cls.of((v, f"class {v}", None, ()) for v in found)
        return cls.of((i, f"class {v}", None, (v,)) for i, v in enumerate(found, start=1))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain JSON: a list of {"id", "name", "color": "#rrggbb"[, "values": […]]}."""
        return [
            {"id": c.id, "name": c.name, "color": hex_of(c.color)}
            | ({"values": list(c.values)} if c.values else {})
            for c in self.classes
        ]

    @classmethod
    def from_json(cls, obj: object) -> Legend:
        """Legend from what `to_json` gave or a person wrote alike; LabelError otherwise."""
        items = obj.get("classes") if isinstance(obj, Mapping) and "classes" in obj else obj
        if isinstance(items, Mapping):
            items = [
                {"id": key, **(item if isinstance(item, Mapping) else {"name": item})}
                for key, item in items.items()
            ]
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise LabelError("classes in JSON are a list of objects with id, name and color")
        return cls.of(_row_of_json(item, number) for number, item in enumerate(items, start=1))


def _row_of_json(item: object, number: int) -> tuple[int, str, Color | None, tuple[int, ...]]:
    """One class out of JSON: id, name, colour or None, values."""
    if not isinstance(item, Mapping) or "id" not in item or not isinstance(item.get("name"), str):
        raise LabelError(f"class {number} in JSON is no object with an id and a name")
    color = item.get("color", item.get("colour"))
    values = item.get("values") or ()
    try:
        if isinstance(color, Sequence) and not isinstance(color, str):
            color = " ".join(map(str, color))
        return (
            _whole(item["id"]),
            item["name"],
            None if color is None else parse_color(color),
            tuple(map(_whole, values)),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise LabelError(f"class {number} in JSON, {item['name']!r}: {error}") from None


def _whole(number: object) -> int:
    """Read a whole number of JSON, a key of an object ("1") included."""
    if isinstance(number, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", number.strip()):
        return int(number)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise ValueError(f"{number!r} is no whole number")
