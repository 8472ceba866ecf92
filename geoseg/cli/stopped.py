"""What is said of work that is stopped before its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from geoseg.cli.options import note
from geoseg.errors import GeosegError

STEP = "geoseg.step"
"""Where a command's context says that it runs as a step of a recipe."""


def way_on(said: str) -> str:
    """Return how a command goes on; nothing in a recipe, for there ``geoseg run`` says it."""
    ctx = click.get_current_context(silent=True)
    return "" if ctx is not None and STEP in ctx.meta else said


@contextmanager
def stopped_in_words(output: str | Path, height: int) -> Iterator[None]:
    """Say what is kept of a map of so many rows, where the block is left before it is made."""
    from geoseg.inference.unfinished import LeftoverError, kept_rows  # noqa: PLC0415 — pixels
    from geoseg.raster.kept import kept_folder_of  # noqa: PLC0415

    def kept() -> str | None:
        rows = kept_rows(output)
        if rows == 0:
            return None
        return (
            f"{kept_folder_of(output)} keeps {rows:,} of {height:,} rows"
            f"{way_on('; --resume goes on from there')}"
        )

    with _in_words(kept, LeftoverError):
        yield


@contextmanager
def stopped_composite(output: str | Path, height: int, width: int) -> Iterator[None]:
    """Say what is kept of a composite of this size, where the block is left before it is made."""

    def kept() -> str | None:
        from geoseg.compositing.plan import COMPOSITE  # noqa: PLC0415 — pixels
        from geoseg.raster.kept import kept_folder_of  # noqa: PLC0415
        from geoseg.raster.unfinished import finished_parts  # noqa: PLC0415

        pixels = finished_parts(output, COMPOSITE)
        if pixels == 0:
            return None
        return (
            f"{kept_folder_of(output)} keeps {pixels // width:,} of {height:,} rows"
            f"{way_on('; --resume goes on from there')}"
        )

    from geoseg.raster.unfinished import LeftoverError  # noqa: PLC0415

    with _in_words(kept, LeftoverError):
        yield


@contextmanager
def stopped_polygons(output: str | Path) -> Iterator[None]:
    """Say what is kept of a file of polygons, where the block is left before it is made."""

    def kept() -> str | None:
        from geoseg.assessment.keptpolygons import KIND  # noqa: PLC0415 — pixels
        from geoseg.raster.kept import kept_folder_of  # noqa: PLC0415
        from geoseg.raster.unfinished import finished_parts  # noqa: PLC0415

        if not finished_parts(output, KIND):
            return None
        return (
            f"{kept_folder_of(output)} keeps what is finished"
            f"{way_on('; --resume goes on from there')}"
        )

    from geoseg.raster.unfinished import LeftoverError  # noqa: PLC0415

    with _in_words(kept, LeftoverError):
        yield


@contextmanager
def stopped_patches(output: str | Path) -> Iterator[None]:
    """Say what is kept of a data set of patches, where the block is left before it is made."""

    def kept() -> str | None:
        from geoseg.patches.unfinished import KIND  # noqa: PLC0415 — pixels
        from geoseg.raster.kept import kept_folder_of  # noqa: PLC0415
        from geoseg.raster.unfinished import finished_parts  # noqa: PLC0415

        patches = finished_parts(output, KIND)
        if patches == 0:
            return None
        return (
            f"{kept_folder_of(output)} keeps what {patches:,} patches came to"
            f"{way_on('; --resume goes on from there')}"
        )

    from geoseg.raster.unfinished import LeftoverError  # noqa: PLC0415

    with _in_words(kept, LeftoverError):
        yield


@contextmanager
def _in_words(kept: Callable[[], str | None], refusal: type[GeosegError]) -> Iterator[None]:
    """Say what is kept, if anything, where the block is left by an error or by Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        told = kept()
        if told is None:
            raise
        click.echo(f"\nInterrupted; {told}.", err=True)
        raise click.exceptions.Exit(130) from None
    except (GeosegError, SystemExit) as error:
        told = kept()
        # What refuses to go on has its own words for what is there.
        if told is not None and not isinstance(error, refusal):
            note(f"Note: {told}.")
        raise
