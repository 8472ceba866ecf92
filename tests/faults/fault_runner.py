"""Runs geoseg's command line in children, with something that goes wrong at a chosen moment.

A process that has imported everything forks a child a job, so a run costs what it does and no
imports. A job is a line of JSON: ``args``, ``cwd``, ``out`` and ``err`` (files for what it prints),
``before`` (code, run first) and ``faults``, each a place in the package (``module:Name.method``),
the number of its call, and the code to run there, before the call itself.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from geoseg.cli import main
from geoseg.raster.outputs import unfinished

__all__ = ["np", "shutil", "signal", "time"]  # for the code of jobs


def place_fault(where: str, number: int, code: str) -> None:
    """Run code at the number-th call of a function and, until it is done, nothing else there."""
    module, _, name = where.partition(":")
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    whole: Callable[..., Any] = getattr(owner, last)
    lock, calls = threading.Lock(), [0]

    @functools.wraps(whole)
    def faulty(*given: Any, **named: Any) -> Any:
        with lock:
            calls[0] += 1
            now = calls[0] == number
        if now:
            exec(code, globals())
        return whole(*given, **named)

    setattr(owner, last, faulty)


def run(job: dict[str, Any]) -> None:
    """Become the command."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(job["cwd"])
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, job["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, job["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - nothing of the parent's is left in it
    unfinished.EVERY_SECONDS, unfinished.TIMES_AS_LONG = 0.0, 0
    exec(job["before"], globals())
    for fault in job["faults"]:
        place_fault(*fault)
    status: Any = 70
    try:
        main(job["args"])
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    # As the interpreter ends, but without a look at all that was imported, which takes a second.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)


def serve() -> None:
    """Run jobs until there are none."""
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    serve()
