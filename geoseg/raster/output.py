"""Outputs appear whole or not at all: checks before, temporary folders, renames after.

Temporary files of a target ``FOLDER/NAME`` live in a folder ``FOLDER/.NAME.geoseg-XXXXXXXX.tmp``,
which is removed at the end, whatever that end is. A process that is killed outright leaves its
folder behind; the next one to write the same target removes it, provided that nobody holds the lock
in it any more.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from weakref import WeakSet

from geoseg.errors import OptionError, OutputError
from geoseg.raster.names import check_name
from geoseg.raster.uninterrupted import uninterrupted

LOCK = "lock"
OLD = "old"
"""Folder that made way for a new one, until that has its name."""
_RASTERS = (".tif", ".tiff")


def check_output(
    path: str | Path, *, overwrite: bool, suffixes: Sequence[str] | None = None
) -> Path:
    """Tell early whether a file can be written; commands ask this before they work.

    Parameters
    ----------
    path
        The file to be.
    overwrite
        Whether it may replace one that is there.
    suffixes
        Endings that it may have, lower case with the dot; None for any.

    Raises
    ------
    OutputError
        The folder is missing or not writable, the path is a folder, or there is a file and
        `overwrite` is False.
    """
    text = os.fspath(path)
    if text.startswith("/vsi") or "://" in text:
        raise OutputError(
            f"{text}: outputs are written to files, or by commands to s3://, gs:// or az://"
        )
    target = Path(text)
    if not target.name or text.endswith(("/", os.sep)):
        raise OutputError(f"{text or '(nothing)'} names no file to write")
    check_name(target)
    if suffixes is not None and target.suffix.lower() not in suffixes:
        raise OutputError(f"{target}: name the output {' or '.join('*' + s for s in suffixes)}")
    folder = target.parent
    try:
        if target.is_dir():
            raise OutputError(f"{target} is a folder; name a file in it")
        if not folder.is_dir():
            what = "is no folder" if folder.exists() else "does not exist; make it first"
            raise OutputError(f"{target}: the folder {folder} {what}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{target}: the folder {folder} cannot be written to")
        if os.path.lexists(target) and not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
    except OSError as error:
        raise output_error(error, target) from error
    return target


def check_outputs(
    paths: Sequence[Path], *, overwrite: bool, suffixes: Sequence[str] | None = None
) -> None:
    """Tell early whether several files can be written by one run; see `check_output`.

    Raises
    ------
    OptionError
        Two of them are one file, or the style beside one (``NAME.qml``) is another or its style.
    OutputError
        One cannot be written.
    """
    taken = [path.resolve() for path in paths]
    taken += [path.with_suffix(".qml") for path in taken if path.suffix.lower() in _RASTERS]
    if len(set(taken)) < len(taken):
        raise OptionError(
            "two outputs have the same path, or styles (NAME.qml) of the same; give each a name of"
            " its own"
        )
    for path in paths:
        check_output(path, overwrite=overwrite, suffixes=suffixes)


def check_folder_place(target: Path) -> None:
    """Refuse a name that no folder can have; what a folder that is there holds is not looked at.

    Raises
    ------
    OutputError
        It names nothing, its own folder is missing or cannot be written to, or a file is there.
    """
    parent = target.absolute().parent
    if not target.name:
        raise OutputError(f"{target} names no folder to make")
    check_name(target)
    if not parent.is_dir():
        raise OutputError(f"{target}: the folder {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: the folder {parent} cannot be written to")
    if os.path.lexists(target) and (not target.is_dir() or target.is_symlink()):
        raise OutputError(f"{target} is there and is no folder; choose another name")


def check_output_folder(
    path: str | Path, *, overwrite: bool, holds: Callable[[Path], bool], what: str
) -> Path:
    """Tell early whether a folder can be made; as `check_output`.

    Parameters
    ----------
    path
        The folder to be.
    overwrite
        Whether it may replace one that is there.
    holds
        Told a folder that is there: whether it holds such outputs and may be replaced at all.
    what
        What such a folder holds, for errors.

    Raises
    ------
    OutputError
        It cannot be made, is there and `overwrite` is False, or holds something else.
    """
    target = Path(path)
    check_folder_place(target)
    if os.path.lexists(target):
        if not any(target.iterdir()):
            return target
        if not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
        if not holds(target):
            raise OutputError(
                f"{target} holds something else than {what}, so it is not replaced; choose another"
                " name"
            )
    return target


def refuse_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Refuse to write over what is being read.

    Raises
    ------
    OutputError
        An output is the same file as an input, by whatever path or link.
    """
    read = [path for path in map(Path, inputs) if path.exists()]
    for output in map(Path, outputs):
        if output.exists() and any(output.samefile(path) for path in read):
            raise OutputError(f"{output} is an input of this very run; name another output")


def refuse_holding(folder: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse to make anew a folder out of which files are read.

    Raises
    ------
    OutputError
        An input lies in it, by whatever path or link.
    """
    inside = Path(folder).resolve()
    for path in inputs:
        if inside in Path(path).resolve().parents:
            raise OutputError(f"{folder} holds {path}, which is read: choose another folder")


def refuse_inside(outputs: Iterable[str | Path], folder: str | Path) -> None:
    """Refuse to write into a folder that is being read.

    Raises
    ------
    OutputError
        An output lies in it, by whatever path or link.
    """
    read = Path(folder).resolve()
    for output in map(Path, outputs):
        if read in output.resolve().parents:
            raise OutputError(
                f"{output} lies in {folder}, which is read in this very run; choose another folder"
            )


def output_error(error: OSError, target: Path) -> OutputError:
    """Say in words why `target` could not be written."""
    folder = target.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(target)
    if error.errno == errno.EFBIG:
        return OutputError(
            f"{target}: the file would be larger than its disk or this user may hold"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{target}: writing to {folder} is not permitted, or the file is in use")
    return OutputError(f"{target} cannot be written: {error.strerror or error}")


def no_space(target: Path) -> OutputError:
    """Return the error of a full disk."""
    return OutputError(
        f"no space left on the disk of {target.parent} while writing {target.name}: "
        "free some and run again"
    )


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


def lock(path: Path, mode: str) -> BinaryIO:
    """Open a file and hold it locked until it is closed, be it by the end of the process.

    Windows needs no lock: there, nobody can remove a file that another has open.
    """
    file: BinaryIO = path.open(mode)  # type: ignore[assignment]
    if sys.platform != "win32":
        import fcntl  # noqa: PLC0415 - not on Windows

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
    return file


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
            continue  # in use, or not ours to judge
        shutil.rmtree(folder, ignore_errors=True)
