"""Windows fetched, several at once; those that are too much are fetched in parts.

Does not know the client: what fetches one window is given.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.earthengine.client import Asker, RefusedError
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
        left = [job for job in jobs if self.store.missing(*job)]
        for layer, window in jobs:
            done = window.area - self.store.missing(layer, window)
            if done:
                self.progress(done)
        with ThreadPoolExecutor(self.workers, "geoseg-earthengine") as pool:
            futures = [pool.submit(self._window, layer, window) for layer, window in left]
            try:
                done_ones, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done_ones:
                    future.result()
            except BaseException:
                self.asker.stop.set()  # those that wait for another try shall not
                pool.shutdown(cancel_futures=True)
                raise

    def _window(self, layer: Layer, window: Window) -> None:
        """Fetch a window, in parts where that was or turns out to be needed."""
        store = self.store
        if store.has(layer, window):
            return
        if not store.is_split(layer, window):
            try:
                pixels = self.asker.ask(
                    f"the {layer.key} at row {window.row}, column {window.col} "
                    f"({window.width} × {window.height} px)",
                    lambda: _pixels(self.requests[layer.key](window), layer, window),
                )
            except RefusedError as error:
                # What is too much cannot be told from what is wrong; that is refused at any size.
                if max(window.height, window.width) <= LEAST_SIDE:
                    raise EarthEngineError(
                        f"{error}; a smaller window was not tried: shorten the period, or choose "
                        "fewer bands"
                    ) from error
                store.mark_split(layer, window)
            else:
                store.put(layer, window, pixels)
                self.progress(window.area)
                return
        for part in quarters(window):
            self._window(layer, part)


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
