"""Outputs that go to object storage: made whole on this machine, and put there in the end.

While a command works, each such output has a place on this machine; the rest of the package sees
that alone. Places depend on the addresses, so what a stopped run keeps is found by the next one;
one run at a time has them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

from geoseg.errors import GeosegError, OutputError
from geoseg.locks import lock
from geoseg.raster.legend.beside import stale_files
from geoseg.raster.opening import objects
from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.raster.outputs.telling import told
from geoseg.raster.outputs.temporary import LOCK
from geoseg.raster.outputs.trouble import output_error

_RASTERS = (".tif", ".tiff")
_LARGEST_STYLE = 8 << 20
_BEGUN = ".begun"
"""Lists the addresses under which a run began to put its objects."""
_TELLS = "dataset.json"
"""What a data set is of."""
_LARGEST_TELLS = 256 << 20


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
        whole; None where the command cannot go on.
    say
        Told what is being done.

    Raises
    ------
    OutputError
        One is there already, is an input, or the storage cannot be asked; another run makes the
        same, or one made it and could not put it there.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        inputs: Sequence[str] = (),
        overwrite: bool = False,
        resume: bool | None = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._say = say or (lambda _text: None)
        self._overwrite = overwrite
        self._resume = resume
        self._sent = False
        self.places: dict[str, Path] = {}
        self._styles: dict[Path, tuple[str, bytes]] = {}
        self._brought: list[Path] = []
        for address in addresses:
            _check(address, inputs)
        self.root = _own_folder() / _digest(addresses[0])
        for address in addresses:
            folder, _, name = address.rstrip("/").rpartition("/")
            self.places[address] = self.root / _digest(folder) / name
        try:
            self._unlock = weakref.finalize(self, _locked(self.root, addresses[0]).close)
            try:
                self._begin()
            except BaseException:
                self.leave()
                raise
        except OSError as error:
            raise output_error(error, self.root) from error

    def _begin(self) -> None:
        """Refuse what cannot be done, and make room for the rest."""
        self._begun = set(_lines(self.root / _BEGUN)) if self._resume else set[str]()
        for address in self.places:
            taken = self._taken(address)
            if taken == "folder" and not self._bring(address):
                raise OutputError(self._holds_objects(address))
            if taken == "file" and not self._overwrite:
                raise OutputError(f"{address} is there already; replace it with --overwrite")
        if not self._resume:
            for address, place in self.places.items():
                if not self._overwrite and any(_whole_files(place)):
                    way = "by hand" if self._resume is None else "with --resume"
                    raise OutputError(
                        f"{address}: what an earlier run made and did not put there lies in"
                        f" {place.parent}; put it there {way}, or begin anew with --overwrite"
                    )
            (self.root / _BEGUN).unlink(missing_ok=True)
        for place in self.places.values():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._resume:
                _clear(place.parent)
        self._fetch_styles()

    def _holds_objects(self, address: str) -> str:
        """Say that a folder is taken, and how to go on where objects of a stopped run are in it."""
        told, begun = f"{address} holds objects already", _lines(self.root / _BEGUN)
        if not self._resume and any(one.startswith(f"{address.rstrip('/')}/") for one in begun):
            if self._resume is None:
                return f"{told}, of a run that was stopped; remove them, or choose another name"
            return f"{told}, of a run that was stopped; go on with --resume, or choose another name"
        return f"{told}; choose another name"

    def _taken(self, address: str) -> str:
        """Tell what is there and was not put by the run that is gone on with."""
        folder, place = f"{address.rstrip('/')}/", self.places[address]
        is_file = "." in place.name
        with suppress(*(GeosegError,) * is_file):  # who may not list may still write
            if objects.there(folder) and not self._begun.issuperset(objects.listed(f"{folder}**")):
                return "folder"
        if is_file:
            size = objects.size(address)
            ours = address in self._begun and place.is_file() and place.stat().st_size == size
            if size is not None and not ours:
                return "file"
        return ""

    def _bring(self, address: str) -> bool:
        """Bring here what tells of a whole data set that is there, for a run that asks to go on.

        It is put there last (see `_rank`), and is all that is looked at to tell what is there.
        """
        place = self.places[address]
        if not self._resume or self._overwrite or kept_folder_of(place).exists():
            return False
        # What a run brought that was killed then is brought once more.
        if place.exists() and not {*place.rglob("*")} <= {place / _TELLS}:
            return False
        content = objects.get(f"{address.rstrip('/')}/{_TELLS}", most=_LARGEST_TELLS)
        if content is None:
            return False
        place.mkdir(parents=True, mode=0o700, exist_ok=True)
        (place / _TELLS).write_bytes(content)
        self._brought.append(place)
        return True

    def _nothing_but_brought(self) -> bool:
        """Tell whether the run made nothing, for all is there."""
        found = [file for place in self.places.values() for file in place.rglob("*")]
        return bool(self._brought) and found == [place / _TELLS for place in self._brought]

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

    def spoken(self, text: str) -> str:
        """Name outputs in a text by where they go, not by where they are made."""
        for address, place in self.places.items():
            text = text.replace(str(place), address.rstrip("/"))
            if self._sent:  # so was what lay beside it
                base = address.rstrip("/").rpartition("/")[0]
                text = text.replace(f"{place.parent}{os.sep}", f"{base}/")
        return text

    def told(self, value: Any) -> Any:
        """Name outputs so in what a function returns, where paths become texts: addresses."""
        return told(value, self.spoken)

    def send(self) -> None:
        """Put what was made where it goes, once: what belongs beside a file first, itself last.

        Raises
        ------
        OutputError
            It cannot be put there; it stays on this machine, and the error says where.
        """
        if self._sent or self._nothing_but_brought():
            return
        for address, place in self.places.items():
            if not place.exists():
                raise OutputError(
                    f"{address}: nothing was put there, for nothing was made in {place.parent}"
                )
        files = self._files()
        if not files:
            return
        size = sum(file.stat().st_size for file, _ in files)
        amount = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
        self._say(f"putting {amount} to {', '.join(self.places)}")
        try:
            for address in self.places:
                taken = self._taken(address)
                if taken == "folder" or (taken and not self._overwrite):
                    raise OutputError(f"{address} appeared meanwhile; it was left as it is")
            self._note_begun({address for _, address in files})
            self._remove_stale({address for _, address in files})
            for file, address in files:
                objects.put(file, address)
        except KeyboardInterrupt:
            self._say(f"Not all was put there; {self._way_out()}")
            raise
        except GeosegError as error:
            raise OutputError(f"{error}; {self._way_out()}") from error
        self._sent = True
        shutil.rmtree(self.root, ignore_errors=True)

    def _way_out(self) -> str:
        """Say where what was not put is, and what can be done with it."""
        folders = {place.parent for place in self.places.values()}
        where = self.root if len(folders) > 1 else folders.pop()
        way = "" if self._resume is None else ", or to be put there with --resume"
        return f"nothing is lost: it is whole in {where}, to be copied{way}"

    def _note_begun(self, addresses: set[str]) -> None:
        """Note what is put from now on: who goes on with it knows it as its own."""
        self._begun |= addresses
        try:
            (self.root / _BEGUN).write_text("\n".join(sorted(self._begun)), encoding="utf-8")
        except OSError as error:
            raise output_error(error, self.root) from error

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
        if self._sent:
            self._unlock()
            return
        for style in self._styles:
            if self._untouched(style):
                style.unlink()
        for place in self._brought:
            shutil.rmtree(place, ignore_errors=True)
        for folder in {*(place.parent for place in self.places.values())}:
            with suppress(OSError):
                folder.rmdir()
        if all(entry.name in (LOCK, _BEGUN) for entry in self.root.glob("*")):
            shutil.rmtree(self.root, ignore_errors=True)
        self._unlock()


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


def _locked(root: Path, address: str) -> BinaryIO:
    """Make the folder of a run, and lock it."""
    while True:
        root.mkdir(exist_ok=True, mode=0o700)
        try:
            file = lock(root / LOCK, "ab")
        except FileNotFoundError:
            continue  # who had it has just removed it
        except BlockingIOError:
            raise OutputError(
                f"{address}: another run on this machine is making it; wait for that, or choose"
                " another name"
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (root / LOCK).stat()):
                return file
        file.close()


def _check(address: str, inputs: Sequence[str]) -> None:
    """Refuse what nothing can be put under."""
    objects.need_objects(address)
    if not objects.key_of(address).strip("/"):
        raise OutputError(f"{address} names no file to write; give s3://bucket/name.tif")
    if any(address == one or fnmatchcase(address, one) for one in inputs):
        raise OutputError(f"{address} is an input of this very run; name another output")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _whole_files(place: Path) -> Iterator[Path]:
    """Give the files of an output; what is hidden is not finished."""
    if place.is_file():
        yield place
    for file in place.rglob("*"):
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(place).parts):
            yield file


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _rank(file: Path) -> tuple[bool, Path]:
    """Sort what describes a folder (JSON) behind what it describes."""
    return file.suffix.lower() == ".json", file


def _clear(folder: Path) -> None:
    """Remove what an earlier run made whole but could not send; what it keeps to go on stays."""
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            _clear(entry)
            with suppress(OSError):
                entry.rmdir()
        else:
            entry.unlink()
