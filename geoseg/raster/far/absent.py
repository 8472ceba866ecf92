"""Blocks that a remote TIFF seems not to hold: believed only after looking again.

A TIFF tells in its index where its blocks lie; one that lies nowhere is absent, and read as nodata.
GDAL takes what it could not read of the index for "nowhere", without a word.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from geoseg.raster.opening.handles import environment, forget_remote, is_far, is_remote, open_anew
from geoseg.raster.opening.lost import blocks_lost, losses

_RUN = 1024
"""Blocks that are looked at together, in the order of the index, when one seems to be absent."""
_AGREE = 2
"""Looks in a row, each at a file that is opened anew, that must find the same."""
_LOOKS = 6
"""Looks until it is given up."""
_MOST_RUNS = 4096
"""Runs that are remembered."""


@contextmanager
def blocks_found(path: str) -> Iterator[None]:
    """Fail where GDAL could not read a head, or where blocks lie, and went on without.

    Of masks, overviews and the parts of a VRT that is all that can be known; of a remote TIFF's own
    blocks `check_present` knows more.

    Raises
    ------
    RasterioError
        At the end of the context; what was read in it is to be read again, from a file that is
        opened anew.
    """
    if not is_far(path):
        yield
        return
    with blocks_lost() as blocks, losses() as tags:
        yield
    if blocks or tags:
        raise RasterioIOError(f"{path}: a head or an index could not be read in full")


_LOCK = threading.Lock()
_ABSENT: OrderedDict[tuple[str, int, int], NDArray[np.bool_]] = OrderedDict()
"""Which blocks of a run are absent indeed: by file, band and number of the run."""


def check_present(
    dataset: DatasetReader, path: str, indexes: Sequence[int], place: RasterioWindow
) -> None:
    """Make sure that blocks that were read are in the file, or absent from it indeed.

    Costs nothing for local files, and requests only where a block seems to be absent.

    Parameters
    ----------
    dataset
        From which they were read, in its own resolution.
    path
        Its path.
    indexes
        Numbers of the bands, from 1.
    place
        Rows and columns that were read.

    Raises
    ------
    RasterioError
        A block was taken for absent that is not, or it cannot be found out; to be read again from
        a file that is opened anew.
    """
    if not is_remote(path) or dataset.driver != "GTiff":
        return
    rows, cols = dataset.block_shapes[0]
    across = -(-dataset.width // cols)
    top, left = int(place.row_off), int(place.col_off)
    down = range(top // rows, -(-(top + int(place.height)) // rows))
    along = range(left // cols, -(-(left + int(place.width)) // cols))
    # Blocks of interleaved pixels hold all bands.
    bands = indexes[:1] if dataset.interleaving == Interleaving.pixel else indexes
    for band in bands:
        runs: dict[int, list[int]] = {}
        for row, col in product(down, along):
            if _offset(dataset, band, row, col) in (None, "0"):
                run, at = divmod(row * across + col, _RUN)
                runs.setdefault(run, []).append(at)
        for run, missing in runs.items():
            if not _are_absent(path, band, run, missing):
                raise RasterioIOError(f"{path}: its index could not be read in full")


def _offset(dataset: DatasetReader, band: int, row: int, col: int) -> str | None:
    """Return where a block lies: None if it is absent, 0 if its size is known and no place."""
    found: str | None = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
    return found


def _are_absent(path: str, band: int, run: int, missing: list[int]) -> bool:
    key = (path, band, run)
    with _LOCK:
        known = _ABSENT.get(key)
        if known is not None and known[missing].all():
            _ABSENT.move_to_end(key)
            return True
    found = _agreed(path, band, run)
    with _LOCK:
        _ABSENT[key] = found
        if len(_ABSENT) > _MOST_RUNS:
            _ABSENT.popitem(last=False)
    return bool(found[missing].all())


def _agreed(path: str, band: int, run: int) -> NDArray[np.bool_]:
    """Look until some looks in a row find the same; return which blocks are absent."""
    last, same = None, 0
    forget_remote(path)
    for _ in range(_LOOKS):
        found = _look(path, band, run)
        same = same + 1 if found is not None and last is not None and (found == last).all() else 1
        if found is not None and same == _AGREE:
            return found
        last = found
    raise RasterioIOError(f"{path}: its index could not be read in full")


def _look(path: str, band: int, run: int) -> NDArray[np.bool_] | None:
    """Open a file anew and look which blocks of a run are absent; None where that fails."""
    absent = np.zeros(_RUN, bool)
    try:
        with environment(path), open_anew(path) as dataset:
            rows, cols = dataset.block_shapes[0]
            across, down = -(-dataset.width // cols), -(-dataset.height // rows)
            for at in range(min(_RUN, across * down - run * _RUN)):
                offset = _offset(dataset, band, *divmod(run * _RUN + at, across))
                if offset == "0":
                    return None
                absent[at] = offset is None
    except (RasterioError, NotGeoreferencedWarning):
        return None
    return absent
