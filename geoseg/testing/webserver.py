"""A web server on this machine that serves a folder, slowly or badly where that is asked for.

For tests and benchmarks of reading over a network. It is a process of its own: who reads by GDAL
may hold Python's lock while waiting for an answer.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

Fault = str | int
"""A status to answer with (503); "cut" ends a body in its middle, "cut:99" after 99 bytes, "reset"
says nothing at all."""

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_CONTROL = "/-/"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    """As asked for, with its query."""
    ranged: bool
    """Whether a part was asked for."""
    sent: int
    """Bytes of the body that were sent."""
    status: int
    """What it was answered; 0 for nothing."""


class WebServer:
    """A server that runs in another process.

    Attributes
    ----------
    folder
        Whose files are served.
    port
        Where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def url(self, name: str) -> str:
        """Address of a file in the folder."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def set(
        self,
        *,
        latency: float = 0.0,
        ranges: bool = True,
        faults: list[Fault | None] | None = None,
        forever: Fault | None = None,
        every: int = 1,
        marks: bool = False,
    ) -> None:
        """Say how to behave from now on, and forget what came.

        Parameters
        ----------
        latency
            Seconds before each answer, as of a server far away.
        ranges
            Whether parts of files are given; else the whole file is, whatever was asked for.
        faults
            What goes wrong with the next requests (GET), first to last; None for nothing.
        forever
            What goes wrong with all requests after these.
        every
            Of those, 5 for every fifth.
        marks
            Whether files have marks (ETag) by which they are asked for only if they changed.
        """
        how = {"latency": latency, "ranges": ranges, "faults": faults or [], "forever": forever}
        how |= {"every": every, "marks": marks}
        request = Request(self.url(_CONTROL[1:]), data=json.dumps(how).encode(), method="POST")
        with urlopen(request, timeout=10) as answer:
            answer.read()

    def asked(self) -> list[Asked]:
        """Return the requests that came since `set`."""
        with urlopen(self.url(_CONTROL[1:]), timeout=10) as answer:
            return [Asked(**one) for one in json.loads(answer.read())]


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[WebServer]:
    """Serve a folder on a free port of this machine while the context lasts."""
    words = [sys.executable, "-m", "geoseg.testing.webserver", str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes were asked for")
        try:
            yield WebServer(folder, int(process.stdout.readline()))
        finally:
            process.terminate()


class _State:
    """How a server behaves, and what came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = Lock()
        self.asked: list[Asked] = []
        self.behave({})

    def behave(self, how: dict[str, Any]) -> None:
        self.latency = float(how.get("latency", 0))
        self.ranges = bool(how.get("ranges", True))
        self.faults: deque[Fault | None] = deque(how.get("faults", []))
        self.forever: Fault | None = how.get("forever")
        self.every, self.count = int(how.get("every", 1)), 0
        self.marks = bool(how.get("marks"))
        self.asked = []

    def fault(self) -> Fault | None:
        with self.lock:
            if self.faults:
                return self.faults.popleft()
            self.count += 1
            return None if self.count % self.every else self.forever


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, with ranges."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: _State

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the library's name  # noqa: A002 — the library's name
        """Say nothing."""

    def do_POST(self) -> None:
        """Take how to behave."""
        size = int(self.headers["Content-Length"])
        self.state.behave(json.loads(self.rfile.read(size)))
        self._head(204, {"Content-Length": "0"})

    def do_HEAD(self) -> None:
        """Answer how large a file is."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Answer a file, or a part of one; or what came."""
        if self.path == _CONTROL:
            text = json.dumps([asdict(one) for one in self.state.asked]).encode()
            self._head(200, {"Content-Length": str(len(text))})
            self.wfile.write(text)
            return
        self._answer(body=True)

    def _head(self, status: int, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, *, body: bool) -> None:
        state = self.state
        time.sleep(state.latency)
        asked = _RANGE.match(self.headers.get("Range", ""))
        file = state.folder / unquote(urlsplit(self.path).path).lstrip("/")
        fault = state.fault() if body and file.is_file() else None
        if fault == "reset":
            self.close_connection = True
            self._note(asked, 0, 0)
            return
        refused = 404 if not file.is_file() else fault if isinstance(fault, int) else None
        if refused is not None:
            self._head(refused, {"Content-Length": "0"})
            self._note(asked, 0, refused)
            return
        size = file.stat().st_size
        first, last, status = 0, size - 1, 200
        fields = {"Accept-Ranges": "bytes"} if state.ranges else {}
        mark = f'"{file.stat().st_mtime_ns:x}-{size:x}"'
        if state.marks:
            fields["ETag"] = mark
            if self.headers.get("If-None-Match") == mark:
                self._head(304, fields)
                self._note(asked, 0, 304)
                return
        if asked and state.ranges and self.headers.get("If-Range", mark) == mark:
            first, status = int(asked[1]), 206
            last = min(int(asked[2]) if asked[2] else last, last)
            fields["Content-Range"] = f"bytes {first}-{last}/{size}"
        length = max(0, last - first + 1)
        html = file.suffix == ".html"
        fields["Content-Type"] = "text/html" if html else "application/octet-stream"
        self._head(status, {"Content-Length": str(length), **fields})
        if isinstance(fault, str):
            length = min(length, int(fault.partition(":")[2] or length // 2))
            self.close_connection = True
        self._note(asked, self._send(file, first, length) if body else 0, status)

    def _send(self, file: Path, first: int, length: int) -> int:
        """Send a part of a file; return how many bytes of it were taken."""
        sent = 0
        with contextlib.suppress(OSError), file.open("rb") as stream:  # who asked may have left
            stream.seek(first)
            while sent < length:
                chunk = stream.read(min(1 << 18, length - sent))
                self.wfile.write(chunk)
                sent += len(chunk)
        return sent

    def _note(self, asked: re.Match[str] | None, sent: int, status: int) -> None:
        ranged = asked is not None
        one = Asked(method=self.command, path=self.path, ranged=ranged, sent=sent, status=status)
        with self.state.lock:
            self.state.asked.append(one)


def _serve(folder: Path) -> None:
    _Handler.state = _State(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
