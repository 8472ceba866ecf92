"""Calls whose outputs go to object storage: they see places on this machine in place of addresses.

What commands and functions share. Costs nothing where no output goes there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from geoseg.errors import OutputError

if TYPE_CHECKING:
    from geoseg.raster.outputs.sending import Sending

OUTPUTS = (
    *("output", "output_dir", "counts", "labels_output", "probabilities", "confidence"),
    *("weak_labels", "fitted_model", "report", "previews", "errors"),
)
"""Parameters that name files or folders to write."""
_SCHEMES = ("s3://", "gs://", "az://")


@contextmanager
def away(
    given: Mapping[str, Any],
    *,
    outputs: Mapping[str, Any],
    say: Callable[[str], None] | None = None,
) -> Iterator[tuple[dict[str, str], Sending | None]]:
    """Have outputs made on this machine that go to object storage, and put there in the end.

    Parameters
    ----------
    given
        What is called with: all parameters that were named.
    outputs
        Those of them that name what is written.
    say
        Told what is being done.

    Yields
    ------
    What to call with in place of addresses, and who sends; nothing and None where none goes there.

    Raises
    ------
    OutputError
        Nothing can be put there; an address is of another kind.
    GeosegError
        As from within the context.
    """
    texts = {name: value for name, value in outputs.items() if isinstance(value, str)}
    wanted = {name: value for name, value in texts.items() if value.lower().startswith(_SCHEMES)}
    for name, value in texts.items():
        if "://" in value and name not in wanted:
            raise OutputError(f"{value}: outputs are written to files, or to s3://, gs:// or az://")
    if not wanted:
        yield {}, None
        return
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise OutputError(
            f"{next(iter(wanted.values()))}: several processes that work together write to"
            " files that all of them see; put them there afterwards"
        )
    from geoseg.raster.outputs.sending import Sending, sending  # noqa: PLC0415 — pixels

    rest = {name: value for name, value in given.items() if name not in wanted}
    sender = Sending(
        list(dict.fromkeys(wanted.values())),
        inputs=list(_texts(rest)),
        overwrite=bool(given.get("overwrite")),
        resume=given.get("resume"),
        say=say,
    )
    with sending(sender):
        yield {name: str(sender.places[value]) for name, value in wanted.items()}, sender


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
