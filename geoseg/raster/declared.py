"""How a scene says that a pixel has no reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.raster.bands import comparable_nodata

if TYPE_CHECKING:
    from geoseg.raster.scene import Scene

__all__ = ["Declared", "declared"]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a scene's files declare of invalid pixels."""

    values: tuple[float, ...]
    """Different nodata values, rising; those alone that a pixel can hold, and not NaN."""
    otherwise: bool
    """Whether a mask or an alpha band may say so, or no file covers a part of the scene."""


def declared(scene: Scene) -> Declared:
    """Return what the files of a scene declare; of the scene itself, not of a view's grid."""
    pieces = scene._pieces
    values: set[float] = set()
    otherwise = False
    for piece in pieces.pieces:
        for source in piece.sources:
            otherwise |= source.alpha is not None or source.mask != "none"
            for nodata in source.nodata:
                value = comparable_nodata(nodata, source.dtype, pieces.dtype)
                if value is not None:
                    values.add(float(value))
    return Declared(values=tuple(sorted(values)), otherwise=otherwise or not _covered(scene))


def _covered(scene: Scene) -> bool:
    """Tell whether every pixel of the scene's own grid lies in a file."""
    whole = scene._native.window
    windows = [piece.window for piece in scene._pieces.pieces]
    if any(window.contains(whole) for window in windows):
        return True
    rows = np.unique([w for win in windows for w in (win.row, win.row_stop)] + [0, whole.height])
    cols = np.unique([w for win in windows for w in (win.col, win.col_stop)] + [0, whole.width])
    found = np.zeros((len(rows) - 1, len(cols) - 1), bool)
    for window in windows:
        top, bottom = np.searchsorted(rows, (window.row, window.row_stop))
        left, right = np.searchsorted(cols, (window.col, window.col_stop))
        found[top:bottom, left:right] = True
    return bool(found.all())
