"""Which VRTs of this machine name files far away."""

from __future__ import annotations

import os
import re

_FAR = re.compile(
    rb"<(?!MDI\b)[^<>]*>\s*(?:/vsi(?:curl|s3|gs|az|adls|oss|swift)[/_?]|(?:https?|s3|gs|az)://)"
)
"""Addresses in elements, but for those of metadata, which may speak of anything."""
_MOST_BYTES = 64 << 20
_MOST_FILES = 4096
_KNOWN: dict[str, tuple[tuple[int, int], bool]] = {}


def names_far(path: str) -> bool:
    """Tell whether a VRT names files far away; each version of one is looked into once."""
    try:
        found = os.stat(path)
        stamp = found.st_size, found.st_mtime_ns
        known = _KNOWN.get(path)
        if known is None or known[0] != stamp:
            with open(path, "rb") as file:
                known = stamp, _FAR.search(file.read(_MOST_BYTES)) is not None
            if len(_KNOWN) >= _MOST_FILES:
                _KNOWN.clear()
            _KNOWN[path] = known
    except OSError:
        return False
    return known[1]
