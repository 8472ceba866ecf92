"""The classes that a raster carries, on this machine or on a server.

What lies beside one on a server is fetched, and read as here.
"""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from urllib.request import urlopen

from geoseg.errors import GeosegError, LabelError
from geoseg.raster.legend.carried import carried_legend
from geoseg.raster.legend.classes import Legend
from geoseg.raster.opening import objects, remote

_LARGEST = 8 << 20
"""Bytes of a file that says what classes there are."""
_PATIENCE = 15.0


def raster_legend(path: str | Path) -> Legend | None:
    """Legend that a class raster carries, or None where it names no classes.

    Names come from the raster attribute table or the category names of its ``.aux.xml``, else
    from a paletted ``.qml`` beside it. A colour table gives colours, never classes.
    """
    return _far_legend(str(path)) if "://" in str(path) else carried_legend(Path(path))


def _far_legend(address: str) -> Legend | None:
    """Legend of a raster on a server; nothing where what lies beside cannot be had.

    Raises
    ------
    LabelError
        It is there, and makes no sense.
    """
    parts = urlsplit(address)
    base, _, name = address.rpartition("/")
    if parts.query or not name:  # signed: what lies beside has a signature of its own
        return None
    stem = name.rpartition(".")[0] or name
    with TemporaryDirectory(prefix="geoseg-") as folder:
        place = Path(folder)
        for beside in (f"{name}.aux.xml", f"{stem}.qml"):
            content = _fetch(f"{base}/{beside}")
            if content is not None:
                (place / beside).write_bytes(content)
        try:
            return carried_legend(place / name)
        except LabelError as error:
            raise LabelError(str(error).replace(str(place), base)) from error


def _fetch(address: str) -> bytes | None:
    """Read a small file; None where there is none or it cannot be had."""
    try:
        if objects.is_object(address):
            return objects.get(address, most=_LARGEST)
        if address.lower().startswith(("http://", "https://")):
            with urlopen(remote.request(address, first=_LARGEST), timeout=_PATIENCE) as answer:
                content: bytes = answer.read(_LARGEST)
                return content
    except (OSError, HTTPException, ValueError, GeosegError):
        return None
    return None
