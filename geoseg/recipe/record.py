"""What made the results: a record in their folder, by contents and not by dates.

Folders and files are known by a digest of names and contents. Beside it stands a stamp of sizes and
times; where that is as it was, nothing is read again. What only looking at a file leaves (QGIS's
styles and statistics, SQLite's counters) changes nothing.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error

RECORD = ".geoseg-run.json"
"""Name of the record."""
_VERSION = 1
_LOOKED_AT = (".aux.xml", "-wal", "-shm", "-journal", ".qmd")
_SQLITE_HEADER = 100  # bytes; counters of writing and of how the file was opened

Mark = tuple[str, str]
"""Stamp and digest."""


@dataclass(kw_only=True)
class Entry:
    """What is known about one output."""

    state: str
    """``started`` or ``done``."""
    words: tuple[str, ...]
    """Command and words that made it; folders in braces."""
    inputs: dict[str, Mark] = field(default_factory=dict)
    """What it was made of."""
    outputs: dict[str, Mark] = field(default_factory=dict)
    """What was made."""
    beside: dict[str, Mark] = field(default_factory=dict)
    """What was made besides, without being named."""
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    """Files of each output that is a folder, with a digest of each; none of those for people."""
    seconds: float = 0.0
    """How long that took."""


@dataclass(kw_only=True)
class Record:
    """What is known about a folder of results; `save` writes it down."""

    path: Path
    """The file."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By output."""

    @classmethod
    def read(cls, out: Path) -> Record:
        """Read the record of a folder; an empty one where there is none.

        Raises
        ------
        OutputError
            It cannot be read, or is none.
        """
        record = cls(path=out / RECORD)
        try:
            content = json.loads(record.path.read_text(encoding="utf-8"))
            if content["version"] != _VERSION:
                raise OutputError(f"{record.path} is of another version of geoseg; take a new -o")
            for name, entry in content["steps"].items():
                marks = {
                    key: {path: (str(a), str(b)) for path, (a, b) in entry.get(key, {}).items()}
                    for key in ("inputs", "outputs", "beside")
                }
                record.entries[name] = Entry(
                    state=str(entry["state"]),
                    words=tuple(map(str, entry["words"])),
                    seconds=float(entry["seconds"]),
                    parts={
                        path: {str(a): str(b) for a, b in found.items()}
                        for path, found in entry.get("parts", {}).items()
                    },
                    **marks,
                )
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise OutputError(f"{record.path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"{record.path} is damaged; remove it, and take results that are there as they are"
                " with --adopt"
            ) from error
        return record

    def save(self) -> None:
        """Write the record, whole or not at all.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        steps = {
            name: {
                "state": entry.state,
                "words": entry.words,
                "seconds": round(entry.seconds, 3),
                "inputs": entry.inputs,
                "outputs": entry.outputs,
                "beside": entry.beside,
                "parts": entry.parts,
            }
            for name, entry in self.entries.items()
        }
        text = json.dumps({"version": _VERSION, "steps": steps}, ensure_ascii=False, indent=1)
        write_text(self.path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, over one that is there.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    try:
        with TemporaryFolder(path) as hidden:
            made = hidden.path / "text"
            made.write_text(text, encoding="utf-8", newline="\n")
            hidden.publish(made, {}, overwrite=True)
    except OSError as error:
        raise output_error(error, path) from error


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep a folder of results to one run at a time; where locks are not to be had, trust.

    Raises
    ------
    OutputError
        Another run has it, or it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / f"{RECORD}.lock").open("wb")
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{out} is no folder; name another for the results with -o") from error
    except OSError as error:
        raise OutputError(f"{out} cannot be made or written to: {error.strerror}") from error
    with file:
        try:
            import fcntl  # noqa: PLC0415 — not on Windows
        except ImportError:
            fcntl = None  # type: ignore[assignment]
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OutputError(
                    f"another geoseg run works in {out}; wait, or take another -o"
                ) from error
        yield


def is_there(path: str) -> bool:
    """Whether a path, or anything that a pattern means, exists."""
    return os.path.lexists(path) or bool(_is_pattern(path) and glob.glob(path, recursive=True))


def mark(path: str, known: Mark | None = None) -> Mark:
    """Describe what a path or pattern holds now.

    Parameters
    ----------
    path
        A file, a folder or a pattern; what is not there has a mark too.
    known
        A mark of before; where its stamp is still right, its digest is taken.

    Raises
    ------
    RasterReadError
        A file cannot be read.
    """
    found = _listed(path)
    stamp = _stamp_of(found)
    # A VRT is its sources too, whose times say nothing here.
    virtual = any(file.suffix.lower() == ".vrt" for _, file in found)
    if known is not None and known[0] == stamp and not virtual:
        return known
    digest = hashlib.blake2b(digest_size=16)
    is_one = len(found) == 1 and not os.path.isdir(path)
    for name, file in found:
        digest.update(f"{'' if is_one else name}\0{_contents(file)}\0".encode())
    return stamp, digest.hexdigest()


def parts(path: str) -> dict[str, str]:
    """List the files of a folder with a digest of each; nothing where there is no folder.

    What is there for people to edit has no digest: that it is there is all that counts.

    Raises
    ------
    RasterReadError
        A file cannot be read.
    """
    counted = dict(_listed(path))
    return {
        name: _short(_contents(counted[name])) if name in counted else ""
        for name in part_names(path)
    }


def part_names(path: str) -> list[str]:
    """List the names of a folder's files, those for people too."""
    if not os.path.isdir(path):
        return []
    return [os.path.relpath(file, path) for file in _files(Path(path), for_people=True)]


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def beside(makes: Iterable[str]) -> dict[str, str]:
    """List what lies beside files and is named after them, with a stamp of each.

    Parameters
    ----------
    makes
        Files or folders; neither they nor what is in them is listed.

    Returns
    -------
    Stamps by path: of files, and of folders as a whole. ``x_stage.tif`` is named after ``x.tif``.
    """
    made = [Path(path) for path in makes]
    found: dict[str, str] = {}
    for one in made:
        try:
            names = sorted(os.listdir(one.parent))
        except OSError:
            continue
        for name in names:
            path = one.parent / name
            if name.startswith(one.stem) and not _is_looked_at(name) and path not in made:
                found[str(path)] = _stamp_of(_listed(str(path)))
    return found


def _listed(path: str) -> list[tuple[str, Path]]:
    """List the files of a path or pattern, with their names from there."""
    roots = sorted(glob.glob(path, recursive=True)) if _is_pattern(path) else [path]
    files = [file for root in roots for file in _files(Path(root))]
    base = os.path.dirname(path) if _is_pattern(path) or not os.path.isdir(path) else path
    return [(os.path.relpath(file, base or ".") if base else file.name, file) for file in files]


def _stamp_of(found: Iterable[tuple[str, Path]]) -> str:
    stamp = hashlib.blake2b(digest_size=16)
    for name, file in found:
        state = file.stat()
        stamp.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return stamp.hexdigest()


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _files(root: Path, *, for_people: bool = False) -> Iterator[Path]:
    """List the files of a folder that count, or a file alone; `for_people`: those to edit too."""
    if not root.is_dir():
        if root.is_file():
            yield root
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # The index of a data set is for people to look at and to edit; its patches are arrays.
        index = "index.gpkg" if "dataset.json" in names and not for_people else ""
        for name in sorted(names):
            if not (_is_looked_at(name) or name == index):
                yield Path(folder, name)


def _is_looked_at(name: str) -> bool:
    """Whether a file is hidden, or one that only looking leaves behind."""
    return name.startswith(".") or name.endswith(_LOOKED_AT)


def _contents(file: Path) -> str:
    if file.suffix.lower() != ".gpkg":
        return fingerprint_files([str(file)])
    digest = hashlib.blake2b(digest_size=16)
    try:
        with file.open("rb") as stream:
            stream.seek(_SQLITE_HEADER)
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise OutputError(f"{file} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
