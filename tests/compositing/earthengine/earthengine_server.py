"""A small Earth Engine on loopback: the addresses that the real client calls, and their limits.

Discovery and the list of algorithms are those that come with the client; pixels come from
`earthengine_interpreter`, so that an answer depends on what was asked.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ee
import numpy as np
from earthengine_interpreter import PAD, Image, Interpreter, Made, PixelGrid, WrongError

from geoseg.compositing.earthengine.transport import session

MOST_BYTES = 50_331_648
AT_ONCE = 40


@dataclass
class Fault:
    """What becomes of a request instead of its answer."""

    status: int = 503
    message: str = "The service is currently unavailable."
    body: bytes | None = None
    """Bytes in place of JSON."""
    drop: bool = False
    """Close the connection halfway through an answer."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    """What the server has, what it saw, and how it misbehaves."""

    collections: dict[str, list[Made]] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    """Ids of `collections` that are single images."""
    fault: Callable[[str, int], Fault | None] = lambda *_: None
    """Given an address and the number of the request, from 0."""
    memory_pixels: int | None = None
    """Windows of more are too much."""
    delay: float = 0.0
    """Seconds that pixels take."""
    states: list[dict[str, Any]] = field(default_factory=list)
    """What a task says of itself, question by question; the last for ever."""
    pixels: list[dict[str, Any]] = field(default_factory=list)
    """Grids that were computed and sent."""
    exports: list[dict[str, Any]] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    """Functions that were used."""
    requests: int = 0
    most_at_once: int = 0
    _now: int = 0
    _asked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_busy(self) -> bool:
        return self._now > 0


@lru_cache(maxsize=1)
def documents() -> tuple[str, bytes]:
    folder = Path(ee.__file__).parent / "tests"
    discovery = (folder / "cloud_api_discovery_document.json").read_text(encoding="utf-8")
    return discovery.replace("v1alpha", "v1"), (folder / "algorithms.json").read_bytes()


class _Handler(BaseHTTPRequestHandler):
    world: World

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        world = self.world
        path = self.path.partition("?")[0]
        with world.lock:
            number = world.requests
            world.requests += 1
            world._now += 1
            world.most_at_once = max(world.most_at_once, world._now)
            crowded = world._now > AT_ONCE
        try:
            fault = Fault(429, "Too many concurrent aggregations.") if crowded else None
            fault = fault or world.fault(path, number)
            if fault is not None:
                self._fail(fault)
                return
            try:
                self._send(200, *self._content(path, json.loads(body or b"{}")))
            except WrongError as error:
                self._fail(Fault(400, str(error)))
            except KeyError as error:
                self._fail(Fault(404, f"not found: {error}"))
        finally:
            with world.lock:
                world._now -= 1

    def _fail(self, fault: Fault) -> None:
        if fault.drop:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"\x93NUMPY")
            return
        error = {"error": {"code": fault.status, "message": fault.message, "status": "X"}}
        body = json.dumps(error).encode() if fault.body is None else fault.body
        self._send(fault.status, body, "application/json", fault.headers)

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def _content(self, path: str, body: dict[str, Any]) -> tuple[bytes, str]:
        world = self.world
        discovery, algorithms = documents()
        if path == "/$discovery/rest":
            return discovery.encode(), "application/json"
        if path.endswith("/algorithms"):
            return algorithms, "application/json"
        if path.endswith("/image:computePixels"):
            return self._pixels(body), "application/octet-stream"
        answer: Any = {}
        if path.endswith("/value:compute"):
            answer = {"result": self._value(body)}
        elif "/assets/" in path:
            name = path.partition("/assets/")[2]
            if name not in world.collections:
                raise KeyError(name)
            answer = {"type": "IMAGE" if name in world.images else "IMAGE_COLLECTION", "id": name}
        elif path.endswith("/image:export"):
            world.exports.append(body)
            answer = self._operation(len(world.exports), {"state": "PENDING"})
        elif "/operations/" in path:
            state = world.states[min(world._asked, len(world.states) - 1)]
            world._asked += 1
            answer = self._operation(int(path.rpartition("TASK")[2]), state)
        else:
            raise KeyError(path)
        return json.dumps(answer).encode(), "application/json"

    def _operation(self, number: int, state: dict[str, Any]) -> dict[str, Any]:
        failed = {"error": {"message": state["message"]}} if "message" in state else {}
        return {
            "name": f"projects/some-project/operations/TASK{number}",
            "done": state["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"),
            "metadata": {"state": state["state"], "type": "EXPORT_IMAGE", "description": "x"},
            **failed,
        }

    def _value(self, body: dict[str, Any]) -> Any:
        interpreter = Interpreter(self.world.collections, None)
        value = interpreter.run(body["expression"])
        self.world.functions |= interpreter.used
        if not isinstance(value, Image):
            return value
        return {
            "type": "Image",
            "bands": [
                {
                    "id": band.name,
                    "data_type": {
                        "type": "PixelType",
                        "precision": "int" if band.data.dtype.kind in "iu" else "float",
                    },
                }
                for band in value.bands
            ],
            "properties": value.properties,
        }

    def _pixels(self, body: dict[str, Any]) -> bytes:
        world = self.world
        if body["fileFormat"] != "NPY":
            raise WrongError(f"format {body['fileFormat']} is not made here")
        time.sleep(world.delay)
        asked = body["grid"]
        t = asked["affineTransform"]
        grid = PixelGrid(
            asked.get("crsCode") or asked["crsWkt"],
            (t["scaleX"], t["shearX"], t["translateX"], t["shearY"], t["scaleY"], t["translateY"]),
            asked["dimensions"]["height"],
            asked["dimensions"]["width"],
        )
        if max(grid.height, grid.width) > 32_768:
            raise WrongError("Image dimensions must be less than or equal to 32768.")
        if world.memory_pixels is not None and grid.height * grid.width > world.memory_pixels:
            raise WrongError("User memory limit exceeded.")
        interpreter = Interpreter(world.collections, grid)
        image = interpreter.run(body["expression"])
        answer = structured(image)
        if answer.nbytes > MOST_BYTES:
            raise WrongError(
                f"Total request size ({answer.nbytes} bytes) must be less than or equal to "
                f"{MOST_BYTES} bytes."
            )
        with world.lock:
            world.functions |= interpreter.used
            world.pixels.append(asked)
        file = io.BytesIO()
        np.save(file, answer)
        return file.getvalue()


def structured(image: Image) -> np.ndarray:
    """Return an image as the server sends it: a field a band, 0 where it is masked."""
    inner = (slice(PAD, -PAD), slice(PAD, -PAD))
    bands = {b.name: np.where(b.mask > 0, b.data, 0).astype(b.data.dtype) for b in image.bands}
    kinds = [(name, data.dtype) for name, data in bands.items()]
    first = next(iter(bands.values()))[inner]
    answer = np.zeros(first.shape, kinds)
    for name, data in bands.items():
        answer[name] = data[inner]
    return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that are killed leave in the middle of an answer


@contextlib.contextmanager
def serve(world: World) -> Iterator[str]:
    """Serve a world on loopback; yield its address."""
    handler = type("Handler", (_Handler,), {"world": world})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def clean_client() -> Iterator[None]:
    """Leave the client as it was found: it keeps its state in its modules."""
    deprecated = ee.deprecation.InitializeDeprecatedAssets
    try:
        yield
    finally:
        session().close()
        ee.Reset()
        ee.deprecation.InitializeDeprecatedAssets = deprecated
