"""Commands whose outputs go to object storage: ``-o s3://bucket/map.tif``."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from geoseg.errors import OutputError

if TYPE_CHECKING:
    from geoseg.raster.sending import Sending

F = TypeVar("F", bound=Callable[..., Any])

_OUTPUTS = (
    *("output", "output_dir", "counts", "labels_output", "probabilities", "confidence"),
    *("weak_labels", "fitted_model", "report", "previews", "errors"),
)
"""Parameters of commands that name files or folders to write."""
_SCHEMES = ("s3://", "gs://", "az://")
_LIKE_AN_ADDRESS = re.compile(r"[a-z][a-z0-9]+:/", re.IGNORECASE)
"""What is left of an address that was taken for a path."""
_AT_WORK: list[Sending] = []
"""What runs in this process send, the innermost last."""


def with_sending(say: Callable[[str], None]) -> Callable[[F], F]:
    """Let a command write to object storage: it sees places on this machine for such outputs.

    Parameters
    ----------
    say
        Tells the user what is being done.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> Any:
            wanted = {
                name: value
                for name in _OUTPUTS
                if isinstance(value := options.get(name), str) and _is_object(value)
            }
            elsewhere = [v for n in _OUTPUTS if isinstance(v := options.get(n), str) and "://" in v]
            for value in elsewhere:
                if value not in wanted.values():
                    raise OutputError(
                        f"{value}: outputs are written to files, or to s3://, gs:// or az://"
                    )
            for value in (options.get(name) for name in _OUTPUTS):
                if isinstance(value, Path) and _LIKE_AN_ADDRESS.match(str(value)):
                    raise OutputError(f"{value}: this command writes to a folder of this machine")
            if not wanted:
                return function(*args, **options)
            if os.environ.get("WORLD_SIZE", "1") != "1":
                raise OutputError(
                    f"{next(iter(wanted.values()))}: several processes that work together write to"
                    " files that all of them see; put them there afterwards"
                )
            from geoseg.raster.sending import Sending, sending  # noqa: PLC0415 — pixels

            rest = {name: value for name, value in options.items() if name not in wanted}
            outputs = Sending(
                list(dict.fromkeys(wanted.values())),
                inputs=list(_texts(rest)),
                overwrite=bool(options.get("overwrite")),
                resume=options.get("resume"),
                say=say,
            )
            _AT_WORK.append(outputs)
            try:
                with sending(outputs):
                    local = {n: str(outputs.places[value]) for n, value in wanted.items()}
                    return function(*args, **(options | local))
            finally:
                _AT_WORK.remove(outputs)

        return cast(F, run)

    return decorate


def send() -> None:
    """Send what the command at work has made, before it says that all is done."""
    if _AT_WORK:
        _AT_WORK[-1].send()


def sends() -> bool:
    """Tell whether the command at work makes its outputs in places that other machines lack."""
    return bool(_AT_WORK)


def spoken(text: str) -> str:
    """Name outputs in a text by where they go."""
    return _AT_WORK[-1].spoken(text) if _AT_WORK else text


def _is_object(value: str) -> bool:
    return value.lower().startswith(_SCHEMES)


def _texts(value: Any) -> Iterator[str]:
    """Every text in the values of options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
