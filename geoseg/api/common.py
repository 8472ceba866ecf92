"""What the functions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.models.bundle import ModelBundle

PathLike = str | Path
"""A path, or anything else that GDAL reads: an address, a pattern, a folder."""

Progress = Callable[[int], None]
"""Called with the number of pixels done since the last call."""


Listed = str | Sequence[str] | Mapping[int, str]
"""Classes: a text ("1=water,2=forest") or a file, a list of such texts, or a dictionary of them."""


def as_text(given: Listed | Mapping[Any, int | str | None] | None) -> str | None:
    """Write classes or codes as they are typed: "1=water,2=forest"; what is a text stays it.

    In a dictionary None stands for no data, and (red, green, blue) from 0 to 255 for a colour.
    """
    if isinstance(given, Mapping):
        return ",".join(
            f"{_typed(key)}={'nodata' if meant is None else meant}" for key, meant in given.items()
        )
    if isinstance(given, list | tuple):
        return ",".join(map(str, given))
    return None if given is None else str(given)


def _typed(key: object) -> str:
    """Write a value or a colour as codes have it."""
    if isinstance(key, tuple):
        return "#" + "".join(f"{int(channel):02x}" for channel in key)
    return str(key)


def threads(workers: int | None) -> int:
    """Return how many threads to use; see `geoseg.processors.thread_count`."""
    from geoseg.processors import thread_count  # noqa: PLC0415

    return thread_count(workers)


def texts(sources: PathLike | Sequence[PathLike]) -> list[str]:
    """Return what a person named, one or several, as a list of texts."""
    return [str(s) for s in ([sources] if isinstance(sources, str | Path) else sources)]


def text_of(path: PathLike | None) -> str | None:
    """Return a path as a text, where there is one."""
    return None if path is None else str(path)


def area_text(min_area: str | int | None) -> str | None:
    """Return an area as it is typed: a number is one of pixels; None where there is none."""
    if min_area is None or min_area == 0:
        return None
    return f"{min_area}px" if isinstance(min_area, int) else min_area


def names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return names as a tuple."""
    return None if given is None else tuple(given)


def models_of(
    model: ModelBundle | PathLike | Sequence[ModelBundle | PathLike],
) -> tuple[ModelBundle | str, ...]:
    """Return models as a tuple, files as texts.

    Raises
    ------
    OptionError
        There is none.
    """
    from geoseg.errors import OptionError  # noqa: PLC0415

    several = [model] if isinstance(model, str | Path) or not isinstance(model, Sequence) else model
    if not several:
        raise OptionError("a prediction needs at least one model")
    return tuple(str(one) if isinstance(one, Path) else one for one in several)
