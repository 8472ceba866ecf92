"""Scenes at 1:n: n × n pixels seen as one. A view, as `Scene.recoloured` is one.

Readings become the mean of the valid ones among n × n, in double precision, rounded to the scene's
type. For n = 2 that is bilinear interpolation; for more it leaves no pixel out, as bilinear would.
Class ids become the one of most pixels, of several that which comes first along the rows; where
more than half have none, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.pieces import Mask, Pieces
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

How = Literal["mean", "majority"]


@dataclass(frozen=True, eq=False)
class _CoarserPieces(Pieces):
    """Files read `factor` pixels at a time; windows and colours are of the coarser pixels."""

    factor: int = 1
    how: How = "mean"

    def select(self, order: Sequence[int], dtype: np.dtype[Any]) -> _CoarserPieces:
        chosen = super().select(order, dtype)
        return replace(self, pieces=chosen.pieces, dtype=chosen.dtype, recolour=chosen.recolour)

    def _read(self, window: Window, out: NDArray[Any]) -> Mask:
        n = self.factor
        fine = Window(window.row * n, window.col * n, window.height * n, window.width * n)
        data = np.empty((len(out), fine.height, fine.width), self.dtype)
        valid = super()._read(fine, data)
        shape = (window.height, n, window.width, n)
        reduce = _majority if self.how == "majority" else _mean
        return reduce(data.reshape(-1, *shape), valid.reshape(shape), out)

    def have_overviews(self, factor: float) -> bool:  # noqa: ARG002 - of what it overrides
        return False


def coarser(scene: Scene, factor: int, *, how: How = "mean") -> Scene:
    """Return a scene at 1:n.

    Parameters
    ----------
    scene
        As its files are: not on another grid, and not in another colour.
    factor
        n; height and width are multiples of it.
    how
        "mean" for readings, "majority" for class ids.
    """
    grid = scene.grid
    if grid.height % factor or grid.width % factor or scene.is_recoloured or scene.is_warped:
        raise ValueError(f"{scene.name} cannot be seen at 1:{factor}")
    if factor == 1:
        return scene
    values = {f.name: getattr(scene, f.name) for f in fields(scene)}
    small = grid.coarsen(factor)
    if not grid.is_georeferenced:  # and must not look so
        small = replace(small, transform=grid.transform)
    rows, cols = values["_block"]
    pieces: Pieces = values["_pieces"]
    values |= {
        "grid": small,
        "_native": small,
        "_block": (-(-rows // factor), -(-cols // factor)),
        "_pieces": _CoarserPieces(
            pieces.pieces, pieces.dtype, pieces.handles, factor=factor, how=how
        ),
    }
    return Scene(**values)


def _mean(data: NDArray[Any], valid: NDArray[np.bool_], out: NDArray[Any]) -> Mask:
    """Average (bands, rows, n, cols, n) into (bands, rows, cols); what has no reading is 0."""
    count = np.count_nonzero(valid, axis=(1, 3))
    for band, into in zip(data, out, strict=True):
        total = np.where(valid, band, 0).sum(axis=(1, 3), dtype=np.float64)
        mean = total / np.maximum(count, 1)
        into[...] = np.rint(mean) if out.dtype.kind in "iu" else mean
    there: Mask = count > 0
    return there


def _majority(data: NDArray[Any], valid: NDArray[np.bool_], out: NDArray[Any]) -> Mask:
    """Take the most frequent of n × n of (1, rows, n, cols, n)."""
    _, rows, n, cols, _ = data.shape
    values = data[0].transpose(1, 3, 0, 2).reshape(n * n, rows, cols)
    there = valid.transpose(1, 3, 0, 2).reshape(n * n, rows, cols)
    alike = np.stack(
        [
            ((values == one) & there).sum(axis=0) * own
            for one, own in zip(values, there, strict=True)
        ]
    )
    first = alike.argmax(axis=0)  # the first of several that are as frequent
    out[0] = np.take_along_axis(values, first[None], axis=0)[0]
    enough: Mask = 2 * there.sum(axis=0) >= n * n
    return enough
