"""Folders of object storage that are brought here whole, and kept: a version a folder.

A version is told by what the storage says of its objects. It is never changed once it is whole, so
who reads one reads nothing of another; what two have in common lies on the disk once. A stopped
fetch goes on with the files that it had.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from geoseg.errors import InputError, OutputError, without_secrets
from geoseg.locks import lock
from geoseg.raster.far.asking import ask
from geoseg.raster.far.brought import ENVIRONMENT, cannot_be_kept, place_of, said
from geoseg.raster.opening import objects

Marks = Mapping[str, Mapping[str, Any]]
"""What lies in a folder: by name in it, the ``size`` and by what an object is known again."""

_AT_ONCE = 8
_EACH = 20.0
"""Seconds between two words about how far it is."""
_OLD = 30 * 24 * 3600.0
"""Seconds without use after which other versions make way."""
_NOTE = "marks.json"
_LOCK = "lock"


def marks_of(address: str, error: type[InputError]) -> Marks:
    """List a folder of object storage, without what is hidden or would lie elsewhere here.

    Raises
    ------
    InputError
        As `error`: it cannot be listed.
    """
    try:
        found = objects.sizes(address)
    except InputError as trouble:
        raise error(str(trouble)) from trouble
    return {name: mark for name, mark in sorted(found.items()) if _stays_inside(name)}


def _stays_inside(name: str) -> bool:
    return all(
        part and part[0] != "." and not set(part) & set('\\:\0"') for part in name.split("/")
    )


def bring_folder(address: str, marks: Marks, *, error: type[InputError]) -> Path:
    """Return a folder as it is there now; what is not here of it is fetched.

    Parameters
    ----------
    address
        ``s3://bucket/folder`` and the like.
    marks
        What lies there, as `marks_of` lists it.
    error
        What is raised where a file cannot be had.

    Returns
    -------
    A folder here, of the name that it has there. It stays as it is.

    Raises
    ------
    InputError
        As `error`: a file is gone or changed meanwhile, or cannot be read.
    OutputError
        There is no room for it here.
    """
    place = place_of(address.rstrip("/"), "folders")
    version = blake2b(json.dumps(marks, sort_keys=True).encode(), digest_size=16).hexdigest()
    folder = place / version / (address.rstrip("/").rpartition("/")[2] or "folder")
    try:
        with _alone(place):
            if not folder.is_dir():
                _fetch(address, marks, place, folder, error)
                (place / version / _NOTE).write_text(json.dumps(marks), encoding="utf-8")
            with suppress(OSError):
                os.utime(place / version)
            _make_way(place, version)
    except OSError as trouble:
        raise cannot_be_kept(folder, trouble) from trouble
    return folder


def fetch_file(
    address: str,
    target: Path,
    *,
    mark: Mapping[str, Any],
    error: type[InputError],
    tell: Callable[[int], None],
) -> None:
    """Fetch an object into a file that appears when it is whole.

    Parameters
    ----------
    address, target
        The object, and the file.
    mark
        What it was listed with.
    error
        What is raised where it cannot be had.
    tell
        Told of each byte.

    Raises
    ------
    InputError
        As `error`: it cannot be had, or is another by now.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as stream:

        def take(chunk: bytes) -> None:
            stream.write(chunk)
            tell(len(chunk))

        def begin(_answer: object) -> None:
            tell(-stream.tell())
            stream.seek(0)
            stream.truncate()

        found = json.loads(ask(address, "", error, begin, take) or "{}")
    if any(_tag(found, key) != _tag(mark, key) for key in ("size", "etag")):
        raise error(f"{address} changed while it was fetched; run the command again")
    part.replace(target)


def _tag(mark: Mapping[str, Any], key: str) -> str:
    """Return a part of a mark: lists of some storages have no quotes around it."""
    return str(mark.get(key)).strip('"')


def _fetch(address: str, marks: Marks, place: Path, folder: Path, error: type[InputError]) -> None:
    """Put together a version: of what another one holds already, and of what is fetched."""
    new = place / f".new-{folder.parent.name}"
    for old in place.glob(".new-*"):
        if old != new:  # of a version that is there no longer
            shutil.rmtree(old, ignore_errors=True)
    made = new / folder.name
    made.mkdir(parents=True, exist_ok=True)
    _link_known(place, marks, made)
    missing = {
        name: mark
        for name, mark in marks.items()
        if not ((made / name).is_file() and (made / name).stat().st_size == mark["size"])
    }
    total = sum(int(mark["size"]) for mark in missing.values())
    free = shutil.disk_usage(place).free
    if free < total:
        raise OutputError(
            f"no space left for {address}: {total / 1e9:.3g} GB are needed in {place},"
            f" {free / 1e9:.3g} GB are free; free some, or set {ENVIRONMENT} to a folder elsewhere"
        )
    name = without_secrets(address)
    said(f"fetching {total / 1e6:,.1f} MB in {len(missing):,} files from {name} into {folder}")
    _fetch_all(address, missing, made, total, error)
    for file, mark in marks.items():
        if (made / file).stat().st_size != mark["size"]:
            raise error(f"{address}: {file} changed while it was fetched; run the command again")
    new.rename(folder.parent)


def _fetch_all(
    address: str, missing: Marks, made: Path, total: int, error: type[InputError]
) -> None:
    """Fetch files, several at a time, and say now and then how far it is."""
    stopped, guard, count = threading.Event(), threading.Lock(), 0

    def tell(nbytes: int) -> None:
        nonlocal count
        if stopped.is_set():
            raise error(f"{address}: was not fetched to its end")
        with guard:
            count += nbytes

    def one(name: str) -> None:
        fetch_file(
            f"{address.rstrip('/')}/{name}",
            made / name,
            mark=missing[name],
            error=error,
            tell=tell,
        )

    with ThreadPoolExecutor(_AT_ONCE, "geoseg-fetch") as pool:
        waiting = {pool.submit(one, name) for name in missing}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=_EACH, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if waiting:
                    said(f"fetched {count / 1e6:,.1f} of {total / 1e6:,.1f} MB")
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _link_known(place: Path, marks: Marks, made: Path) -> None:
    """Take over files that another version holds under the same mark."""
    for note in place.glob(f"*/{_NOTE}"):
        try:
            held = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for name, mark in marks.items():
            there = note.parent / made.name / name
            if held.get(name) != mark or (made / name).exists() or not there.is_file():
                continue
            if there.stat().st_size == mark["size"]:
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(there, made / name)
                except OSError:
                    shutil.copy2(there, made / name)


def _make_way(place: Path, stays: str) -> None:
    for entry in place.iterdir():
        if entry.is_dir() and entry.name != stays and not entry.name.startswith("."):
            with suppress(OSError):
                if time.time() - entry.stat().st_mtime > _OLD:
                    shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one process at a time fetch a folder; the others wait, and find it here."""
    told = False
    while True:
        try:
            file = lock(place / _LOCK, "ab")
            break
        except BlockingIOError:
            if not told:
                said("waiting for another run that fetches the same folder")
                told = True
            time.sleep(0.2)
    with file:
        yield
