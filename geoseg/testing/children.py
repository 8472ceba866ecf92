"""Runs in processes that can be killed, each of which begins at once with all that it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any


class Children:
    """Children of a process that has imported what they need; of systems that fork.

    Parameters
    ----------
    code
        Python that says ``ready``, and then, for each line of JSON that it is given, forks, says
        the child's number, waits for it, and says its status as `os.waitpid` has it.
    arguments
        What `code` is called with.
    """

    def __init__(self, code: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._said() != "ready":
            raise RuntimeError("the process did not begin")

    def _said(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("nothing is heard of the process")
        return self._process.stdout.readline().strip()

    def run(self, job: dict[str, Any], seconds: float | None) -> tuple[int, float]:
        """Run a job, and kill it after some seconds.

        Returns
        -------
        The status, negative for a signal, and the seconds that it took.
        """
        if self._process.stdin is None:
            raise RuntimeError("nothing can be told to the process")
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        child, began = int(self._said()), time.perf_counter()
        if seconds is not None:
            time.sleep(seconds)
            with suppress(ProcessLookupError):  # it was done before
                os.kill(child, signal.SIGKILL)
        status = int(self._said())
        took = time.perf_counter() - began
        return (-(status & 127) or status >> 8), took

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
