"""Asking a server for a whole file, again where it does not come whole, from where it was cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from geoseg.errors import GeosegError, InputError
from geoseg.raster.opening import objects, remote

_CHUNK = 1 << 20
_PATIENCE = 30.0
"""Seconds that a server may say nothing."""
_SETTLED = 60.0
"""Seconds after which a file of a date is no longer written with that same date."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server gives."""

    mark: str
    """By which the same file is known again; empty where the server gives none to rely on."""
    size: int | None
    """Bytes of the whole file; None where the server does not say."""
    start: int
    """Bytes before the first one given."""
    chunks: Iterator[bytes]
    """The rest of the file."""


class _PassingError(Exception):
    """Something that may be gone in a moment, in words for the user."""


class _RefusedError(Exception):
    """Something that stays wrong, in words for the user."""


def ask(
    address: str,
    known: str,
    error: type[InputError],
    begin: Callable[[Answer], None],
    take: Callable[[bytes], None],
) -> str | None:
    """Fetch a file, unless it is the one that is known.

    Parameters
    ----------
    address
        ``https://…`` or ``s3://…``.
    known
        Mark of the one that is here; empty where none is.
    error
        What is raised where it cannot be had.
    begin
        Told of the answer before the first byte, each time that it comes from the beginning.
    take
        Given all bytes, in order.

    Returns
    -------
    mark
        That of the file that came; None where it is the one known.

    Raises
    ------
    InputError
        As `error`.
    """
    of = _object if objects.is_object(address) else _http
    waits = remote.first_at_once(remote.pauses())
    got, furthest, mark = 0, 0, ""
    size: int | None = None
    while True:
        try:
            answer = of(address, known, mark, got)
            if answer is None:
                return None
            if not answer.start:
                got, mark, size = 0, answer.mark, answer.size
                begin(answer)
            elif answer.start != got or answer.mark not in ("", mark):
                got = 0  # from there on it may be of another file
                raise _PassingError("gave another part than was asked for")
            for chunk in answer.chunks:
                if of is _http and not got and remote.is_page(chunk):
                    raise error(
                        f"{address}: is a page for a browser and not the file; give the address of"
                        " the file itself (a direct download, without signing in)"
                    )
                take(chunk)
                got += len(chunk)
            if size is not None and got != size:
                raise _PassingError(f"came in part alone ({got:,} of {size:,} bytes)")
            return mark
        except _PassingError as trouble:
            if not waits:
                raise error(f"{address}: {trouble}; try again later") from trouble
        except _RefusedError as trouble:
            raise error(f"{address}: {trouble}") from trouble
        if got - furthest > _CHUNK:
            waits = remote.first_at_once(remote.pauses())
            furthest = got
        remote.wait(waits.pop(0))


def _http(address: str, known: str, mark: str, start: int) -> Answer | None:
    """Ask a server, for the rest of a file of a mark where some of it came."""
    request = remote.request(address, first=None)
    held = json.loads((mark if start else known) or "{}")
    if "etag" in held and start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", held["etag"])
    elif "etag" in held:
        request.add_header("If-None-Match", held["etag"])
    try:
        answer: HTTPResponse = urlopen(request, timeout=_PATIENCE)
    except HTTPError as error:
        with error:
            if error.code == 304 and known and not start:
                return None
            trouble = remote.refusal(error.code)
        raise (_PassingError if trouble.passing else _RefusedError)(trouble.reason) from error
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise _unreachable(error) from error
    now = _http_mark(answer.headers)
    if not start and known and now == known:
        answer.close()
        return None
    first, size = 0, _whole_number(answer.headers.get("Content-Length"))
    if answer.status == 206:
        span, _, total = (answer.headers.get("Content-Range") or "").partition("/")
        first = _whole_number(span.removeprefix("bytes").strip().partition("-")[0]) or 0
        size = _whole_number(total)
    return Answer(mark="" if size is None else now, size=size, start=first, chunks=_read(answer))


def _read(answer: HTTPResponse) -> Iterator[bytes]:
    with answer:
        while True:
            try:
                chunk = answer.read(_CHUNK)
            except (OSError, HTTPException) as error:
                raise _PassingError("the connection was cut") from error
            if not chunk:
                return
            yield chunk


def _http_mark(headers: HTTPMessage) -> str:
    """Take the mark of a file's bytes: a strong ETag, else a date that has settled."""
    etag = headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return json.dumps({"etag": etag})
    changed, asked = headers.get("Last-Modified", ""), headers.get("Date", "")
    try:
        age = (parsedate_to_datetime(asked) - parsedate_to_datetime(changed)).total_seconds()
    except (TypeError, ValueError):
        return ""
    size = headers.get("Content-Length", "")
    return json.dumps({"changed": changed, "size": size}) if age > _SETTLED and size else ""


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _unreachable(error: Exception) -> Exception:
    reason = getattr(error, "reason", None) or error
    said = " ".join(str(reason).split()) or type(error).__name__
    words = f"the server cannot be reached ({said}); check the address and your network"
    return (_RefusedError if isinstance(error, ValueError) else _PassingError)(words)


def _object(address: str, known: str, mark: str, start: int) -> Answer | None:
    """Ask object storage."""
    try:
        found = objects.found(address)
    except GeosegError as error:
        raise _RefusedError(str(error).removeprefix(f"{address}: ")) from error
    if found is None:
        raise _RefusedError("there is no such object; check the address")
    now = json.dumps(found)
    if known and not start and now == known:
        return None
    if now != mark:
        start = 0  # another by now, or the first time
    return Answer(
        mark=now, size=found["size"], start=start, chunks=_stream(address, start, found["etag"])
    )


def _stream(address: str, start: int, etag: str | None) -> Iterator[bytes]:
    try:
        yield from objects.stream(address, start, etag)
    except GeosegError as error:
        raise _PassingError(str(error).removeprefix(f"{address}: ")) from error
