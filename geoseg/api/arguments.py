"""What callers give to functions: brought to the types that are annotated, or refused in one line.

Annotations are read as they are written (``from __future__ import annotations``), so that naming a
function imports nothing of what it takes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from numbers import Real
from operator import index
from os import PathLike as PathObject
from os import fspath
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from geoseg.api.common import as_text
from geoseg.errors import OptionError
from geoseg.raster.far.brought import eaten
from geoseg.raster.outputs.away import OUTPUTS, away

_P = ParamSpec("_P")
_R = TypeVar("_R")

_NO = object()
"""What does not fit."""

_ALIASES = {
    "Classes": ("Sequence[int | str]",),
    "Listed": ("str", "Sequence[str]", "Mapping[int, str]"),
    "Progress": ("Callable",),
    "Storage": ("Literal",),
}
"""Names in annotations that stand for others."""

_WORDS = {
    "PathLike": "a path",
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "date": "a date",
    "None": "None",
}
"""What one alternative of an annotation is called; others are called what they are."""

_LISTS = ("classes", "legend", "codes")
"""Parameters whose texts list things, "1=water,2=forest"."""

_LEARNING = "docs/extend/{} says how to add one"
_HINTS = {
    "cell": "write '600m' or '600px'",
    "block": "write '64px' or '600m'",
    "boundary": "write '3px' or '30m'",
    "simplify": "write '2px' or '15m'",
    "ignore_border": "write '2px' or '1.5m'",
    "min_area": "write 10, '10px', '0.5ha' or '450m2'",
    "region": "write 'xmin,ymin,xmax,ymax', or a file of polygons",
    "optimizer": "write 'adamw' or 'sgd'",
    "loss": f"write 'ce'; {_LEARNING.format('loss')}",
    "model": f"write 'unet-small'; {_LEARNING.format('network')}",
}
"""How a parameter is given, where its type does not say it."""


_NOT_EMPTY = {
    "bands": "leave it out to use all",
    **dict.fromkeys(("scene", "scenes", "rasters", "images", "prediction"), "name one at least"),
}
"""Lists that hold something, and what to do where they do not."""


def checked(*, settings: str | None = None) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Check and convert the arguments of a function before it is called.

    Outputs that go to object storage are made on this machine, and put there when they are whole.

    One text, path, id or number stands for a list of one; an open raster for its file; whole and
    other numbers of numpy for those of Python; a list or dictionary of classes or codes for its
    text; a date in ISO form for that day.

    Parameters
    ----------
    settings
        Module and name of the TypedDict of ``**options``, where the function has one.

    Raises
    ------
    OptionError
        When the function is called: an argument is of another type, or there is no such parameter.
    """

    def wrap(function: Callable[_P, _R]) -> Callable[_P, _R]:
        own: dict[str, str] = dict(function.__annotations__)
        own.pop("return")
        own.pop("options", None)
        placed = list(own)
        writes = [name for name in OUTPUTS if own.get(name, "").startswith("PathLike")]
        writes = [name for name in writes if "Sequence" not in own[name]]  # these are read

        goes_on = {"resume": False} if "resume" in own else {}  # whether it is said or not

        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            known = own | (_settings(settings) if settings is not None else {})
            says = function.__name__
            for name in kwargs:
                if name not in known:
                    raise OptionError(f"{says} has no parameter {name}{_nearest(name, known)}")
            given = [
                _checked(says, name, value, known[name])
                for name, value in zip(placed, args, strict=False)
            ]
            named = {
                name: _checked(says, name, value, known[name]) for name, value in kwargs.items()
            }
            values = {**goes_on, **dict(zip(placed, given, strict=False)), **named}
            written = {name: values[name] for name in writes if name in values}
            with away(values, outputs=written) as (local, outputs):
                given = [local.get(n, v) for n, v in zip(placed, given, strict=False)]
                named |= {name: place for name, place in local.items() if name in named}
                # Too many arguments, and those that are missing, are for Python to tell.
                found = function(*given, *args[len(given) :], **named)  # type: ignore[arg-type]
            return found if outputs is None else outputs.told(found)

        return call

    return wrap


def _settings(place: str) -> dict[str, str]:
    """Return the annotations of a TypedDict, as texts."""
    module, _, name = place.rpartition(".")
    found = getattr(importlib.import_module(module), name).__annotations__
    return {
        key: kind if isinstance(kind, str) else kind.__forward_arg__ for key, kind in found.items()
    }


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _checked(says: str, name: str, value: Any, annotation: str) -> Any:
    """Return a value as its annotation wants it; refuse what cannot be."""
    kinds = _alternatives(annotation)
    if value is None and "None" not in kinds and any(k.startswith("Sequence[") for k in kinds):
        value = ()
    if name in _LISTS and "str" in kinds and isinstance(value, Mapping | list | tuple):
        value = as_text(value)
    for kind in kinds:
        found = _as(kind, value)
        if name in _NOT_EMPTY and isinstance(found, tuple) and not found:
            raise OptionError(f"{says}: {name} names nothing; {_NOT_EMPTY[name]}")
        if found is not _NO:
            return found
    wanted = " or ".join(dict.fromkeys(_word(k) for k in kinds if k != "None"))
    hint = _HINTS.get(name, "")
    if "PathLike" in kinds and name != "region":
        hint = "geoseg.predict_array takes arrays" if _is_array(value) else ""
    raise OptionError(
        f"{says}: {name} is {wanted}, not {_shown(value, kinds)}{f'; {hint}' if hint else ''}"
    )


def _alternatives(annotation: str) -> list[str]:
    """Split an annotation at the bars that stand in no brackets."""
    found, depth = [""], 0
    for sign in annotation:
        depth += (sign == "[") - (sign == "]")
        if sign == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    bare = (kind.strip() for kind in found)
    return [one for kind in bare for one in _ALIASES.get(kind, (kind,))]


def _as(kind: str, value: Any) -> Any:
    """Return a value as one alternative, or `_NO`."""
    head, _, inside = kind.partition("[")
    if head in _READ:
        return _READ[head](value)
    if head == "Sequence":
        return _sequence(_alternatives(inside[:-1]), value)
    # What only geoseg or numpy make is known by its name: importing it here would cost.
    if head in ("Any", "NDArray", "object"):
        return value
    return value if head in {base.__name__ for base in type(value).__mro__} else _NO


def _sequence(kinds: list[str], value: Any) -> Any:
    """Return what is listed as a tuple; what is one of them stands for itself."""

    def one(item: Any) -> Any:
        return next((got for got in (_as(kind, item) for kind in kinds) if got is not _NO), _NO)

    alone = one(value)
    if alone is not _NO and "Any" not in kinds:
        return (alone,)
    if isinstance(value, Mapping | str) or not isinstance(value, Iterable):
        return _NO
    if _is_array(value) and getattr(value, "ndim", 1) != 1:
        return _NO
    found = tuple(one(item) for item in value)
    return _NO if any(item is _NO for item in found) else found


def _path(value: Any) -> Any:
    if isinstance(value, Path) and (wrong := eaten(str(value))) is not None:
        raise OptionError(wrong)
    if isinstance(value, str | Path):
        return value
    if isinstance(value, PathObject):
        return str(fspath(value))
    if type(value).__module__.startswith("rasterio.") and hasattr(value, "read"):
        return str(value.name)
    return _NO


def _text(value: Any) -> Any:
    if isinstance(value, str | Path) or (type(value).__module__, type(value).__name__) == (
        "torch",
        "device",
    ):
        return str(value)
    return _NO


def _whole(value: Any) -> Any:
    try:
        return value if isinstance(value, bool) else index(value)
    except TypeError:
        return _NO


def _real(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    return float(value) if isinstance(value, Real) else _NO


def _switch(value: Any) -> Any:
    if isinstance(value, int):
        return value
    return bool(value) if type(value).__name__ in ("bool", "bool_") else _NO


def _day(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return _NO
    return value if isinstance(value, date) else _NO


_READ: dict[str, Callable[[Any], Any]] = {
    "None": lambda value: None if value is None else _NO,
    "PathLike": _path,
    "str": _text,
    "Literal": _text,  # which text, the function says
    "int": _whole,
    "float": _real,
    "bool": _switch,
    "date": _day,
    "Callable": lambda value: value if callable(value) else _NO,
    "Mapping": lambda value: value if isinstance(value, Mapping) else _NO,
}
"""First word of an alternative → its reader, which returns the value or `_NO`."""


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _word(kind: str) -> str:
    """Call an alternative by words."""
    head, _, inside = kind.partition("[")
    if head == "Sequence":
        each = [_word(k).partition(" ")[2] + "s" for k in _alternatives(inside[:-1])]
        return f"a list of {' or '.join(each)}"
    if head == "Literal":
        return inside[:-1].replace('"', "'").replace(", ", " or ") or "a text"
    if head == "Mapping":
        return "a dictionary"
    if head == "Callable":
        return "a function"
    return _WORDS.get(head, _one(head))


def _shown(value: Any, kinds: list[str]) -> str:
    """Show a value in a few words; of a list what in it does not fit."""
    inside = next((k[len("Sequence[") : -1] for k in kinds if k.startswith("Sequence[")), None)
    if inside is not None and isinstance(value, list | tuple):
        wanted = _alternatives(inside)
        bad = (one for one in value if all(_as(kind, one) is _NO for kind in wanted))
        return "".join(f"a list with {_shown(one, [])}" for one in islice(bad, 1)) or "a list"
    if _is_array(value):
        kind = type(value).__name__
        return "an array" if kind in ("ndarray", "MaskedArray", "memmap") else _one(kind)
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    return _one(type(value).__name__)


def _one(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiouAEIO" else f"a {kind}"
