"""Scratch files without a name: arrays that would not fit into memory. Knows nothing of rasters.

The files vanish when they are closed or when the process ends, however it ends: where the system
allows, they have no name in the folder at all.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geoseg.errors import OutputError

_CHUNK = 1 << 20


class SpillFile:
    """One growing array of one dtype on disk, from any thread.

    Parameters
    ----------
    folder
        Existing folder with room for the array.
    dtype
        Type of the elements. Positions and lengths below are counted in elements.

    Raises
    ------
    OutputError
        From every method: no space left, folder missing or not writable.
    """

    def __init__(self, folder: Path, dtype: DTypeLike) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.length = 0
        self._folder = folder
        self._lock = threading.Lock()
        with self._errors("write"):
            # Closed by `close`: the file lives as long as this object.
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def append(self, values: NDArray[Any]) -> int:
        """Write `values` after the last element and return the position of the first of them."""
        left = _bytes(np.ascontiguousarray(values, self.dtype))
        # Seek and write under a lock: every system has it, and it costs no more than the copy.
        with self._errors("write"), self._lock:
            position = self.length
            self._file.seek(position * self.dtype.itemsize)
            while left.nbytes:
                left = left[self._file.write(left) :]
            self.length += values.size
        return position

    def read(self, position: int, out: NDArray[Any]) -> None:
        """Fill the C-contiguous array `out` with the elements from `position` on."""
        left = _bytes(out)
        with self._errors("read"), self._lock:
            self._file.seek(position * self.dtype.itemsize)
            while left.nbytes:
                count = self._file.readinto(left)
                if not count:
                    raise OSError("the file ends too early")
                left = left[count:]

    def lengthen(self, length: int) -> None:
        """Add zeros up to `length` elements, written out so that the disk has room for them."""
        zeros = np.zeros(min(_CHUNK, max(length - self.length, 0)), self.dtype)
        while self.length < length:
            self.append(zeros[: length - self.length])

    def map(self) -> NDArray[Any]:
        """Return all elements as a writable array (length,) that the system pages in and out."""
        if not self.length:
            return np.empty(0, self.dtype)
        # All bytes were written before, so a full disk shows in `write` and never as a lost page.
        with self._errors("read"):
            return np.frombuffer(mmap.mmap(self._file.fileno(), 0), self.dtype)

    def close(self) -> None:
        """Give the disk space back."""
        with contextlib.suppress(OSError):
            self._file.close()

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise OutputError(
                f"cannot {verb} a temporary file in {self._folder}: {reason}; "
                "free some space there or choose another folder"
            ) from error


def _bytes(values: NDArray[Any]) -> memoryview:
    """Return the memory of a C-contiguous array."""
    return memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
