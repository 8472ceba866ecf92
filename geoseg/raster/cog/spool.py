"""Bytes that wait on disk: a temporary file that is written and read at places, from any thread.

The system may write or read less than it is asked to; here all of it is. What it reports when it
cannot (a full disk, a disk that fails) is left to the caller, as `OSError`.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

__all__ = ["Spool"]

_PART = 4 << 20
"""Bytes read at a time."""


class Spool:
    """A file of bytes at places; closed by `close`.

    Parameters
    ----------
    path
        The file, which must not be there.
    size
        Bytes that it begins with, none of which take room on most disks before they are written.
    again
        Take up the file that is there, which has this size at least; what is behind is cut off.

    Raises
    ------
    OSError
        By every method: what the system reported.
    """

    def __init__(self, path: Path, size: int = 0, *, again: bool = False) -> None:
        self.path = path
        self._end = size
        self._lock = threading.Lock()
        self._file = path.open("r+b" if again else "x+b", buffering=0)
        try:
            if again and path.stat().st_size < size:
                raise OSError(errno.EIO, "a file of finished rows was cut short")
            self._file.truncate(size)
        except BaseException:
            self._file.close()
            raise

    def append(self, data: bytes | memoryview) -> int:
        """Write at the end; return the place."""
        size = len(data) if isinstance(data, bytes) else data.nbytes
        with self._lock:
            place, self._end = self._end, self._end + size
        self.write_at(place, data)
        return place

    def write_at(self, place: int, data: bytes | memoryview) -> None:
        """Write all of `data` at a place."""
        left = memoryview(data).cast("B")
        while left:
            if sys.platform == "win32":  # no writing at a place there
                with self._lock:
                    self._file.seek(place)
                    written = self._file.write(left) or 0
            else:
                written = os.pwrite(self._file.fileno(), left, place)
            left, place = left[written:], place + written

    def read_at(self, place: int, into: memoryview) -> None:
        """Fill `into` from a place."""
        left = into.cast("B")
        while left:
            if sys.platform == "win32":  # no reading at a place there
                with self._lock:
                    self._file.seek(place)
                    part = self._file.read(min(len(left), _PART)) or b""
            else:
                part = os.pread(self._file.fileno(), min(len(left), _PART), place)
            if not part:
                raise OSError(errno.EIO, "a temporary file was cut short")
            left[: len(part)] = part
            left, place = left[len(part) :], place + len(part)

    def flush(self) -> None:
        """Have all that was written on the disk itself, where a crash cannot take it away."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, which stays; safe to call again."""
        self._file.close()

    def remove(self) -> None:
        """Close the file and give its room back."""
        self.close()
        self.path.unlink(missing_ok=True)
