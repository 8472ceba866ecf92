"""Commands whose outputs go to object storage: ``-o s3://bucket/map.tif``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from geoseg.errors import OutputError
from geoseg.raster.outputs.away import OUTPUTS, away

if TYPE_CHECKING:
    from geoseg.raster.outputs.sending import Sending

F = TypeVar("F", bound=Callable[..., Any])

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
            from geoseg.raster.far.brought import speaking  # noqa: PLC0415 — where a command runs

            named = {name: options[name] for name in OUTPUTS if name in options}
            with speaking(say), away(options, outputs=named, say=say) as (local, outputs):
                for value in named.values():
                    if isinstance(value, Path) and _LIKE_AN_ADDRESS.match(str(value)):
                        raise OutputError(
                            f"{value}: this command writes to a folder of this machine"
                        )
                if outputs is None:
                    return function(*args, **options)
                _AT_WORK.append(outputs)
                try:
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
