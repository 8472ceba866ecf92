"""A hidden folder beside an output that outlives its run, so that another can go on from it.

``FOLDER/.NAME.part`` for ``FOLDER/NAME``, locked while a run uses it. Knows that finished rows wait
in it, not what they are rows of.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.locks import lock
from geoseg.raster.outputs.temporary import LOCK, TemporaryFolder
from geoseg.raster.outputs.trouble import output_error

KEPT_ROWS = "rows.raw"
"""File of rows that a writer was given, of fixed layout; all that it needs to go on."""
KEPT_TILES, TILE_LIST = "tiles.raw", "tiles.list"
"""File of the tiles that a writer was given and compressed, and the list of them; likewise."""


class KeptFolder(TemporaryFolder):
    """A folder for what a stopped run leaves to the next; `close` leaves it, `remove` does not.

    Parameters
    ----------
    target
        The output to be.

    Raises
    ------
    OutputError
        Another run uses it, or it cannot be made.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = kept_folder_of(target)
        try:
            self.path.mkdir(exist_ok=True)
            # A folder that came from elsewhere must not lead to files that are nobody's leftovers.
            if self.path.is_symlink() or _holds_link(self.path):
                raise OutputError(
                    f"{self.path} is or holds a link to another place, which no run leaves; remove"
                    " it, or choose another output"
                )
            try:
                self._lock = lock(self.path / LOCK, "ab")
            except BlockingIOError:
                raise OutputError(
                    f"{target}: another run is making it; wait for that, or choose another output"
                ) from None
            except OSError:
                with contextlib.suppress(OSError):
                    self.path.rmdir()  # it stays if something is in it
                raise
        except OSError as error:
            raise output_error(error, target) from error

    def clear(self, *, but: Collection[str] = ()) -> None:
        """Remove the files in it, except some.

        Raises
        ------
        OSError
            One cannot be removed.
        """
        for entry in self.path.iterdir():
            if entry.name != LOCK and entry.name not in but:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    def note(self, name: str, content: str) -> None:
        """Write a small file: all of it or, whatever happens, what was there before.

        Raises
        ------
        OSError
            It cannot be written.
        """
        part = self.path / f"{name}.new"
        with part.open("wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path / name)
        if sys.platform != "win32":  # there, a folder cannot be opened
            folder = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def remove(self) -> None:
        """Remove the folder and what is in it; safe to call again."""
        if not self._lock.closed:
            # While it is locked, so that nobody else begins in what is going away.
            if sys.platform == "win32":
                self._lock.close()
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def close(self) -> None:
        """Leave the folder to the next run; safe to call again."""
        self._lock.close()


def _holds_link(folder: Path) -> bool:
    return any(
        os.path.islink(os.path.join(place, name))
        for place, folders, files in os.walk(folder)
        for name in (*folders, *files)
    )


def kept_folder_of(target: str | Path) -> Path:
    """Return where what belongs to an output is kept."""
    path = Path(target)
    return path.with_name(f".{path.name}.part")


def read_kept(target: str | Path, name: str) -> str | None:
    """Read what was noted beside an output; None if nothing was, or it is no text."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (kept_folder_of(target) / name).read_text(encoding="utf-8")
    return None
