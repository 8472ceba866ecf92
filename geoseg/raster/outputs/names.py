"""Names that files can have, here and on Windows."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path, PurePath

from geoseg.errors import OutputError

LONGEST = 255 - len(".") - len(".geoseg-12345678.new")
"""Bytes of an output's name: file systems hold names of 255, and hidden ones are made of it."""
_RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in "123456789¹²³"
}
_NO_BEGINNING = re.compile(r"^(?:[`~!@#$%^&*()+\-={}|\[\]\\:\";'<>?,./ ]|gpkg)+", re.IGNORECASE)
_FORBIDDEN = frozenset('<>:"/\\|?*') | {chr(code) for code in range(32)}


def check_name(path: Path) -> None:
    """Refuse an output whose name, or a name made of it, the file system will not take.

    Raises
    ------
    OutputError
        It is too long; on Windows, it means something else there or will be changed.
    """
    length = len(os.fsencode(path.name))
    if length > LONGEST:
        raise OutputError(
            f"{path}: the name has {length} bytes and may have {LONGEST}; choose a shorter one"
        )
    if sys.platform == "win32" and (trouble := windows_trouble(path.name)):
        raise OutputError(f"{path}: {trouble}; choose another name")


def check_geopackage_path(path: Path) -> None:
    """Refuse a path at which no GeoPackage can be written, before it is worked for.

    Raises
    ------
    OutputError
        What writes it would take a part of the path for an archive, or leave a part out.
    """
    bad = [character for character in "!\n\r\t" if character in str(path)]
    if bad:
        raise OutputError(
            f"{path}: no GeoPackage can be written to a path with {bad[0]!r} in it; choose another"
        )


def layer_name(path: Path) -> str:
    """Return what the layer of a file is called: as the file, without what GDAL refuses in front.

    GDAL lets no layer of a GeoPackage begin with a special character or the word gpkg.
    """
    return _NO_BEGINNING.sub("", path.stem) or "polygons"


def windows_trouble(name: str) -> str | None:
    """Say why Windows has no file of a name, or not of just this name; None where it has.

    Parameters
    ----------
    name
        Last part of a path.
    """
    if PurePath(name.upper()).name.split(".")[0].rstrip(" ") in _RESERVED:
        return "Windows keeps this name for a device, whatever it ends in"
    if name.endswith((".", " ")):
        return "Windows takes dots and spaces off a name's end"
    bad = sorted(_FORBIDDEN.intersection(name))
    if bad:
        return f"Windows allows no {bad[0]!r} in names"
    return None
