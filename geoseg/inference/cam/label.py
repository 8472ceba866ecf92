"""Blocks of activation maps, turned into classes: refined, combined, held to what is known.

Works from maps that wait on disk, so that statistics of the whole scene can be used. Blocks that
are refined are read with a margin as wide as refining reaches, so every pixel gets what it would
get if the scene were one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.cam.combine import Combination
from geoseg.inference.cam.known import KnownClasses
from geoseg.inference.cam.refine import Pamr, refine
from geoseg.inference.members import InputSpec
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

BLOCK_ROWS = 256
_BLOCK_COLS = 512


@dataclass(frozen=True)
class LabelBlock:
    """Part of a scene, labelled."""

    index: NDArray[np.uint8]
    """(ways, rows, cols) class index by each way of combining, 255 where there is none."""
    confidence: NDArray[np.float32]
    """(rows, cols) of the first way, NaN where there is none."""


class Labeller:
    """Turns activation maps into classes, block by block.

    Parameters
    ----------
    read_maps
        Takes the first row and the one behind the last; gives (classes, rows, width) float32, NaN
        where nothing is wanted.
    scene
        What the maps are of; its pixels are read where maps are refined.
    spec
        How its pixels are normalised.
    pamr
        How maps are refined; None for not.
    known
        Which classes patches of known content hold; None for nothing known.
    workers
        Threads; they do not change the result.
    """

    def __init__(
        self,
        read_maps: Callable[[int, int], NDArray[np.float32]],
        scene: Scene,
        spec: InputSpec,
        *,
        pamr: Pamr | None,
        known: KnownClasses | None,
        workers: int,
    ) -> None:
        self._read_maps = read_maps
        self._scene = scene.select(spec.bands)
        self._mean = np.asarray(spec.mean, np.float32)[:, None, None]
        self._std = np.asarray(spec.std, np.float32)[:, None, None]
        self._pamr = pamr
        self._known = known
        self._workers = workers

    def blocks(self, ways: Sequence[Combination]) -> Iterator[tuple[int, LabelBlock]]:
        """Give the whole scene from top to bottom, with the first row of each block."""
        grid = self._scene.grid
        with ThreadPoolExecutor(self._workers, "geoseg-label") as pool:
            for first in range(0, grid.height, BLOCK_ROWS):
                height = min(BLOCK_ROWS, grid.height - first)
                yield first, self._block(Window(first, 0, height, grid.width), ways, pool)

    def maps(self, windows: Sequence[Window]) -> Iterator[NDArray[np.float32]]:
        """Give maps as classes are made of them, (classes, rows, cols) for each window.

        Windows of the same rows, one after the other, are read together.
        """
        with ThreadPoolExecutor(self._workers, "geoseg-label") as pool:
            for _, group in groupby(windows, key=lambda window: (window.row, window.row_stop)):
                row = list(group)
                maps, top = self._around(row[0])
                yield from pool.map(partial(self._maps, maps=maps, top=top), row)

    def window(self, window: Window, ways: Sequence[Combination]) -> LabelBlock:
        """Give a part of the scene, the same as in `blocks`."""
        with ThreadPoolExecutor(self._workers, "geoseg-label") as pool:
            return self._block(window, ways, pool)

    def _block(
        self, window: Window, ways: Sequence[Combination], pool: ThreadPoolExecutor
    ) -> LabelBlock:
        maps, top = self._around(window)

        def part(first: int) -> LabelBlock:
            width = min(_BLOCK_COLS, window.col_stop - first)
            return self._part(Window(window.row, first, window.height, width), maps, top, ways)

        parts = list(pool.map(part, range(window.col, window.col_stop, _BLOCK_COLS)))
        return LabelBlock(
            np.concatenate([p.index for p in parts], axis=2),
            np.concatenate([p.confidence for p in parts], axis=1),
        )

    def _around(self, window: Window) -> tuple[NDArray[np.float32], int]:
        """Read the rows that a window depends on; give them and the first one's number."""
        reach = 0 if self._pamr is None else self._pamr.reach
        top = max(window.row - reach, 0)
        return self._read_maps(top, min(window.row_stop + reach, self._scene.grid.height)), top

    def _part(
        self,
        window: Window,
        maps: NDArray[np.float32],
        top: int,
        ways: Sequence[Combination],
    ) -> LabelBlock:
        """Label a window; `maps` are rows from `top` on, of the scene's full width."""
        here = self._maps(window, maps, top)
        valid = ~np.isnan(here[0])
        allowed = None if self._known is None else self._known.allowed(window)
        made = [way.choose(here, valid, allowed) for way in ways]
        return LabelBlock(np.stack([index for index, _ in made]), made[0][1])

    def _maps(self, window: Window, maps: NDArray[np.float32], top: int) -> NDArray[np.float32]:
        """Cut a window out of rows from `top` on, refined if that was asked for."""
        rows = slice(window.row - top, window.row_stop - top)
        pamr = self._pamr
        if pamr is None:
            return maps[:, rows, window.col : window.col_stop]
        left = max(window.col - pamr.reach, 0)
        right = min(window.col_stop + pamr.reach, maps.shape[2])
        around = Window(top, left, maps.shape[1], right - left)
        scores = maps[:, :, left:right]
        image = self._scene.read(around).data.astype(np.float32)
        image -= self._mean
        image /= self._std
        refined = refine(scores, image, ~np.isnan(scores[0]), pamr=pamr)
        return refined[:, rows, window.col - left : window.col_stop - left]
