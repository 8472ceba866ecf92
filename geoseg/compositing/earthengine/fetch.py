"""Windows fetched, several at once; those that are too much are fetched in parts.

Does not know the client: what fetches one window is given.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.earthengine.client import Asker, RefusedError
from geoseg.compositing.earthengine.crew import work_off
from geoseg.compositing.earthengine.plan import LEAST_SIDE, Layer, quarters
from geoseg.compositing.earthengine.store import Store
from geoseg.errors import EarthEngineError
from geoseg.raster.window import Window

Request = Callable[[Window], bytes]
"""Asks the server once for a window of a layer: NPY, a structured array."""


@dataclass(frozen=True, kw_only=True)
class Fetching:
    """Layers that are being fetched."""

    store: Store
    """Where windows are kept."""
    requests: Mapping[str, Request]
    """What fetches a window, by the layer's key."""
    asker: Asker
    """Repeats requests that fail."""
    workers: int
    """Requests at once."""
    progress: Callable[[int], None]
    """Called with numbers of finished pixels, from any thread."""
    _sound: set[str] = field(default_factory=set, init=False)
    """Layers of which the server is known to compute a small window."""
    _trying: threading.Lock = field(default_factory=threading.Lock, init=False)

    def fetch(self, jobs: Sequence[tuple[Layer, Window]]) -> None:
        """Fetch what the store lacks.

        Parameters
        ----------
        jobs
            Windows of layers.

        Raises
        ------
        EarthEngineError
            The server gives no answer, refuses one, or a window is too much for it even when it is
            small.
        OutputError
            The disk is full.
        """
        left = []
        for layer, window in jobs:
            missing = self.store.missing(layer, window)
            if missing:
                left.append((layer, window))
            if window.area > missing:
                self.progress(window.area - missing)
        stop = self.asker.stop  # those that wait for another try shall not
        work_off(left, lambda job: self._window(*job), workers=self.workers, stop=stop)

    def _window(self, layer: Layer, window: Window) -> None:
        """Fetch a window, in parts where that was or turns out to be needed."""
        store = self.store
        if store.has(layer, window):
            return
        if not store.is_split(layer, window):
            try:
                pixels = self._ask(layer, window)
            except RefusedError as error:
                if max(window.height, window.width) <= LEAST_SIDE:
                    raise _too_much(error) from error
                self._try_small(layer, window)
                store.mark_split(layer, window)
            else:
                store.put(layer, window, pixels)
                self.progress(window.area)
                return
        for part in quarters(window):
            self._window(layer, part)

    def _ask(self, layer: Layer, window: Window) -> NDArray[Any]:
        return self.asker.ask(
            f"the {layer.key} at row {window.row}, column {window.col} "
            f"({window.width} × {window.height} px)",
            lambda: _pixels(self.requests[layer.key](window), layer, window),
            step="windows",
        )

    def _try_small(self, layer: Layer, window: Window) -> None:
        """Tell what is too much from what is wrong, which is refused at any size; once a layer.

        Raises
        ------
        EarthEngineError
            A small window is refused too.
        """
        with self._trying:
            if layer.key in self._sound:
                return
            try:
                self._ask(layer, _middle(window))
            except RefusedError as error:
                self.asker.stop.set()  # who waits for this answer shall not ask for one too
                raise _too_much(error) from error
            self._sound.add(layer.key)


def _middle(window: Window) -> Window:
    """Return the smallest window that is asked for, in the middle of another."""
    height, width = min(window.height, LEAST_SIDE), min(window.width, LEAST_SIDE)
    row = window.row + (window.height - height) // 2
    col = window.col + (window.width - width) // 2
    return Window(row, col, height, width)


def _too_much(error: RefusedError) -> EarthEngineError:
    return EarthEngineError(
        f"{error}; smaller requests do not help: if it is too much, shorten the period, or choose "
        "fewer bands"
    )


def _pixels(answer: bytes, layer: Layer, window: Window) -> NDArray[Any]:
    """Read an answer; ValueError where it is none."""
    pixels: Any = np.lib.format.read_array(io.BytesIO(answer), allow_pickle=False)
    names = layer.dtype.names or ()
    if pixels.shape != (window.height, window.width) or pixels.dtype.names != names:
        raise ValueError(
            f"an answer of {pixels.dtype} and shape {pixels.shape} in place of {layer.dtype} and "
            f"{(window.height, window.width)}"
        )
    # The server may send a type that holds the asked one.
    return np.asarray(pixels.astype(layer.dtype))
