"""Reading over a network: how GDAL is set up for it, and what is said where it fails.

Knows addresses and servers; opens no rasters.
"""

from __future__ import annotations

import os
import re
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from rasterio.env import get_gdal_config
from rasterio.errors import RasterioError

Found = TypeVar("Found")

_SUFFIXES = (
    *(".tif", ".tiff", ".gtif", ".gtiff", ".vrt", ".jp2", ".j2k", ".img", ".jpg", ".jpeg"),
    *(".png", ".bmp", ".webp"),
)
_PARTS = (".aux.xml", ".msk")
"""Files beside a raster that change what is read of it; overviews (.ovr) do not."""
_PATIENCE = 15.0
"""Seconds that a server may take to say what is wrong."""
_MOST_REPEATS = 3
"""Times that a read is repeated from here, on top of each request's own repeats in GDAL."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_VSICURL = "/vsicurl/"
ANYTHING = ":".join(f"/vsi{kind}/" for kind in ("curl", "s3", "gs", "az", "adls", "oss", "swift"))
"""Beginnings of the names of remote files."""
_WHOLE_ONLY = (
    "the server gives whole files only and no parts of them; download it, and give the copy"
)
_HEAD_BYTES = 32 << 10
"""Bytes that are asked for when a file is opened."""
_GIVE_PARTS: set[str] = set()
"""Servers (http) that have given a part of a file to this process."""
_NOT_SENT = re.compile(r"[^!-~]+")
"""What an address may hold as people write it, and not as it is sent."""
_BEFORE_HTML = re.compile(rb"\s*<(?:!doctype|html|head|body)", re.IGNORECASE)

_ALWAYS = {
    # Four requests by default repeat after 1, 2, 4 s and a little, by chance.
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    # Who says nothing for half a minute has left.
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",
    # Neighbouring blocks in one request: what is wanted is asked for, and nothing besides.
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    # The head of most files in one request.
    "GDAL_INGESTED_BYTES_AT_OPEN": str(_HEAD_BYTES),
}
_FOLDERS = {"GDAL_DISABLE_READDIR_ON_OPEN": ("TRUE", "EMPTY_DIR")}
"""Options that are set otherwise for some addresses, and how."""


def settings(path: str, *, anything: bool = False) -> dict[str, str]:
    """Return what GDAL is told for reading an address, but for what the user has set.

    Listing a server's folder is left out, and of the files that may lie beside a raster those alone
    are asked for that change what is read.

    Parameters
    ----------
    path
        The address.
    anything
        Whether files that end in no way that is known may be asked for.
    """
    options = dict(_ALWAYS)
    if urlsplit(path).path.casefold().endswith(_SUFFIXES):
        options["GDAL_DISABLE_READDIR_ON_OPEN"] = "TRUE"
        options["CPL_VSIL_CURL_ALLOWED_EXTENSIONS"] = ",".join([*_SUFFIXES, *_PARTS])
    else:
        options["GDAL_DISABLE_READDIR_ON_OPEN"] = "EMPTY_DIR"
    if anything or "CPL_VSIL_CURL_ALLOWED_EXTENSIONS" in os.environ:
        options.pop("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", None)
    options |= _endpoint()
    return {
        key: value
        for key, value in options.items()
        if key not in os.environ and not _set_by_others(key, value)
    }


def _set_by_others(key: str, ours: str) -> bool:
    """Tell whether an option is set, and not from here.

    What the main thread sets while it reads is set for all threads: they may not rely on it, for it
    goes when that one is done.
    """
    told = get_gdal_config(key)
    return told is not None and _plain(told) not in map(_plain, (ours, *_FOLDERS.get(key, ())))


def _plain(value: object) -> str:
    """Write a value in one way: rasterio makes numbers, and truths, of some."""
    text = str(value).upper()
    return {"ON": "YES", "TRUE": "YES", "OFF": "NO", "FALSE": "NO"}.get(text, text)


def _endpoint() -> dict[str, str]:
    """Tell GDAL of a server for s3:// as the tools of AWS are told of it."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not given:
        return {}
    parts = urlsplit(given)
    return {
        "AWS_S3_ENDPOINT": parts.netloc + parts.path.rstrip("/"),
        "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }


@dataclass(frozen=True)
class Trouble:
    """Why an address cannot be read."""

    reason: str
    """What is wrong and what to do, without the address."""
    passing: bool
    """Whether it may be gone in a moment."""


def diagnose(path: str, told: str) -> Trouble:
    """Find out why an address cannot be opened.

    Parameters
    ----------
    path
        The address.
    told
        What GDAL says.
    """
    address = path.removeprefix(_VSICURL)
    if not address.lower().startswith(("http://", "https://")):
        return Trouble(_object_words(path, told), passing=False)
    if " " in address:
        return Trouble("has a space in its address; write %20 for it", passing=False)
    try:
        with urlopen(request(address, first=512), timeout=_PATIENCE) as answer:
            head = answer.read(512)
            status = answer.status
    except HTTPError as error:
        with error:
            return refusal(error.code)
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        said = " ".join(str(reason).split()) or type(error).__name__
        return Trouble(
            f"the server cannot be reached ({said}); check the address and your network",
            passing=not isinstance(error, ValueError),
        )
    if is_page(head):
        return Trouble(
            "is a page for a browser and not a raster; give the address of the file itself"
            " (a direct download, without signing in)",
            passing=False,
        )
    if status != 206:
        return Trouble(_WHOLE_ONLY, passing=False)
    return Trouble(f"cannot be opened ({told}); is it a raster, and whole?", passing=True)


def trouble_with_parts(path: str) -> str | None:
    """Find out, once a server (http), whether it gives parts of files; return what is wrong if not.

    GDAL would ask many times for parts, and be given the whole file each time. Whatever else is
    wrong is told by who reads: nothing is said of it here.
    """
    address = path.removeprefix(_VSICURL)
    server = urlsplit(address).netloc
    if not address.lower().startswith(("http://", "https://")) or server in _GIVE_PARTS:
        return None
    try:
        with urlopen(request(address, first=512), timeout=_PATIENCE) as answer:
            status, size = answer.status, int(answer.headers.get("Content-Length") or -1)
            head = answer.read(512) if status == 200 else b""
    except (HTTPError, URLError, OSError, HTTPException, ValueError):
        return None
    if status == 206:
        _GIVE_PARTS.add(server)
    # GDAL takes small files whole.
    is_whole = status == 200 and not 0 <= size <= 10 * _HEAD_BYTES
    return _WHOLE_ONLY if is_whole and not is_page(head) else None


def trouble_of(path: str) -> Trouble | None:
    """Ask the server of a file (http) that was opened and cannot be read what is wrong."""
    if not path.removeprefix(_VSICURL).lower().startswith(("http://", "https://")):
        return None
    return diagnose(path, "")


def request(address: str, *, first: int | None) -> Request:
    """Ask for the first bytes of a file at an address (http); who asks is named as GDAL does.

    None asks for the whole file.

    Who asks is told to the server of the address alone, and not to one that it sends on to.
    """
    parts = urlsplit(address)
    who, _, host = parts.netloc.rpartition("@")
    asked = Request(_NOT_SENT.sub(_encoded, urlunsplit(parts._replace(netloc=host))))
    if first is not None:
        asked.add_header("Range", f"bytes=0-{first - 1}")
    if who:
        words = f"Basic {b64encode(unquote(who).encode()).decode()}"
        asked.add_unredirected_header("Authorization", words)
    for line in (get_gdal_config("GDAL_HTTP_HEADERS") or "").splitlines():
        name, _, value = line.partition(":")
        asked.add_unredirected_header(name.strip(), value.strip())
    return asked


def _encoded(found: re.Match[str]) -> str:
    return quote(found[0])


def is_page(head: bytes) -> bool:
    """Tell whether a file that begins so is a page for a browser."""
    return _BEFORE_HTML.match(head) is not None


def refusal(status: int) -> Trouble:
    """Say what a status means with which a server (http) refuses."""
    words = {
        401: "the server wants to know who asks (401); give an address that is signed, or the"
        " header in GDAL_HTTP_HEADERS",
        403: "the server refuses access (403); check your rights, and whether a signed address has"
        " expired",
        404: "the server has no such file (404); check the address",
        410: "the server has this file no longer (410); check the address",
        429: "the server is asked too often (429); try again later, or with fewer --workers",
    }
    usual = f"the server fails ({status}); try again later"
    if status < 500:
        usual = f"the server refuses ({status}); check the address"
    return Trouble(words.get(status, usual), passing=status in _PASSING)


def _object_words(path: str, told: str) -> str:
    scheme = path.partition("://")[0].lower() if "://" in path else ""
    hints = {
        "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_REGION, or AWS_NO_SIGN_REQUEST=YES"
        " for public data",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GS_NO_SIGN_REQUEST=YES for public data",
        "az": "AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_ACCESS_KEY",
    }
    hint = hints.get(scheme)
    more = f" ({hint})" if hint else ""
    said = f" ({told})" if told else ""
    return f"cannot be opened{said}; check the address and your access to it{more}"


def repeated(work: Callable[[], Found], forget: Callable[[], None]) -> Found:
    """Do what reads over a network, again after growing waits where it fails.

    GDAL repeats requests that a server refuses for the moment; this is for what it does not: bodies
    that end early, connections that are cut. Two repeats come at once. How often and how long
    after these is decided by GDAL's own ``GDAL_HTTP_MAX_RETRY`` (at most three more repeats here)
    and ``GDAL_HTTP_RETRY_DELAY``.

    Parameters
    ----------
    work
        What reads.
    forget
        Called before each repeat: drops what is open, and with it what GDAL remembers of it. A
        file that stays open may give zeros for blocks whose places could not be read.

    Raises
    ------
    RasterioError
        As `work`, the last time.
    """
    waits = first_at_once(pauses())
    while True:
        try:
            return work()
        except RasterioError:
            if not waits:
                raise
            wait(waits.pop(0))
            forget()
            if len(waits) % 2:
                # Where each fifth body is cut, a repeat of five requests would always meet it.
                forget()


def wait(seconds: float) -> None:
    """Wait before what failed is done again."""
    time.sleep(seconds)


def pauses() -> list[float]:
    """Seconds to wait before each repeat."""
    count = int(_number("GDAL_HTTP_MAX_RETRY"))
    first = _number("GDAL_HTTP_RETRY_DELAY")
    return [first * 2**k for k in range(min(_MOST_REPEATS, count))]


def first_at_once(waits: list[float]) -> list[float]:
    """Add repeats without waiting, if there are any: a body that was cut is mostly there again."""
    return [0.0, 0.0, *waits] if waits else []


def _number(key: str) -> float:
    given = get_gdal_config(key)
    given = os.environ.get(key, _ALWAYS[key]) if given is None else given
    try:
        return max(0.0, float(given))
    except (TypeError, ValueError):
        return float(_ALWAYS[key])
