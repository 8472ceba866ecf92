"""What is said of work that is stopped before its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geoseg.cli.options import note

if TYPE_CHECKING:
    from geoseg.raster.outputs.unfinished import Kind

STEP = "geoseg.step"
"""Where a command's context says that it runs as a step of a recipe."""


def way_on(said: str) -> str:
    """Return how a command goes on; nothing in a recipe, for there ``geoseg run`` says it."""
    ctx = click.get_current_context(silent=True)
    return "" if ctx is not None and STEP in ctx.meta else said


def stopped_in_words(output: str | Path, height: int) -> AbstractContextManager[None]:
    """Say what is kept of a map of so many rows, where the block is left before it is made."""
    from geoseg.inference.unfinished import PREDICTION  # noqa: PLC0415 — pixels

    return _stopped(output, PREDICTION, lambda rows: f"{rows:,} of {height:,} rows")


def stopped_composite(output: str | Path, height: int, width: int) -> AbstractContextManager[None]:
    """Say what is kept of a composite of this size, where the block is left before it is made."""
    from geoseg.compositing.plan import COMPOSITE  # noqa: PLC0415 — pixels

    return _stopped(output, COMPOSITE, lambda n: f"{n // width:,} of {height:,} rows")


def stopped_polygons(output: str | Path) -> AbstractContextManager[None]:
    """Say what is kept of a file of polygons, where the block is left before it is made."""
    from geoseg.assessment.keptpolygons import KIND  # noqa: PLC0415 — pixels

    return _stopped(output, KIND, lambda _: "what is finished")


def stopped_patches(output: str | Path) -> AbstractContextManager[None]:
    """Say what is kept of a data set of patches, where the block is left before it is made."""
    from geoseg.patches.unfinished import KIND  # noqa: PLC0415 — pixels

    return _stopped(output, KIND, lambda patches: f"what {patches:,} patches came to")


@contextmanager
def _stopped(output: str | Path, kind: Kind, finished: Callable[[int], str]) -> Iterator[None]:
    """Say what is kept, if anything, where the block is left by an error or by Ctrl-C."""
    from geoseg.raster.outputs.kept import kept_folder_of  # noqa: PLC0415 — pixels
    from geoseg.raster.outputs.unfinished import LeftoverError, finished_parts  # noqa: PLC0415

    def kept() -> str | None:
        number = finished_parts(output, kind)
        if number == 0:
            return None
        more = way_on("; --resume goes on from there")
        return f"{kept_folder_of(output)} keeps {finished(number)}{more}"

    try:
        yield
    except KeyboardInterrupt:
        told = kept()
        if told is None:
            raise
        click.echo(f"\nInterrupted; {told}.", err=True)
        raise click.exceptions.Exit(130) from None
    except (Exception, SystemExit) as error:
        told = kept()
        # What refuses to go on has its own words for what is there.
        if told is not None and not isinstance(error, LeftoverError):
            note(f"Note: {told}.")
        raise
