"""Outputs that go to object storage: made whole on this machine, and put there in the end.

While a command works, each such output has a place on this machine; the rest of the package sees
that alone. Places depend on the addresses, so what a stopped run keeps is found by the next one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from geoseg.errors import GeosegError, OutputError
from geoseg.raster import objects
from geoseg.raster.beside import stale_files
from geoseg.raster.output import output_error

_RASTERS = (".tif", ".tiff")
_LARGEST_STYLE = 8 << 20


class Sending:
    """Outputs of one run that go to object storage.

    Parameters
    ----------
    addresses
        Where they go; the first gives the name to the folder in which all are made. One without an
        ending of a file is a folder.
    inputs
        What the run reads, as the user names it.
    overwrite
        Whether objects that are there may be replaced.
    resume
        Whether what an earlier run left on this machine is gone on from, or put there if it is
        whole.
    say
        Told what is being done.

    Raises
    ------
    OutputError
        One is there already, is an input, or the storage cannot be asked.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        inputs: Sequence[str] = (),
        overwrite: bool = False,
        resume: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._say = say or (lambda _text: None)
        self._overwrite = overwrite
        self._sent = False
        self.places: dict[str, Path] = {}
        self._styles: dict[Path, tuple[str, bytes]] = {}
        for address in addresses:
            self._check(address, inputs)
        self.root = _own_folder() / _digest(addresses[0])
        for address in addresses:
            folder, _, name = address.rstrip("/").rpartition("/")
            self.places[address] = self.root / _digest(folder) / name
        try:
            for place in self.places.values():
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not resume:
                    _clear(place.parent)
            self._fetch_styles()
        except OSError as error:
            raise output_error(error, self.root) from error

    def _fetch_styles(self) -> None:
        """Bring styles that are there to where outputs are made: they may be of something else."""
        for address, place in self.places.items():
            style = place.with_suffix(".qml")
            if "." not in place.name or style.exists():
                continue
            there = f"{address.rpartition('/')[0]}/{style.name}"
            with suppress(GeosegError):  # who may not read may still write
                content = objects.get(there, most=_LARGEST_STYLE)
                if content is not None:
                    style.write_bytes(content)
                    self._styles[style] = (there, content)

    def _untouched(self, file: Path) -> bool:
        """Tell whether a file is a style as it was brought here."""
        found = self._styles.get(file)
        return found is not None and file.is_file() and file.read_bytes() == found[1]

    def _check(self, address: str, inputs: Sequence[str]) -> None:
        objects.need_objects(address)
        name = address.rstrip("/").rpartition("/")[2]
        if not objects.key_of(address).strip("/"):
            raise OutputError(f"{address} names no file to write; give s3://bucket/name.tif")
        if any(address == one or fnmatchcase(address, one) for one in inputs):
            raise OutputError(f"{address} is an input of this very run; name another output")
        taken = objects.there(address if "." in name else f"{address.rstrip('/')}/")
        if taken and "." not in name:
            raise OutputError(f"{address} holds objects already; choose another name")
        if taken and not self._overwrite:
            raise OutputError(f"{address} is there already; replace it with --overwrite")

    def spoken(self, text: str) -> str:
        """Name outputs in a text by where they go, not by where they are made."""
        for address, place in self.places.items():
            text = text.replace(str(place), address.rstrip("/"))
        return text

    def send(self) -> None:
        """Put what was made where it goes, once: what belongs beside a file first, itself last.

        Raises
        ------
        OutputError
            It cannot be put there; it stays on this machine, and the error says where.
        """
        if self._sent:
            return
        files = self._files()
        if not files:
            return
        size = sum(file.stat().st_size for file, _ in files)
        made = [address for address, place in self.places.items() if place.exists()]
        self._say(f"putting {size / 1e6:,.1f} MB to {', '.join(made)}")
        try:
            if not self._overwrite:
                for address, place in self.places.items():
                    if place.is_file() and objects.there(address):
                        raise OutputError(f"{address} appeared meanwhile; it was left as it is")
            self._remove_stale({address for _, address in files})
            for file, address in files:
                objects.put(file, address)
        except GeosegError as error:
            raise OutputError(
                f"{error}; nothing is lost: it is whole in {files[-1][0].parent}, to be copied"
            ) from error
        self._sent = True
        shutil.rmtree(self.root, ignore_errors=True)

    def _files(self) -> list[tuple[Path, str]]:
        """List every file made and where it goes: outputs last, the first of them at the end."""
        outputs = {place: address for address, place in reversed(self.places.items())}
        beside: dict[Path, str] = {}
        for address, place in self.places.items():
            base = address.rstrip("/").rpartition("/")[0]
            for file in sorted(place.parent.rglob("*"), key=_rank):
                inside = file.relative_to(place.parent)
                hidden = any(part.startswith(".") for part in inside.parts)
                ours = file not in outputs and not self._untouched(file)
                if file.is_file() and not hidden and ours:
                    beside[file] = f"{base}/{inside.as_posix()}"
        made = [(place, address) for place, address in outputs.items() if place.is_file()]
        return [*beside.items(), *made]

    def _remove_stale(self, new: set[str]) -> None:
        """Remove objects that would be taken for parts of a new raster of an old one's name."""
        for address, place in self.places.items():
            if place.is_file() and place.suffix.lower() in _RASTERS and self._overwrite:
                for file in stale_files(place):
                    old = f"{address.rpartition('/')[0]}/{file.name}"
                    if old not in new and objects.there(old):
                        objects.remove(old)

        for style, (there, _) in self._styles.items():
            if not style.exists():
                objects.remove(there)

    def leave(self) -> None:
        """Remove the folders in which nothing is left; what can be gone on from stays."""
        for style in self._styles:
            if self._untouched(style):
                style.unlink()
        for folder in {*(place.parent for place in self.places.values())}:
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            self.root.rmdir()


@contextmanager
def sending(outputs: Sending) -> Iterator[Sending]:
    """Send outputs at the end of the context, unless it was done before; errors name addresses.

    Raises
    ------
    GeosegError
        As from within the context, and from `Sending.send`.
    """
    try:
        yield outputs
        outputs.send()
    except GeosegError as error:
        error.args = (outputs.spoken(str(error)),)
        raise
    finally:
        outputs.leave()


def _own_folder() -> Path:
    """Return this user's folder among temporary files, which nobody else may write to."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"geoseg-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and folder.lstat().st_uid != user:
            raise OutputError(f"{folder} is another user's; set TMPDIR to a folder of your own")
    except OSError as error:
        raise output_error(error, folder) from error
    return folder


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _rank(file: Path) -> tuple[bool, Path]:
    """Sort what describes a folder (JSON) behind what it describes."""
    return file.suffix.lower() == ".json", file


def _clear(folder: Path) -> None:
    """Remove what an earlier run made whole but could not send; what it keeps to go on stays."""
    for entry in folder.iterdir():
        if not entry.name.startswith("."):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
