"""Schedulers and workers that a user starts, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path


@contextlib.contextmanager
def scheduler():
    """Start a dask scheduler; give its address and itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"tcp://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def dask_worker(address: str, folder: Path, *words: str, first_in_path: str = ""):
    """Start a worker that can import the tests' tasks."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address]
    command += ["--no-nanny", "--no-dashboard", "--local-directory", str(folder), *words]
    path = os.pathsep.join(filter(None, [first_in_path, str(Path(__file__).parent)]))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
