"""Patches that workers hand over in files, where they see the folder that a set grows in.

One file a block: of each split its patches in their order, kind after kind. Who makes the set
copies them to their places, which the system does by itself, and removes the file. What a worker
that was given up leaves there has a name of its own and is never looked at; the folder goes with
the hidden one that it lies in. Where a worker does not see the folder, or cannot write to it, it
sends the patches.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoseg.patches.packing import Packed
from geoseg.patches.storage import ArrayWriter

FOLDER = "handed"
_TOKEN = "token"
"""A file that tells folders apart."""


@dataclass(frozen=True)
class Handed:
    """Patches of one block, in a file."""

    name: str
    """Of the file."""
    runs: tuple[tuple[int, str, int], ...]
    """What lies in it one behind the other: split, kind, number of patches."""


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

        Raises
        ------
        OSError
            It cannot be made.
        """
        desk = cls(made.absolute().parent / FOLDER, uuid.uuid4().hex)
        desk.folder.mkdir(exist_ok=True)
        (desk.folder / _TOKEN).write_text(desk.token, encoding="ascii")
        return desk

    def hand(self, kept: Sequence[Packed], splits: Sequence[int]) -> Handed | None:
        """Leave patches for who makes the set; called by workers.

        Parameters
        ----------
        kept, splits
            Arrays of patches in their order, and the split of each.

        Returns
        -------
        None where the folder is not seen here, or cannot be written to.
        """
        runs, name = [], uuid.uuid4().hex
        try:
            if (self.folder / _TOKEN).read_text(encoding="ascii") != self.token:
                return None
            with (self.folder / name).open("xb", buffering=0) as file:
                (self.folder / name).chmod(0o644)  # the one who takes it may be another user
                for split in sorted(set(splits)):
                    some = [one for one, of in zip(kept, splits, strict=True) if of == split]
                    for kind in some[0]:
                        runs.append((split, kind, len(some)))
                        for patch in some:
                            _write(file.write, np.ascontiguousarray(patch[kind]).data)
        except (OSError, UnicodeDecodeError):
            with suppress(OSError):
                (self.folder / name).unlink()
            return None
        return Handed(name, tuple(runs))

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
    """Tell whether patches may be handed over: they are arrays, and files are read at places."""
    return hasattr(os, "pread") and all(isinstance(one, ArrayWriter) for one in writers)


def _write(write: Callable[[memoryview], int | None], data: memoryview) -> None:
    left = data.cast("B")
    while left:
        left = left[write(left) or 0 :]
