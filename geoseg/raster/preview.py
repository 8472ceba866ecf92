"""Statistics of a scene at a glance, from its overviews or from windows spread over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.window import Window

if TYPE_CHECKING:
    from geoseg.raster.scene import Pixels, Scene

PREVIEW_PIXELS = 1 << 20
"""Scenes up to this size are read whole; of larger ones about as many pixels are looked at."""
_BLOCKS = 64


@dataclass(frozen=True, kw_only=True)
class BandStatistics:
    """What is known of one band; None where no valid pixel was seen."""

    name: str
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None


@dataclass(frozen=True, kw_only=True)
class SceneStatistics:
    """Statistics over the valid pixels seen, as stored (scale and offset not applied)."""

    bands: tuple[BandStatistics, ...]
    nodata_share: float
    """Share of pixels, 0 to 1, that are invalid in any band."""
    pixels: int
    """How many pixels were looked at."""
    exact: bool
    """Whether that was all of them."""


def preview_pixels(scene: Scene) -> tuple[Iterator[Pixels], bool]:
    """Read about a million pixels, piece by piece, and tell whether those are all there are."""
    exact = scene.grid.height * scene.grid.width <= PREVIEW_PIXELS
    pieces = None if exact else scene.read_overview(PREVIEW_PIXELS)
    if pieces is None:
        pieces = (scene.read(window) for window in _sample(scene))
    return pieces, exact


def scene_statistics(scene: Scene) -> SceneStatistics:
    """Minimum, maximum, mean and deviation of each band, and the share of invalid pixels.

    A scene of up to 1 Mpx is read whole; of a larger one its overviews are read or, where a
    file has none, 64 small windows spread evenly.
    """
    pieces, exact = preview_pixels(scene)
    count = np.zeros(len(scene.bands), np.int64)
    mean = np.zeros(len(scene.bands))
    spread = np.zeros(len(scene.bands))
    low, high = np.full(len(scene.bands), np.inf), np.full(len(scene.bands), -np.inf)
    seen = 0
    for pixels in pieces:
        seen += pixels.valid.size
        n = int(pixels.valid.sum())
        if n == 0:
            continue
        for b in range(len(scene.bands)):
            values: NDArray[Any] = pixels.data[b][pixels.valid].astype(np.float64)
            low[b], high[b] = min(low[b], values.min()), max(high[b], values.max())
            here = values.mean()
            delta = here - mean[b]
            total = count[b] + n
            spread[b] += ((values - here) ** 2).sum() + delta * delta * count[b] * n / total
            mean[b] += delta * n / total
            count[b] = total
    valid = int(count[0])
    return SceneStatistics(
        bands=tuple(
            BandStatistics(
                name=band.name,
                minimum=float(low[b]) if valid else None,
                maximum=float(high[b]) if valid else None,
                mean=float(mean[b]) if valid else None,
                std=float(np.sqrt(spread[b] / valid)) if valid else None,
            )
            for b, band in enumerate(scene.bands)
        ),
        nodata_share=1 - valid / seen,
        pixels=seen,
        exact=exact,
    )


def _sample(scene: Scene) -> Iterator[Window]:
    """All of a small scene; of a large one, windows on an even lattice, corners included."""
    grid = scene.grid
    if grid.height * grid.width <= PREVIEW_PIXELS:
        step = max(1, min(grid.height, (1 << 18) // grid.width))
        for row in range(0, grid.height, step):
            yield Window(row, 0, min(step, grid.height - row), grid.width)
        return
    side = int((PREVIEW_PIXELS / _BLOCKS) ** 0.5)
    height, width = min(side, grid.height), min(side, grid.width)
    down = _places(grid.height, height)
    across = _places(grid.width, width)
    for row in down:
        for col in across:
            yield Window(row, col, height, width)


def _places(length: int, size: int) -> list[int]:
    count = min(int(_BLOCKS**0.5), length // size)
    return [(length - size) * i // max(1, count - 1) for i in range(count)]
