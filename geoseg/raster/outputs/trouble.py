"""What is said where a disk or a folder does not take an output."""

from __future__ import annotations

import errno
from pathlib import Path

from geoseg.errors import OutputError


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
