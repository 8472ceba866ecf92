"""Where an output came from, as the metadata tags that every raster and vector of geoseg carries.

No folder, no secret and no clock's date goes in: the same inputs give the same bytes on every
machine, and a map can be passed on without telling where its maker keeps things. Who wants a date
in it says which, by the environment's ``SOURCE_DATE_EPOCH``. How files that are no rasters carry
the same is in `geoseg.raster.maker`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import rasterio

from geoseg import __version__
from geoseg.errors import OptionError, RasterReadError
from geoseg.raster.opening.handles import environment, open_dataset

PREFIX = "GEOSEG_"
"""How the names of such tags begin."""
DATE = "GEOSEG_DATE"
"""Tag of the date that the maker wanted in it."""
VERSIONS = ("GEOSEG_VERSION", "GEOSEG_VERSIONS", DATE)
"""Tags that say by which releases an output was made, and when: what it is of does not depend on
these."""
EPOCH = "SOURCE_DATE_EPOCH"
"""Variable of the environment, as reproducible-builds.org has it: seconds since 1970, in UTC."""


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
        Further packages that take part; their versions are told. Torch does where a model does.

    Returns
    -------
    GEOSEG_COMMAND and GEOSEG_VERSION as text; GEOSEG_INPUTS, GEOSEG_OPTIONS, GEOSEG_VERSIONS and,
    with a model, GEOSEG_MODEL as JSON; GEOSEG_DATE where `wanted_date` gives one. Of files only
    their names are kept, of addresses no user, password or query.

    Raises
    ------
    OptionError
        The environment's date is none.
    """
    tags = {
        "GEOSEG_COMMAND": shlex.join(_public_words(command)),
        "GEOSEG_VERSION": __version__,
        "GEOSEG_INPUTS": _json(_public_inputs(inputs)),
        "GEOSEG_OPTIONS": _json(_clean(dict(options or {}))),
        "GEOSEG_VERSIONS": _json(versions(also if model is None else ("torch", *also))),
    }
    if model is not None:
        tags["GEOSEG_MODEL"] = _json(_clean(model))
    date = wanted_date()
    if date is not None:
        tags[DATE] = date
    return tags


def wanted_date() -> str | None:
    """Return the date that the environment asks for, RFC 3339 in UTC; None where it asks for none.

    Raises
    ------
    OptionError
        ``SOURCE_DATE_EPOCH`` holds no time.
    """
    text = os.environ.get(EPOCH, "")
    if not text:
        return None
    try:
        when = datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise OptionError(
            f"{EPOCH}={text!r} in the environment is no time: give seconds since 1970, or unset it"
        ) from error
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def made_by(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what such tags say as JSON objects: ``command``, ``version``, ``inputs`` and so on.

    Tags of others are left out; nothing is left where there is none of ours.
    """
    found: dict[str, Any] = {}
    for key, text in sorted(tags.items()):
        if key.startswith(PREFIX):
            name = key.removeprefix(PREFIX).lower()
            # These are texts, even where they look like a number.
            found[name] = text if name in ("command", "version", "date") else _object(text)
    return found


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def tiff_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags as a TIFF has them: with its own for the software and, if given, the date."""
    found = {"TIFFTAG_SOFTWARE": f"geoseg {__version__}"}
    if DATE in tags:
        found["TIFFTAG_DATETIME"] = tags[DATE].replace("-", ":").replace("T", " ").rstrip("Z")
    return {**found, **tags}


def maker_tags(made: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that `made_by` was taken from."""
    return {
        f"{PREFIX}{name.upper()}": value if isinstance(value, str) else _json(value)
        for name, value in made.items()
    }


def read_provenance(path: str | PurePath) -> dict[str, str]:
    """Read what made an output out of its metadata; nothing where it is not there or no raster."""
    try:
        with environment(str(path)), open_dataset(str(path)) as dataset:
            tags: dict[str, str] = dataset.tags()
    except RasterReadError:
        return {}
    return {name: text for name, text in tags.items() if name.startswith(PREFIX)}


SAME_PACKAGES = ("numpy", "rasterio", "rasterio:__gdal_version__", "numba")
"""What must be of one release on all machines, for files to be the same bytes."""


def versions(also: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions of what computes and writes.

    Parameters
    ----------
    also
        Further packages that take part, torch say; those that are not loaded have no version.
    """
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
    }
    for name in also:
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
