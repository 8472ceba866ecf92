"""Scenes and labels made to order: any size, any seed, streamed to disk."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.provenance import provenance
from geoseg.raster.window import Window
from geoseg.testing.pixels import UNLABELLED, Maker
from geoseg.testing.spectra import BANDS, LEGEND, NODATA, shown_range

_PART = (512, 2048)  # rows and columns made at once, about: a few MB a thread


@dataclass(frozen=True, kw_only=True)
class MadeScene:
    """A scene that was written."""

    path: Path
    """Its readings."""
    labels: Path | None
    """Its labels, a raster of class ids with `UNLABELLED` outside; None if not asked for."""
    grid: Grid
    """Place and size of both."""
    legend: Legend
    """Classes of the labels."""


def made_scene(
    path: str | Path,
    *,
    height: int = 1400,
    width: int = 1000,
    seed: int = 0,
    labels: str | Path | None = None,
    bands: Sequence[str] = BANDS,
    dtype: Literal["uint16", "float32"] = "uint16",
    nodata_share: float = 0.15,
    bad_pixels: float = 1e-5,
    label_noise: float = 0.0,
    crs: str | None = "EPSG:32612",
    resolution: float = 30.0,
    rotation: float = 0.0,
    south_up: bool = False,
    block: tuple[int, int | None] = (512, 512),
    compression: str | None = "deflate",
    interleave: str = "band",
    overwrite: bool = False,
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
) -> MadeScene:
    """Write a scene like one of Landsat 8 over mountains and canyons, with labels if wanted.

    The same options make the same pixels, whatever the number of workers. Memory depends on the
    number of workers alone.

    Parameters
    ----------
    path
        GeoTIFF of the readings.
    height, width
        Rows and columns.
    seed
        Decides what the country looks like.
    labels
        GeoTIFF of the class ids, with legend; None for none.
    bands
        Any of blue, green, red, nir, in any order.
    dtype
        "uint16": digital numbers as of level 1, nodata 65535. "float32": reflectance, nodata NaN.
    nodata_share
        Share of the pixels, up to one half, outside of a footprint that stands aslant like that of
        a path and row.
    bad_pixels
        Chance of a pixel inside to be nodata, in one band or in all; at most 1 in 4,096.
    label_noise
        Share of the labels replaced by a class drawn by lot.
    crs, resolution, rotation, south_up
        See `geoseg.raster.plain.plain_grid`.
    block, compression, interleave
        See `geoseg.raster.plain.PlainWriter`.
    overwrite
        Whether files that are there may be replaced.
    workers
        Threads that make pixels.
    progress
        Called with the number of pixels written.

    Raises
    ------
    BandError
        A band that cannot be made.
    OptionError
        A share beyond its bounds.
    OutputError
        The files cannot be written.
    """
    maker = Maker(
        height=height,
        width=width,
        seed=seed,
        bands=bands,
        is_float=dtype == "float32",
        nodata_share=nodata_share,
        bad_pixels=bad_pixels,
        label_noise=label_noise,
    )
    grid = plain_grid(
        height, width, crs=crs, resolution=resolution, rotation=rotation, south_up=south_up
    )
    settings: dict[str, Any] = {
        "block": block,
        "compression": compression,
        "tags": _tags(seed=seed, nodata_share=nodata_share, label_noise=label_noise),
        "overwrite": overwrite,
        "workers": workers,
    }
    with ExitStack() as stack:
        scene_file = stack.enter_context(
            PlainWriter(
                path,
                grid,
                band_names=bands,
                dtype=dtype,
                nodata=NODATA if dtype == "uint16" else math.nan,
                stretch=shown_range(is_float=dtype == "float32"),
                interleave=interleave,
                **settings,
            )
        )
        label_file = None
        if labels is not None:
            label_file = stack.enter_context(
                PlainWriter(
                    labels,
                    grid,
                    band_names=["class"],
                    dtype="uint8",
                    nodata=UNLABELLED,
                    legend=LEGEND,
                    **settings,
                )
            )
        for window, pixels, classes in _in_order(maker.make, _parts(grid.window, block), workers):
            scene_file.write(window, pixels)
            if label_file is not None:
                label_file.write(window, classes)
            if progress is not None:
                progress(window.area)
    return MadeScene(
        path=scene_file.path,
        labels=None if label_file is None else label_file.path,
        grid=grid,
        legend=LEGEND,
    )


def tiny_scene(
    path: str | Path,
    array: NDArray[Any],
    *,
    nodata: float | None = None,
    bands: Sequence[str] | None = None,
    grid: Grid | None = None,
    legend: Legend | None = None,
    block: tuple[int, int | None] = (16, 16),
    compression: str | None = None,
    overwrite: bool = False,
    **place: Any,
) -> Path:
    """Write an array as a GeoTIFF, for tests whose answer is worked out by hand.

    Parameters
    ----------
    path
        Where.
    array
        (bands, rows, cols), or (rows, cols) for one band; its dtype is the file's.
    nodata
        What the file declares; None for nothing.
    bands
        Names of the bands; None leaves the file without.
    grid
        Place; None for one made from `place`, options of `geoseg.raster.plain.plain_grid`.
    legend
        Classes, where the array holds class ids.
    block, compression, overwrite
        See `geoseg.raster.plain.PlainWriter`.

    Returns
    -------
    path of the file.
    """
    pixels = array if array.ndim == 3 else array[np.newaxis]
    grid = grid or plain_grid(*pixels.shape[1:], **place)
    with PlainWriter(
        path,
        grid,
        band_names=bands if bands is not None else [""] * len(pixels),
        dtype=pixels.dtype.name,
        nodata=nodata,
        legend=legend,
        block=block,
        compression=compression,
        overwrite=overwrite,
    ) as file:
        file.write(grid.window, pixels)
    return file.path


def _tags(**options: float) -> dict[str, str]:
    """Return what the files say of themselves."""
    tags = provenance(["geoseg.testing.scenes.made_scene"], {}, options=options)
    return {"TIFFTAG_IMAGEDESCRIPTION": "Made up: no place on Earth looks like this.", **tags}


def _parts(whole: Window, block: tuple[int, int | None]) -> Iterator[Window]:
    """Cut a raster into parts of whole blocks, in the order of the file."""
    rows = max(1, _PART[0] // block[0]) * block[0]
    cols = whole.width if block[1] is None else max(1, _PART[1] // block[1]) * block[1]
    if block[1] is None:  # a part is as wide as the scene: fewer rows, the same number of pixels
        rows = max(1, _PART[0] * _PART[1] // whole.width // block[0]) * block[0]
    for row in range(0, whole.height, rows):
        for col in range(0, whole.width, cols):
            yield Window(row, col, min(rows, whole.height - row), min(cols, whole.width - col))


def _in_order(
    make: Callable[[Window], tuple[NDArray[Any], NDArray[np.uint8]]],
    windows: Iterator[Window],
    workers: int,
) -> Iterator[tuple[Window, NDArray[Any], NDArray[np.uint8]]]:
    """Make windows in threads and hand them out in order, no more of them waiting than threads."""
    with ThreadPoolExecutor(workers, "geoseg-made") as pool:
        waiting: deque[tuple[Window, Future[tuple[NDArray[Any], NDArray[np.uint8]]]]] = deque()
        try:
            for window in windows:
                waiting.append((window, pool.submit(make, window)))
                if len(waiting) > workers:
                    first, future = waiting.popleft()
                    yield first, *future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, *future.result()
        finally:
            pool.shutdown(cancel_futures=True)
