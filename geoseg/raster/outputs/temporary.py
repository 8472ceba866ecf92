"""Outputs appear whole or not at all: temporary folders, renames after.

Temporary files of a target ``FOLDER/NAME`` live in a folder ``FOLDER/.NAME.geoseg-XXXXXXXX.tmp``,
which is removed at the end, whatever that end is. A process that is killed outright leaves its
folder behind; the next one to write the same target removes it, provided that nobody holds the lock
in it any more.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from geoseg.errors import OutputError
from geoseg.locks import lock
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.outputs.uninterrupted import uninterrupted

LOCK = "lock"
OLD = "old"
"""Folder that made way for a new one, until that has its name."""


class TemporaryFolder:
    """A hidden folder beside a target, for everything that is not finished.

    A context manager that removes the folder. While it lives, a file in it stays locked, by which
    other processes tell a folder in use from one whose process was killed.

    Attributes
    ----------
    path
        The folder. Files in it have no claim on any name; `publish` gives them theirs.
    """

    def __init__(self, target: Path) -> None:
        """Make one for a target, and remove those that killed processes left for it."""
        self.target = target
        prefix = f".{target.name}.geoseg-"
        try:
            _remove_abandoned(target, prefix)
            made = Path(tempfile.mkdtemp(prefix=prefix, suffix=".new", dir=target.parent))
            self._lock = lock(made / LOCK, "xb")
            # Only a locked folder gets the name that others look for.
            self.path = made.with_suffix(".tmp")
            if sys.platform == "win32":
                self._lock.close()  # Windows moves no folder with an open file
            made.rename(self.path)
            if sys.platform == "win32":
                self._lock = lock(self.path / LOCK, "r+b")
        except OSError as error:
            raise output_error(error, target) from error
        _living.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def publish_folder(self, made: Path) -> None:
        """Give a finished folder the target's name; one that is there makes way, or stays.

        Whether it may be replaced is for the caller to have checked.
        """
        if not os.path.lexists(self.target):
            made.rename(self.target)
            return
        old = self.path / OLD
        with uninterrupted():
            self.target.rename(old)
            try:
                made.rename(self.target)
            except OSError:
                old.rename(self.target)
                raise
        shutil.rmtree(old, ignore_errors=True)

    def free_bytes(self) -> int:
        """Bytes that this user may still write on this disk."""
        return shutil.disk_usage(self.path).free

    def need_space(self, size: int) -> None:
        """Raise OutputError where `size` bytes are not free, now rather than after hours."""
        free = self.free_bytes()
        if free < size:
            raise OutputError(
                f"no space left for {self.target}: {size / 1e9:.3g} GB are needed to make it, "
                f"{free / 1e9:.3g} GB are free on the disk of {self.target.parent}"
            )

    def publish(
        self,
        made: Path,
        sidecars: Mapping[Path, str | bytes],
        *,
        overwrite: bool,
        stale: Iterable[Path] = (),
    ) -> None:
        """Give finished files their names: sidecars first, the file itself last.

        Parameters
        ----------
        made
            The finished file, in this folder; it becomes the target.
        sidecars
            Texts (or bytes) by the paths they belong at.
        overwrite
            Whether a target may be replaced; one that appeared meanwhile is not, without.
        stale
            Files that would be taken for parts of the new one; they are removed.

        Raises
        ------
        OutputError
            The target appeared meanwhile, or writing failed; then nothing has changed.
        """
        ready: list[tuple[Path, Path]] = []
        try:
            for number, (place, content) in enumerate(sidecars.items()):
                part = self.path / f"sidecar-{number}"
                part.write_bytes(content.encode() if isinstance(content, str) else content)
                ready.append((part, place))
            for part in (*(part for part, _ in ready), made):
                with part.open("r+b") as opened:
                    os.fsync(opened.fileno())  # some file systems report a full disk only here
            if not overwrite and os.path.lexists(self.target):
                raise OutputError(
                    f"{self.target} appeared while it was being made; it was left as it is"
                )
            for place in sidecars:
                if place.is_dir():
                    raise OutputError(f"{self.target}: {place}, which goes with it, is a folder")
            with uninterrupted():
                for old in stale:
                    if old not in sidecars:
                        old.unlink(missing_ok=True)
                for part, place in ready:
                    part.replace(place)
                made.replace(self.target)
        except OSError as error:
            raise output_error(error, self.target) from error

    def remove(self) -> None:
        """Remove the folder and what is in it; safe to call again."""
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


_living: WeakSet[TemporaryFolder] = WeakSet()


def remove_temporary() -> None:
    """Remove the temporary folders of this process, which is about to end at once."""
    for folder in list(_living):
        if not (folder.path / OLD).exists():
            folder.remove()


def _remove_abandoned(target: Path, prefix: str) -> None:
    """Remove folders of this target that no living process holds."""
    for name in glob.glob(glob.escape(prefix) + "*.tmp", root_dir=target.parent):
        folder = target.parent / name
        try:
            lock(folder / LOCK, "r+b").close()
            if (folder / OLD).exists() and not os.path.lexists(target):
                (folder / OLD).rename(target)  # killed before the new one got its name
            (folder / LOCK).unlink()
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where all but the folder itself could be removed
            continue  # else in use, or not ours to judge
        shutil.rmtree(folder, ignore_errors=True)
