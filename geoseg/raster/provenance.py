"""Where an output came from, as the metadata tags that every raster and vector of geoseg carries.

No date, no folder and no secret goes in: the same inputs give the same bytes on every machine, and
a map can be passed on without telling where its maker keeps things.
"""

from __future__ import annotations

import json
import platform
import re
import shlex
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import rasterio

from geoseg import __version__
from geoseg.errors import RasterReadError
from geoseg.raster.handles import environment, open_dataset

VERSIONS = ("GEOSEG_VERSION", "GEOSEG_VERSIONS")
"""Tags that say by which releases an output was made."""


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Write options as one types them: switches that are on by their name, those that are off not.

    Parameters
    ----------
    options
        By their names without the dashes; a list is written with commas between.
    """
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif isinstance(value, list | tuple):
            words += [f"--{name}", ",".join(map(str, value))]
        elif value is not False:
            words += [f"--{name}", str(value)]
    return words


def provenance(
    command: Sequence[str],
    inputs: Mapping[str, str],
    model: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    options: Mapping[str, Any] | None = None,
    also: Sequence[str] = (),
) -> dict[str, str]:
    """Tags that say what made an output.

    Parameters
    ----------
    command
        The words of the command as typed, the program's name first.
    inputs
        Fingerprints by the name, path or address of what was read.
    model
        What the model's card says (its hash above all), or one such for each of an ensemble.
    options
        Settings by name: anything JSON can hold; paths and arrays are written as text and lists.
    also
        Further packages that take part; their versions are told.

    Returns
    -------
    GEOSEG_COMMAND and GEOSEG_VERSION as text; GEOSEG_INPUTS, GEOSEG_OPTIONS, GEOSEG_VERSIONS and,
    with a model, GEOSEG_MODEL as JSON. Of files only their names are kept, of addresses no user,
    password or query.
    """
    tags = {
        "GEOSEG_COMMAND": shlex.join(_public_words(command)),
        "GEOSEG_VERSION": __version__,
        "GEOSEG_INPUTS": _json(_public_inputs(inputs)),
        "GEOSEG_OPTIONS": _json(_clean(dict(options or {}))),
        "GEOSEG_VERSIONS": _json(versions(also)),
    }
    if model is not None:
        tags["GEOSEG_MODEL"] = _json(_clean(model))
    return tags


def read_provenance(path: str | PurePath) -> dict[str, str]:
    """Read what made an output out of its metadata; nothing where it is not there or no raster."""
    try:
        with environment(str(path)), open_dataset(str(path)) as dataset:
            tags: dict[str, str] = dataset.tags()
    except RasterReadError:
        return {}
    return {name: text for name, text in tags.items() if name.startswith("GEOSEG_")}


SAME_PACKAGES = ("numpy", "rasterio", "rasterio:__gdal_version__", "numba")
"""What must be of one release on all machines, for files to be the same bytes."""


def versions(also: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions of what computes and writes; torch's only where it is in use.

    Parameters
    ----------
    also
        Further packages that take part.
    """
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
    }
    for name in ("torch", *also):
        module = sys.modules.get(name)
        if module is not None:
            found[name] = str(module.__version__)
    return found


def made_geopackage(path: Path) -> bool:
    """Tell whether a GeoPackage says that geoseg made it; what is none, or is damaged, does not."""
    try:
        # No journal appears beside a file that is looked at only.
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return False
    with closing(base):
        try:
            rows = base.execute("SELECT metadata FROM gpkg_metadata").fetchall()
        except sqlite3.Error:
            return False
    return any("GEOSEG_COMMAND" in str(text) for (text,) in rows)


def public_name(path: str) -> str:
    """Reduce an input's path to its file name, and an address to what anybody may see of it."""
    return _file_name(path)


def without_secrets(value: Any) -> Any:
    """Return plain JSON with its addresses reduced to what anybody may see.

    No user, password, query or signature is left; names of files and folders stay.
    """
    match value:
        case dict():
            return {key: without_secrets(item) for key, item in value.items()}
        case list():
            return [without_secrets(item) for item in value]
        case str() if _ADDRESS.search(value) or _VSI.match(value):
            return _public(value)
        case str():
            return _SECRET_GIVEN.sub(r"\1=(hidden)", value)
        case _:
            return value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


_SECRET = (
    r"(?:pass(?:word|wd)?|pwd|token|secret|credentials?|api[-_]?key|access[-_]?key|sig(?:nature)?)"
)
_SECRET_GIVEN = re.compile(rf"(?i)({_SECRET})=[^\s&\"']+")
_SECRET_OPTION = re.compile(rf"(?i)--?[\w-]*{_SECRET}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'|]+")
# A folder inside other text, as in NETCDF:"/data/a.nc":band or --like=/data/a.tif.
_FOLDER = re.compile(r"(?<![\w.\\/])(?:[A-Za-z]:)?[\\/](?:[^\\/\s\"':,=]+[\\/])+")
_WHOLE_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/]|\.{1,2}[\\/]|~|.*[\\/][^\\/]*\.[A-Za-z]\w{0,9}$")
_VSI = re.compile(r"/vsi[a-z0-9_]+(?=[/?])")


def _file_name(text: str) -> str:
    """Reduce an input's path or address to what may be seen of it."""
    return _public(text) if _ADDRESS.search(text) or _VSI.match(text) else _last_part(text)


def _last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or path


def _public(text: str) -> str:
    """Reduce paths in a text to file names, and addresses to what anybody may see."""
    vsi = _VSI.match(text)
    if vsi:
        rest = text[vsi.end() :]
        if rest.startswith("?"):  # /vsicurl?url=…: any of it may be signed
            return f"{vsi[0]}?(address)"
        return f"{vsi[0]}/{_public(rest[1:])}"
    if _ADDRESS.search(text):
        text = _ADDRESS.sub(lambda found: _public_address(found[0]), text)
    elif "=" not in text and _WHOLE_PATH.match(text):
        text = _last_part(text)
    else:
        text = _FOLDER.sub("", text)
    return _SECRET_GIVEN.sub(r"\1=(hidden)", text)


def _public_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(address)"
    if parts.scheme == "file":
        return _last_part(parts.path)
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path, "", ""))


def _public_words(command: Sequence[str]) -> list[str]:
    """Words of a command, without paths, and without what follows an option like --token."""
    words: list[str] = []
    for number, word in enumerate(command):
        hidden = number > 0 and _SECRET_OPTION.fullmatch(command[number - 1])
        words.append("(hidden)" if hidden else _public(word))
    return words


def _public_inputs(inputs: Mapping[str, str]) -> dict[str, str]:
    """Fingerprints by file name; files of the same name in several folders are numbered."""
    found: dict[str, str] = {}
    for path, mark in inputs.items():
        name = unique = _file_name(str(path))
        number = 1
        while unique in found:
            number += 1
            unique = f"{name} ({number})"
        found[unique] = mark
    return found


def _clean(value: Any) -> Any:
    """Turn a value into plain JSON without paths or secrets."""
    match value:
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted((_clean(item) for item in value), key=repr)
        case list() | tuple():
            return [_clean(item) for item in value]
        case np.ndarray() | np.generic():
            return value.tolist()
        case PurePath():
            return value.name
        case str():
            return _public(value)
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)
