"""What was fetched, in a hidden folder beside the output, until the output is made.

``.NAME.part`` holds ``plan.json`` (what the windows are parts of) and an array a window, each
written under another name and renamed, so that one that is there was whole. A run that is killed
leaves the folder; one with the same plan goes on from it.

Behind each array is a sum over it, its name and the plan. One that was cut or changed on the disk,
or is that of another window or run, is found by it, and is fetched again.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.earthengine.plan import Layer, quarters
from geoseg.compositing.earthengine.planned import differences
from geoseg.errors import OutputError
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.window import Window

_PLAN = "plan.json"
_LOCK = "lock"
_SUM = struct.Struct("<I")
_PART = 4 << 20
"""Bytes read at a time."""


class LeftoverError(OutputError):
    """What another run left, or that it left nothing, does not go with what is asked."""


class Store:
    """Fetched windows of one output.

    A context manager: while it is open no other run can use the folder. Leaving it keeps the
    folder if there is a window in it; `remove` removes it. Threads that come later with a window
    find it closed.

    Parameters
    ----------
    target
        The output that the windows are for.
    plan
        What they are parts of, by words: plain JSON.
    resume
        Whether to go on from a folder that is there.
    overwrite
        Whether to remove one, without `resume`.

    Attributes
    ----------
    path
        The folder.

    Raises
    ------
    LeftoverError
        A folder is there and neither was asked for, it is of another plan, there is none to go on
        from, or another run uses it.
    OutputError
        It cannot be written.
    """

    def __init__(
        self, target: Path, plan: Mapping[str, Any], *, resume: bool, overwrite: bool
    ) -> None:
        self.target = target
        self.path = folder_of(target)
        self._plan = json.loads(json.dumps(plan))
        self._resume = resume
        self._overwrite = overwrite
        self._lock: BinaryIO | None = None
        self._writers = 0
        self._seed = zlib.crc32(json.dumps(self._plan, sort_keys=True).encode())
        # Names of windows that this run has looked at, each once.
        self._sound: set[str] = set()
        self._change = threading.Condition()

    def __enter__(self) -> Self:
        try:
            found = check_leftover(self.target, resume=self._resume, overwrite=self._overwrite)
            self.path.mkdir(exist_ok=True)
            self._lock = self._locked()
            try:
                self._begin(found)
            except BaseException:
                self._unlock()
                raise
        except OSError as error:
            raise output_error(error, self.target) from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._change:
            while self._writers > 0:
                self._change.wait()
            self._unlock()
        if not kept_windows(self.target):
            shutil.rmtree(self.path, ignore_errors=True)

    def _begin(self, found: bool) -> None:
        if found and self._resume:
            self._compare()
            for part in self.path.glob("*.new"):
                part.unlink()
            return
        for old in self.path.iterdir():
            if old.name != _LOCK:
                old.unlink()
        self._write(_PLAN, json.dumps(self._plan, indent=1, sort_keys=True).encode())

    def _compare(self) -> None:
        """Refuse to go on with windows of something else."""
        try:
            before = json.loads((self.path / _PLAN).read_text(encoding="utf-8"))
        except ValueError:
            before = None
        if not isinstance(before, dict):
            raise LeftoverError(f"{self.path / _PLAN} is damaged; begin anew with --overwrite")
        told = differences(before, self._plan)
        if told:
            raise LeftoverError(
                f"{self.path} holds windows of a run with other settings ({'; '.join(told)}); "
                "repeat that run’s settings with --resume, or begin anew with --overwrite"
            )

    def has(self, layer: Layer, window: Window) -> bool:
        """Tell whether a window was fetched as a whole; one that is damaged goes.

        Raises
        ------
        OutputError
            It cannot be read, or not be removed.
        """
        path = self.path / _name(layer, window)
        try:
            if self._is_sound(path):
                return True
            path.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error, self.target) from error
        return False

    def is_split(self, layer: Layer, window: Window) -> bool:
        """Tell whether a window was found to be too much at once."""
        return (self.path / f"{_name(layer, window)}.split").is_file()

    def mark_split(self, layer: Layer, window: Window) -> None:
        """Remember that a window is too much at once.

        Raises
        ------
        OutputError
            The disk is full, or cannot be written.
        """
        with self._writing():
            self._write(f"{_name(layer, window)}.split", b"")

    def put(self, layer: Layer, window: Window, pixels: NDArray[Any]) -> None:
        """Keep a window.

        Parameters
        ----------
        layer
            What was fetched.
        window
            Of which part of the grid.
        pixels
            (rows, cols) of the layer's type.

        Raises
        ------
        OutputError
            The disk is full, or cannot be written.
        """
        name = _name(layer, window)
        # By way of memory: NumPy itself writes to a file in C, and does not hand on why it failed.
        whole = io.BytesIO()
        np.save(whole, pixels, allow_pickle=False)
        found = zlib.crc32(whole.getbuffer(), self._sum_before(name))
        with self._writing():
            part = self.path / f"{name}.new"
            with part.open("wb") as file:
                file.write(whole.getbuffer())
                file.write(_SUM.pack(found))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path / name)

    def pieces(self, layer: Layer, window: Window) -> Iterator[Window]:
        """Yield the parts of a window as they were fetched, all of it having been."""
        if not self.is_split(layer, window) or (self.path / _name(layer, window)).is_file():
            yield window
            return
        for part in quarters(window):
            yield from self.pieces(layer, part)

    def opened(self, layer: Layer, window: Window) -> NDArray[Any]:
        """Return a window that was fetched as a whole, mapped: (rows, cols) of the layer's type.

        Raises
        ------
        OutputError
            It is damaged, or cannot be read.
        """
        path = self.path / _name(layer, window)
        try:
            if self._is_sound(path):
                pixels: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
                return pixels
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(path) from error
        raise self._damaged(path)

    def _damaged(self, path: Path) -> OutputError:
        return OutputError(f"{path} is damaged; run again with --resume, which fetches it anew")

    def _is_sound(self, path: Path) -> bool:
        """Tell whether a window is there, and is what was fetched; looked at once."""
        if path.name not in self._sound:
            if not path.is_file() or not self._ends_with_its_sum(path):
                return False
            self._sound.add(path.name)
        return True

    def _ends_with_its_sum(self, path: Path) -> bool:
        found = self._sum_before(path.name)
        with path.open("rb", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size - _SUM.size
            while left > 0:
                part = file.read(min(_PART, left))
                if not part:
                    return False
                found = zlib.crc32(part, found)
                left -= len(part)
            return left == 0 and file.read() == _SUM.pack(found)

    def _sum_before(self, name: str) -> int:
        """Return the sum that that of a window begins with: of another it is another."""
        return zlib.crc32(name.encode(), self._seed)

    def missing(self, layer: Layer, window: Window) -> int:
        """Count the pixels of a window that have not been fetched."""
        if self.has(layer, window):
            return 0
        if not self.is_split(layer, window):
            return window.area
        return sum(self.missing(layer, part) for part in quarters(window))

    def remove(self) -> None:
        """Remove the folder; what it was kept for is made."""
        self._unlock()
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write: only while the folder is this run's, which is not left meanwhile."""
        with self._change:
            if self._lock is None:
                raise OutputError(f"{self.path} is closed; nothing more is kept in it")
            self._writers += 1
        try:
            yield
        except OSError as error:
            raise output_error(error, self.target) from error
        finally:
            with self._change:
                self._writers -= 1
                self._change.notify_all()

    def _write(self, name: str, content: bytes) -> None:
        part = self.path / f"{name}.new"
        part.write_bytes(content)
        part.replace(self.path / name)

    def _locked(self) -> BinaryIO:
        file = (self.path / _LOCK).open("ab")
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not on Windows

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise LeftoverError(
                    f"{self.target}: another run is fetching it; wait for that, or choose another "
                    "output"
                ) from None
        return file

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def folder_of(target: str | Path) -> Path:
    """Return where windows of an output are kept."""
    path = Path(target)
    return path.with_name(f".{path.name}.part")


def kept_windows(target: str | Path) -> int:
    """Count the windows, whole or in parts, that are kept for an output."""
    return sum(1 for _ in folder_of(target).glob("*.npy"))


def check_leftover(target: Path, *, resume: bool, overwrite: bool) -> bool:
    """Tell whether a run left windows of an output; early, before anything is asked.

    Raises
    ------
    LeftoverError
        It did and nobody said what to do with them, or it did not and they are wanted.
    """
    folder = folder_of(target)
    found = (folder / _PLAN).is_file()
    if resume and not found:
        raise LeftoverError(f"{target}: there is nothing to --resume; run without it to begin")
    if found and not resume and not overwrite and kept_windows(target):
        raise LeftoverError(
            f"{folder} holds windows of an unfinished run; go on with --resume, or begin anew with "
            "--overwrite"
        )
    return found


def _name(layer: Layer, window: Window) -> str:
    return f"{layer.key}-{window.row}-{window.col}-{window.height}-{window.width}.npy"
