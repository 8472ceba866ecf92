"""Files far away that are brought here whole, and kept: the server is asked each time for a change.

They lie in a folder of this user's (`cache_folder`), by a digest of the address and one of their
bytes. Nothing there is ever changed, so who reads a file reads one version of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from geoseg.errors import InputError, OptionError, OutputError, harmless, without_secrets
from geoseg.raster.outputs.trouble import output_error

if TYPE_CHECKING:
    from geoseg.raster.far.asking import Answer

Look = Callable[[bytes, int | None], int]
"""Told the first bytes of a file, and its size where that is known: raises where they are none of
such a file; returns how many it has to see, 0 if it has seen enough."""

ENVIRONMENT = "GEOSEG_CACHE"
"""Environment variable that names the folder in which files from far away are kept."""

_ADDRESS = re.compile(r"(?:https?|s3|gs|az)://", re.IGNORECASE)
_EATEN = re.compile(r"(?:https?|s3|gs|az):[/\\](?![/\\])", re.IGNORECASE)
_GDAL = {"/vsicurl/": "", "/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://"}
_SIGNING = re.compile(
    r"x-(?:amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|key-pair-id|policy"
    r"|sig|se|sp|sv|st|sr|spr|sip|sk[a-z]+",
    re.IGNORECASE,
)
_FIRST = 512
_SPOKEN_OF = 4 << 20
"""Bytes from which on it is said that a file is fetched."""
_OLD = 24 * 3600.0
"""Seconds after which versions that nobody uses make way."""
_NOTE = "note.json"

_SAY: ContextVar[Callable[[str], None] | None] = ContextVar("say", default=None)


@contextmanager
def speaking(say: Callable[[str], None]) -> Iterator[None]:
    """Have `say` told what is fetched while the context lasts."""
    before = _SAY.set(say)
    try:
        yield
    finally:
        _SAY.reset(before)


def said(text: str) -> None:
    """Tell who listens; see `speaking`."""
    say = _SAY.get()
    if say is not None:
        say(text)


def address_of(path: str | Path) -> str | None:
    """Return the address that a path is, as ``https://…`` or ``s3://…``; None of a path here.

    Raises
    ------
    OptionError
        It was an address before `pathlib.Path` took a slash from it.
    """
    text = str(path)
    for name, scheme in _GDAL.items():
        if text.startswith(name):
            text = scheme + text.removeprefix(name)
    if _ADDRESS.match(text):
        # Messages would take an address to end at a space, and not know what follows as its query.
        return re.sub(r"\s", "%20", text) if text[:4].lower() == "http" else text
    if trouble := eaten(text):
        raise OptionError(trouble)
    return None


def eaten(text: str) -> str | None:
    """Say what is wrong with an address that lost a slash; None where nothing is."""
    if _EATEN.match(text) is None or os.path.lexists(text):
        return None
    return f"{text}: a Path takes a slash from an address; give it as a text, with two"


def cache_folder() -> Path:
    """Return the folder in which files from far away are kept.

    ``GEOSEG_CACHE``, else the folder ``geoseg`` where programs keep such things (on Linux
    ``XDG_CACHE_HOME`` or ``~/.cache``). Nothing in it is missed if it is removed.
    """
    if given := os.environ.get(ENVIRONMENT):
        return Path(given)
    usual = os.environ.get("XDG_CACHE_HOME")
    return Path(usual or os.path.expanduser("~/.cache")) / "geoseg"


def place_of(address: str, kind: str) -> Path:
    """Make the folder in which what comes of an address is kept, and return it.

    What an address is signed with is no part of what it is known by.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    parts = urlsplit(address)
    query = [pair for pair in parse_qsl(parts.query, True) if not _SIGNING.fullmatch(pair[0])]
    host = parts.netloc.rpartition("@")[2]
    known = urlunsplit((parts.scheme.lower(), host, parts.path, urlencode(query), ""))
    root = cache_folder()
    place = root / kind / _digest(known.encode())
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise cannot_be_kept(place, error) from error
    return place


def bring(address: str, *, look: Look, error: type[InputError], most: int) -> Path:
    """Return a file of an address as it is there now, fetched if it is another than the one here.

    Parameters
    ----------
    address
        Of a server or an object, as `address_of` gives it.
    look
        Looks at the first bytes before the rest is fetched.
    error
        What is raised where the file cannot be had.
    most
        Bytes that such a file may have.

    Returns
    -------
    A file here, by the name that it has there. It stays as it is.

    Raises
    ------
    InputError
        As `error`: there is none, access is refused, it does not come whole, or is another thing.
    OutputError
        It cannot be kept here.
    """
    from geoseg.raster.far.asking import ask  # noqa: PLC0415 — imports rasterio

    place = place_of(address, "files")
    note = _noted(place)
    known = "" if note is None else note[1]
    try:
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
        try:
            made = folder / _name(address)
            with made.open("wb") as stream:
                taking = _Taking(address, stream, look, error, most, place)
                mark = ask(address, known, error, taking.begin, taking.take)
                stream.flush()
                os.fsync(stream.fileno())
            if mark is None and note is not None:
                with suppress(OSError):
                    os.utime(note[0].parent)
                return note[0]
            taking.done()
            return _kept(place, folder, made, mark or "", taking)
        finally:
            # The place stays, even if nothing came of it: another process may be about to use it.
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as trouble:
        raise cannot_be_kept(place, trouble) from trouble


def beside(file: Path, content: bytes, name: str) -> Path:
    """Return a file that was brought, with another beside it.

    Raises
    ------
    OutputError
        It cannot be kept here.
    """
    folder = file.parent.with_name(f"{file.parent.name}-{_digest(name.encode() + content)}")
    wanted = folder / file.name
    try:
        # They share their bytes, also where these were cut and fetched again.
        whole = wanted.is_file() and wanted.stat().st_size == file.stat().st_size
        if whole and (folder / name).is_file():
            return wanted
        shutil.rmtree(folder, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=file.parent.parent))
        try:
            try:
                os.link(file, new / file.name)
            except OSError:
                shutil.copy2(file, new / file.name)
            (new / name).write_bytes(content)
            with suppress(OSError):  # another process was first
                new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as trouble:
        raise cannot_be_kept(folder, trouble) from trouble
    return wanted


class _Taking:
    """Takes the bytes of a file as they come."""

    def __init__(
        self,
        address: str,
        stream: BinaryIO,
        look: Look,
        error: type[InputError],
        most: int,
        place: Path,
    ) -> None:
        self._address, self._stream, self._look, self._error = address, stream, look, error
        self._most, self._place = most, place
        self._begin_anew(None)

    def _begin_anew(self, size: int | None) -> None:
        self.size = size
        self.count = 0
        self.digest = blake2b(digest_size=16)
        self._head, self._wanted = b"", _FIRST
        self._stream.seek(0)
        self._stream.truncate()

    def begin(self, answer: Answer) -> None:
        """Hear how large the file is, before its first byte."""
        self._begin_anew(answer.size)
        if self.size is None:
            return
        self._bound(self.size)
        if shutil.disk_usage(self._place).free < self.size:
            raise OutputError(
                f"no space left for {self._address}: {self.size:,} bytes are needed in"
                f" {self._place}; free some, or set {ENVIRONMENT} to a folder elsewhere"
            )
        if self.size >= _SPOKEN_OF:
            said(f"fetching {self.size / 1e6:,.1f} MB from {without_secrets(self._address)}")

    def take(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.count += len(chunk)
        self._bound(self.count)
        if self._wanted:
            self._head += chunk
            while self._wanted and len(self._head) >= self._wanted:
                self._wanted = self._look(self._head, self.size)
        self.digest.update(chunk)
        self._stream.write(chunk)

    def done(self) -> None:
        """Look at a file that ended before all was seen that had to be."""
        if self._wanted:
            self._look(self._head, self.count)

    def _bound(self, size: int) -> None:
        if size > self._most:
            raise self._error(
                f"{self._address} is too large: more than {self._most:,} bytes; is it the right"
                " file?"
            )


def _noted(place: Path) -> tuple[Path, str] | None:
    """Return the file that is kept, and by which mark it is known."""
    try:
        held = json.loads((place / _NOTE).read_text(encoding="utf-8"))
        file = place / Path(held["content"]).name / Path(held["name"]).name
        mark, size = held["mark"], held["size"]
        whole = isinstance(json.loads(mark), dict) and file.stat().st_size == size
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return (file, mark) if whole else None


def _kept(place: Path, folder: Path, made: Path, mark: str, taken: _Taking) -> Path:
    """Give what came its place, and note it; versions that nobody uses make way."""
    target = place / taken.digest.hexdigest()
    file = target / made.name
    if not (file.is_file() and file.stat().st_size == taken.count):
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
        made.rename(new / made.name)
        shutil.rmtree(target, ignore_errors=True)
        try:
            new.rename(target)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            if not file.is_file():  # else another process was first
                raise
    with suppress(OSError):
        os.utime(target)
    note = {"content": target.name, "name": made.name, "size": taken.count, "mark": mark}
    written = folder / _NOTE
    written.write_text(json.dumps(note), encoding="utf-8")
    written.replace(place / _NOTE)
    _make_way(place, target.name)
    return file


def _make_way(place: Path, stays: str) -> None:
    now = time.time()
    with suppress(OSError):
        for entry in place.iterdir():
            if entry.is_dir() and not entry.name.startswith(stays):
                with suppress(OSError):
                    if now - entry.stat().st_mtime > _OLD:
                        shutil.rmtree(entry, ignore_errors=True)


def _name(address: str) -> str:
    """Return what a file is called at its address, as this machine takes it."""
    name = unquote(urlsplit(address).path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = re.sub(r'[<>:"|?*\x00-\x1f]', "_", harmless(name))[-120:].strip(". ")
    return name or "file"


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()


def cannot_be_kept(place: Path, error: OSError) -> OutputError:
    """Return the error of a place that takes no files."""
    return OutputError(
        f"{output_error(error, place)}; files from servers are kept there: set {ENVIRONMENT} to a"
        " folder of your own"
    )
