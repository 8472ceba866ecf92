"""Patches that workers hand over in files, where they see the folder that a set grows in.

Of arrays, one file a block: of each split its patches in their order, kind after kind. Who makes
the set copies them to their places, which the system does by itself, and removes the file. Patches
that are files themselves get their names from who makes the set, and nothing else. What a worker
that was given up leaves there has a name of its own and is never looked at; the folder goes with
the hidden one that it lies in. Where a worker does not see the folder, or cannot write to it, it
sends the patches.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.packing import Packed
from geoseg.patches.storage import ArrayWriter, FileWriter

FOLDER = "handed"
_TOKEN = "token"
"""A file that tells folders apart."""


@dataclass(frozen=True)
class Handed:
    """Patches of one block, in a file."""

    name: str
    """Of the file, or what the names of several begin with."""
    runs: tuple[tuple[int, str, int], ...] = ()
    """What lies in it one behind the other: split, kind, number of patches."""
    files: tuple[tuple[tuple[str, int], ...], ...] = ()
    """The kinds and sizes of each patch's files, where patches are files; no `runs` then."""


@dataclass(frozen=True)
class Desk:
    """The folder over which patches are handed."""

    folder: Path
    """From the root, as the machine that makes the set knows it."""
    token: str
    """What lies in it, by which a worker knows that it sees the same."""

    @classmethod
    def beside(cls, made: Path) -> Desk:
        """Make one beside the folder that a set grows in, which is hidden itself.

        What a stopped run was handed and did not take is removed: it is cut again.

        Raises
        ------
        OSError
            It cannot be made.
        """
        desk = cls(made.absolute().parent / FOLDER, uuid.uuid4().hex)
        desk.folder.mkdir(exist_ok=True)
        for left in desk.folder.iterdir():
            left.unlink(missing_ok=True)
        (desk.folder / _TOKEN).write_text(desk.token, encoding="ascii")
        return desk

    def hand(
        self, kept: Sequence[Packed], splits: Sequence[int], threads: int = 1
    ) -> Handed | None:
        """Leave patches for who makes the set; called by workers.

        Parameters
        ----------
        kept, splits
            Arrays or files of patches in their order, and the split of each.
        threads
            That write.

        Returns
        -------
        None where the folder is not seen here, or cannot be written to.
        """
        name, token = uuid.uuid4().hex, self.folder / _TOKEN
        try:
            if token.read_text(encoding="ascii") != self.token:
                return None
            with ThreadPoolExecutor(threads, "geoseg-hand") as pool:
                if isinstance(next(iter(kept[0].values())), np.ndarray):
                    return self._hand_arrays(name, kept, splits, pool)
                owner = token.stat()
                # Files become the set's: they must be of who makes it, and as readable as others.
                if owner.st_uid != os.getuid():
                    return None
                return self._hand_files(name, kept, stat.S_IMODE(owner.st_mode), pool)
        except (OSError, UnicodeDecodeError):
            with suppress(OSError):
                for left in self.folder.glob(f"{name}*"):
                    left.unlink()
            return None

    def _hand_arrays(
        self, name: str, kept: Sequence[Packed], splits: Sequence[int], pool: Executor
    ) -> Handed:
        """Write arrays to one file."""
        runs: list[tuple[int, str, int]] = []
        places: list[tuple[NDArray[Any], int]] = []
        at = 0
        for split in sorted(set(splits)):
            some = [one for one, of in zip(kept, splits, strict=True) if of == split]
            for kind in some[0]:
                runs.append((split, kind, len(some)))
                for patch in some:
                    array = np.ascontiguousarray(patch[kind])
                    places.append((array, at))
                    at += array.nbytes
        with (self.folder / name).open("xb", buffering=0) as file:
            (self.folder / name).chmod(0o644)  # the one who takes it may be another user
            list(pool.map(lambda one: _write_at(file.fileno(), one[0].data, one[1]), places))
        return Handed(name, runs=tuple(runs))

    def _hand_files(self, name: str, kept: Sequence[Packed], mode: int, pool: Executor) -> Handed:
        """Write a file a patch and kind."""

        def write(number: int) -> tuple[tuple[str, int], ...]:
            patch = {kind: bytes(content) for kind, content in kept[number].items()}
            for kind, content in patch.items():
                path = self._file(name, number, kind)
                with path.open("xb", buffering=0) as file:
                    _write_at(file.fileno(), memoryview(content), 0)
                path.chmod(mode)
            return tuple((kind, len(content)) for kind, content in patch.items())

        return Handed(name, files=tuple(pool.map(write, range(len(kept)))))

    def _file(self, name: str, number: int, kind: str) -> Path:
        return self.folder / f"{name}-{number}-{kind}"

    def move(
        self, handed: Handed, number: int, writer: object, position: int, patch_name: str
    ) -> None:
        """Give the files of one patch of a block their names in the set.

        Parameters
        ----------
        handed, number
            What a worker left, and which of its patches.
        writer, position, patch_name
            Where it goes, and its place and name there.

        Raises
        ------
        OSError
            They are not there, or cannot be moved.
        """
        if not isinstance(writer, FileWriter):
            raise TypeError("patches that are arrays are not moved")
        files: dict[str, Path] = {}
        for kind, size in handed.files[number]:
            files[kind] = self._file(handed.name, number, kind)
            if files[kind].stat().st_size != size:
                raise OSError(errno.EIO, "what a worker wrote of its patches is cut short")
        writer.move(position, patch_name, files)

    def take(
        self, handed: Handed, writers: Sequence[object], first: Sequence[int], pool: Executor
    ) -> None:
        """Put the patches of a block where they belong, and remove their file.

        Parameters
        ----------
        handed
            What a worker left.
        writers, first
            Where patches go and the place of the first one, by split.
        pool
            Threads that copy.

        Raises
        ------
        OSError
            They are not there, or cannot be written.
        """
        with _opened(self.folder / handed.name) as (source, size):
            jobs: list[tuple[ArrayWriter, str, int, int, int]] = []
            at = 0
            for split, kind, count in handed.runs:
                writer = writers[split]
                if not isinstance(writer, ArrayWriter):
                    raise TypeError("patches that are files are not handed over")
                jobs.append((writer, kind, first[split], count, at))
                at += writer.item_bytes(kind) * count
            if at != size:
                raise OSError(errno.EIO, "what a worker wrote of its patches is cut short")
            copies = [pool.submit(job[0].take, *job[1:], source) for job in jobs]
            try:
                for copy in copies:
                    copy.result()
            finally:  # before the file is closed, whose number another one may get
                for copy in copies:
                    copy.cancel()
                wait(copies)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """Open a file to read, and remove it in the end; give its descriptor and size."""
    source = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        yield source, os.fstat(source).st_size
    finally:
        os.close(source)
        path.unlink(missing_ok=True)


def can_hand(writers: Sequence[object]) -> bool:
    """Tell whether patches may be handed over: files are written and read at places."""
    if not hasattr(os, "pread"):
        return False
    return any(all(isinstance(one, of) for one in writers) for of in (ArrayWriter, FileWriter))


def _write_at(file: int, data: memoryview, at: int) -> None:
    left = data.cast("B")
    while left:
        written = os.pwrite(file, left, at)
        left, at = left[written:], at + written
