"""A whole process, measured from outside: seconds, processor seconds, peak memory.

This module and all that `run.py` imports need nothing but the standard library: Linux counts in the
peak memory of a process what its parent held when it was started, so the parent stays small.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST_SECONDS = 1200.0
"""A process that takes longer is ended, and counts as failed."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One thing that is measured: a process of its own."""

    name: str
    """What the table calls it."""
    words: tuple[str, ...]
    """Its command line."""
    ours: bool = False
    """Whether it is geoseg: if it fails, so does the benchmark."""
    slow: bool = False
    """Whether the first round is enough."""
    out: Path | None = None
    """The file or folder that it writes; removed before each run."""
    compared: bool = False
    """Whether its file should equal the one that ratios are to."""
    valid: Path | None = None
    """The scene, of which only pixels with data are compared; None for all."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it gets beside those of this process."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process took."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Processor seconds of it and of processes that it waited for."""
    peak_mb: float
    """Most resident memory, MB of 2^20 bytes, of it or of one that it waited for."""
    told: Mapping[str, Any]
    """The JSON object in the last line that it printed, if there is one."""
    failed: str = ""
    """The last line of what it said on standard error, where it failed."""

    @property
    def seconds(self) -> float:
        """Seconds of its work alone, without imports, where it says so; else all of them."""
        return float(self.told.get("seconds", self.wall))


def measured(job: Job) -> Run:
    """Run a job and wait for its end."""
    if job.out is not None:
        remove(job.out)
    surroundings = os.environ | {"PYTHONWARNINGS": "ignore"} | dict(job.environment)
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        with subprocess.Popen(job.words, stdout=said, stderr=errors, env=surroundings) as process:
            timer = threading.Timer(LONGEST_SECONDS, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        errors.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
        complaint = errors.read().decode(errors="replace").strip().splitlines()
    failed = ""
    if process.returncode:
        failed = complaint[-1] if complaint else f"ended with {process.returncode}"
        if wall >= LONGEST_SECONDS:
            failed = f"took longer than {LONGEST_SECONDS:.0f} s"
        if job.ours:
            raise SystemExit(f"{job.name} failed: {' '.join(job.words)}\n" + "\n".join(complaint))
    return Run(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
        told=_told(lines),
        failed=failed,
    )


def _told(lines: list[str]) -> dict[str, Any]:
    if not lines or not lines[-1].startswith("{"):
        return {}
    try:
        return dict(json.loads(lines[-1]))
    except ValueError:
        return {}


def asked(words: tuple[str, ...]) -> dict[str, Any]:
    """Run a helper of the benchmark itself; return what it printed as JSON."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed\n{done.stderr}")
    return _told(done.stdout.strip().splitlines())


def megabytes(path: Path) -> float:
    """Return how large a file, or all of a folder, is, in MB of 10^6 bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
