"""Whether a scene reads anything like what a model learned from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RasterReadError
from geoseg.models.card import ModelCard
from geoseg.raster.opening.handles import is_far
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

_FAR = 4.0
"""Deviations from the mean that no season or place explains."""
_SIDE, _PLACES = 64, 4


@contextmanager
def looked_at(scene: Scene, card: ModelCard) -> Iterator[Callable[[], list[str]]]:
    """Look for strange readings beside the caller; what is given waits for them, and returns them.

    Where the scene cannot be read, it is a note, too: what the caller does may need other parts of
    it, and be done by then.
    """
    # One thread beside those that work; waiting for a server costs them nothing.
    threads = 4 if any(is_far(path) for path in scene.paths) else 1
    stop = threading.Event()
    pool = ThreadPoolExecutor(1, "geoseg-strange")
    look = pool.submit(strange_readings, scene, card, workers=threads, stop=stop)

    def notes() -> list[str]:
        try:
            return look.result()
        except RasterReadError as error:
            learned = f"those that the model '{card.name}' learned from"
            return [f"{scene.name}: its readings were not compared with {learned} ({error})"]

    try:
        yield notes
    finally:
        stop.set()
        pool.shutdown()


def strange_readings(
    scene: Scene, card: ModelCard, *, workers: int = 4, stop: threading.Event | None = None
) -> list[str]:
    """Say where a scene's readings are of another kind: reflectance, and not numbers as stored.

    Looks at a few small windows, in the colour that the network will see.

    Parameters
    ----------
    scene
        With the model's bands by name.
    card
        Says mean and deviation of each band where the model learned.
    workers
        Threads that read.
    stop
        Set when nobody wants to know any more.

    Returns
    -------
    A note for the user, or none: also where the model takes readings as they are.
    """
    mean, std = np.array(card.mean, np.float64), np.array(card.std, np.float64)
    if not mean.any():
        return []
    chosen = scene.select(card.bands)

    def seen(window: Window) -> NDArray[Any]:
        if stop is not None and stop.is_set():
            return np.empty((len(card.bands), 0), chosen.dtype)
        pixels = chosen.read(window)
        return pixels.data[:, pixels.valid]

    with ThreadPoolExecutor(workers, "geoseg-look") as pool:
        readings = np.concatenate(list(pool.map(seen, _windows(chosen))), axis=1)
    if not readings.size:
        return []
    found = np.median(readings.astype(np.float64), axis=1)
    far = np.abs(found - mean) / np.where(std > 0, std, 1)
    if np.median(far) <= _FAR:
        return []
    band = int(far.argmax())
    return [
        f"{scene.name} reads about {_number(found[band])} in {card.bands[band]}, where the model"
        f" '{card.name}' learned from {_number(mean[band])} ± {_number(std[band])}: are both of one"
        " kind, numbers as stored or reflectance? expect it to do badly"
    ]


def _windows(scene: Scene) -> Iterator[Window]:
    """Spread a few windows evenly, off the border."""
    grid = scene.grid
    rows, cols = (
        _begins(*given)
        for given in zip(
            (grid.height, grid.width), scene.block_shape, scene.block_origin, strict=True
        )
    )
    for row in rows:
        for col in cols:
            yield Window(row, col, min(_SIDE, grid.height), min(_SIDE, grid.width))


def _begins(length: int, block: int, origin: int) -> list[int]:
    """Return where windows begin along one side: within one block each, as each is decoded."""
    size = min(_SIDE, length)
    found = []
    for number in range(_PLACES):
        begin = (length - size) * (2 * number + 1) // (2 * _PLACES)
        edge = begin + (origin - begin) % block
        if size <= block and edge < begin + size:
            begin = edge if edge + size <= length else max(0, edge - size)
        found.append(begin)
    return found


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
