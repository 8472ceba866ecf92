"""Tasks that workers can import, and what they share."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from geoseg.cluster.worker import task_threads
from geoseg.errors import RasterReadError


class Counted:
    """Leaves a file each time it is made in a worker."""

    def __init__(self, folder: Path, factor: int) -> None:
        self.folder = folder
        self.factor = factor

    def __setstate__(self, state):
        self.__dict__.update(state)
        (self.folder / f"{os.getpid()}-{time.time_ns()}").touch()


def multiplied(shared: Counted, item: int) -> int:
    time.sleep(0.01)
    return shared.factor * item


def slower_at_first(_shared: None, item: int) -> tuple[int, int]:
    time.sleep(0.3 if item == 0 else 0)
    return item, os.getpid()


def threads(_shared: None, _item: int) -> int:
    return task_threads()


def refuses_three(_shared: None, item: int) -> int:
    if item == 3:
        raise RasterReadError("three.tif: not there")
    return item


class UnsendableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def unsendable(_shared: None, _item: int) -> int:
    raise UnsendableError(1, 2)


def ends_its_worker(_shared: None, item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def dies_sometimes(folder: Path, item: int) -> tuple[int, int]:
    """Note the process, and wait for who kills it."""
    (folder / f"{item}-{os.getpid()}-{time.time_ns()}").touch()
    time.sleep(0.15)
    return item, item * item
