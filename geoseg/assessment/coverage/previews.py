"""Photographs drawn with what was found in them, for `photographs.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.coverage.source import Source
from geoseg.raster.maker import comment_of
from geoseg.raster.scene import Scene
from geoseg.raster.strips import Strip, read_strips

_ROWS = 256


def drawn_preview(
    source: Source, picture: str, tags: Mapping[str, str], *, title: str, workers: int
) -> bytes:
    """Draw one photograph with its classes: the bytes of a JPEG.

    Parameters
    ----------
    source
        Its map.
    picture
        The photograph.
    tags
        What made it, as from `geoseg.raster.provenance.provenance`.
    title
        What stands above it.
    workers
        Threads that read.
    """
    # Imported here: it brings matplotlib's fonts.
    from geoseg.report.photographs import MOST_SIDE, preview  # noqa: PLC0415
    from geoseg.report.pictures import show_bands  # noqa: PLC0415

    grid, legend = source.scene.grid, source.legend
    with Scene.open(picture) as scene:
        step = -(-max(grid.height, grid.width) // MOST_SIDE)
        names = [scene.band_names[place] for place in show_bands(scene.band_names)]
        # Grey is shown as three bands alike.
        one_of_each = list(dict.fromkeys(names))
        strips = read_strips([scene.select(one_of_each)], target_rows=_ROWS, workers=workers)
        pixels = _reduced(strips, step)
        pixels = pixels[[one_of_each.index(name) for name in names]]
    with source.scene:
        index = _reduced(source.strips(grid.window, workers), step)
    if legend is None:
        raise ValueError("maps without classes are refused before")
    if pixels.dtype != np.uint8:
        most = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "iu" else pixels.max()
        pixels = np.clip(pixels * (255 / max(float(most), 1e-12)), 0, 255).astype(np.uint8)
    return preview(
        np.ascontiguousarray(pixels.transpose(1, 2, 0)),
        index,
        legend,
        target=source.target,
        excluded=source.excluded,
        title=title,
        comment=comment_of(tags),
    )


def _reduced(strips: Iterable[Strip], step: int) -> NDArray[Any]:
    """(…, rows, cols): every so many-th pixel, strip by strip."""
    parts = [strip.arrays[0][..., -strip.row % step :: step, ::step].copy() for strip in strips]
    return np.concatenate(parts, axis=-2)
