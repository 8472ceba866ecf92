"""Reading pixels over a network, again where it fails: first all that was asked for, then in parts.

Of a read of many requests one may fail each time that all are made again. So what failed as a whole
is read block by block and band by band, and each has repeats of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import RasterReadError
from geoseg.raster.cut import borders
from geoseg.raster.opening import remote
from geoseg.raster.opening.handles import Handles, is_far

Read = Callable[[RasterioWindow, slice, slice, slice], None]
"""Reads a part of a window: its place in the file, and which of the bands, rows and columns that
are wanted it is."""


def read_patiently(
    read: Read,
    path: str,
    place: RasterioWindow,
    handles: Handles,
    *,
    bands: int,
    in_parts: bool = True,
) -> None:
    """Read a window of a file; of one far away again, after growing waits, where it fails.

    How often is told by `geoseg.raster.opening.remote.pauses`.

    Parameters
    ----------
    read
        What reads; done again from the beginning where it failed.
    path
        The file.
    place
        Rows and columns of it.
    handles
        By which `read` opens the file.
    bands
        Number of bands that are wanted.
    in_parts
        Whether blocks of the window may be read alone.

    Raises
    ------
    RasterReadError
        It cannot be read there, by now; the message names file and rows.
    """
    whole = (place, slice(0, int(place.height)), slice(0, int(place.width)))
    try:
        read(place, slice(0, bands), *whole[1:])
        return
    except RasterioError as error:
        if not is_far(path):
            raise _damaged(path, place) from error
        cause = error
    waits = remote.pauses()
    trouble = remote.trouble_of(path) if waits else None
    if trouble is not None and not trouble.passing:
        raise RasterReadError(f"{path}: {trouble.reason}") from cause
    if not waits:
        raise _damaged(path, place) from cause
    remote.wait(waits[0])
    handles.forget(path)
    parts = [whole]
    if in_parts:
        with handles.borrow(path) as dataset:
            parts = list(_blocks(place, dataset.block_shapes[0]))
    for part, rows, cols in parts:
        for band in range(bands):
            again = partial(read, part, slice(band, band + 1), rows, cols)
            try:
                remote.repeated(again, forget=partial(handles.forget, path))
            except RasterioError as error:
                raise _damaged(path, part) from error


def _blocks(
    place: RasterioWindow, shape: tuple[int, int]
) -> Iterator[tuple[RasterioWindow, slice, slice]]:
    """Cut a window along the borders of the file's blocks."""
    top, left = int(place.row_off), int(place.col_off)
    for row, below in pairwise(borders(top, top + int(place.height), shape[0], 0)):
        for col, right in pairwise(borders(left, left + int(place.width), shape[1], 0)):
            yield (
                RasterioWindow(col, row, right - col, below - row),
                slice(row - top, below - top),
                slice(col - left, right - left),
            )


def _damaged(path: str, place: RasterioWindow) -> RasterReadError:
    rows = f"{place.row_off}–{place.row_off + place.height - 1}"
    damaged = RasterReadError(
        f"{path}: cannot be read at rows {rows} (the server or the network fails, or the file is"
        " damaged); try again later"
        if is_far(path)
        else f"{path}: cannot be read at rows {rows} (truncated or damaged?); "
        "re-download or recreate it"
    )
    damaged.damaged = path
    return damaged
