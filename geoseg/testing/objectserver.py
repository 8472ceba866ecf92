"""Object storage on this machine, for tests: moto's server of S3, as a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import Request, urlopen

_START = (
    "import sys; from moto.server import ThreadedMotoServer as S; "
    "s = S('127.0.0.1', 0, verbose=False); s.start(); "
    "print(s.get_host_and_port()[1], flush=True); sys.stdin.read()"
)


@contextlib.contextmanager
def object_server(bucket: str) -> Iterator[dict[str, str]]:
    """Run a server of S3 with an empty bucket that anybody may read and write.

    Yields
    ------
    dict
        What the environment must say for programs to find it.
    """
    quiet = dict(os.environ, PYTHONWARNINGS="ignore")
    with subprocess.Popen(
        [sys.executable, "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=quiet,
    ) as process:
        if process.stdout is None:
            raise RuntimeError("the pipe was asked for")
        try:
            address = f"http://127.0.0.1:{int(process.stdout.readline())}"
            _make_bucket(f"{address}/{bucket}")
            yield {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "anybody",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
            }
        finally:
            process.terminate()


def _make_bucket(address: str) -> None:
    for _ in range(50):
        with contextlib.suppress(URLError), urlopen(Request(address, method="PUT"), timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{address} does not answer")
