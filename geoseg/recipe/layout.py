"""What the layout of the data names, looked for in the folder of the data."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

_PATH = re.compile(r"(?:[\w*.-]+/)*[\w*-][\w*.-]*\.[A-Za-z]\w{1,7}|(?:[\w*.-]+/)+")
_ANY_NAME = re.compile(r"(?<![A-Za-z0-9])[A-Z]{3,}(?![A-Za-z0-9])")
"""NAME in ``images/NAME.jpg`` stands for names of any kind."""


def named_paths(layout: str) -> tuple[str, ...]:
    """List the files and folders that a text names, as it writes them, each once.

    What looks like a path is one: a word with an ending (``labels.tif``), or one that ends in "/".
    """
    words = (word.strip("`'\"()[],;:") for word in layout.split())
    return tuple(dict.fromkeys(word for word in words if _PATH.fullmatch(word)))


def not_found(layout: str, data: Path, *, instead: Collection[str] = ()) -> tuple[str, ...]:
    """List what a layout names and a folder has not; ``NAME`` is any name, endings in any case.

    Parameters
    ----------
    layout
        Text that names files and folders.
    data
        The folder.
    instead
        Files of the folder that were named in place of others beside them, which are not missed.
    """
    folders = {PurePosixPath(path).parent for path in instead if _is_there(path, data)}
    return tuple(
        path
        for path in named_paths(layout)
        if not _is_there(path, data)
        and (path.endswith("/") or path in instead or PurePosixPath(path).parent not in folders)
    )


def _is_there(path: str, data: Path) -> bool:
    pattern = _ANY_NAME.sub("*", path.rstrip("/"))
    stem, dot, ending = pattern.rpartition(".")
    forms = {pattern}
    if dot and "/" not in ending:
        forms |= {f"{stem}.{ending.lower()}", f"{stem}.{ending.upper()}"}
    try:
        return any(next(iter(data.glob(form)), None) is not None for form in sorted(forms))
    except (OSError, ValueError):
        return False
