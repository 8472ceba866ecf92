"""Folders and texts that appear whole or not at all; see `temporary`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from geoseg.errors import OutputError
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error


@contextmanager
def whole_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Make a hidden folder to be filled, which gets the target's name in the end.

    Parameters
    ----------
    target
        The folder to be.
    overwrite
        Whether one that is there makes way; whether that is one of ours is for the caller to have
        checked.

    Raises
    ------
    OutputError
        It cannot be written, or the target appeared meanwhile; then nothing has changed. What the
        operating system refuses inside the context is told so, too.
    """
    with TemporaryFolder(target) as hidden:
        try:
            made = hidden.path / "made"
            made.mkdir()
            yield made
            if not overwrite and os.path.lexists(target):
                raise OutputError(
                    f"{target} appeared while it was being made; it was left as it is"
                )
            hidden.publish_folder(made)
        except OSError as error:
            raise output_error(error, target) from error
        except OutputError as error:
            # Files in it have paths that nobody knows.
            raise OutputError(str(error).replace(str(made), str(target))) from error


def write_whole(
    target: Path,
    text: str,
    *,
    overwrite: bool,
    beside: Mapping[Path, str | bytes] = MappingProxyType({}),
    stale: Iterable[Path] = (),
) -> None:
    """Write a text file, UTF-8 with the ends of lines that it has.

    Parameters
    ----------
    target
        The file.
    text
        What is in it.
    overwrite
        Whether a file that is there may be replaced.
    beside
        What goes with it, by path; it appears just before.
    stale
        Files that would be taken for parts of the new one; they are removed.

    Raises
    ------
    OutputError
        It cannot be written, or appeared meanwhile; then nothing has changed.
    """
    with TemporaryFolder(target) as hidden:
        made = hidden.path / target.name
        try:
            made.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise output_error(error, target) from error
        hidden.publish(made, beside, overwrite=overwrite, stale=stale)
