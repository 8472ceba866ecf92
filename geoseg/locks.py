"""Files that one process holds for itself, by which others see that it lives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO


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
