"""Small components out of a class map: exact, and with memory that does not grow with its height.

**The rule.** It speaks of the input map as a whole: how that is cut into bands of rows, and how
many workers there are, has no influence.

1. A *component* is a maximal set of 4-connected pixels of one class; its *area* is their number.
   Nodata is in no component, is never changed and never fills.
2. A component *stands* if its area is at least `min_area` or its class is in `keep`. What stands
   keeps every pixel. All other components are *small*.
3. Round 1: every small component that touches (shares a pixel edge with) one that stands is given
   to the largest such neighbour. Round n: every small component that is not yet given away, and
   touches some that were given away in round n − 1, is given to the largest of the components
   that those were given to. All of a round happens at once.
4. Small components that no round reaches form *islands*: maximal 4-connected sets of valid pixels
   in which nothing stands. An island as a whole is given to its largest component, be the island
   itself smaller than `min_area` or not.
5. What is given to a component takes its class. The *largest* is that with the largest area in the
   input map; of equals, that whose first pixel (row by row, from the left) comes first.

**What follows.** Afterwards every component with fewer than `min_area` pixels is of a class in
`keep`, or is the whole of an island. For: what is given to a component C is joined to C by pixels
that are given to C as well, so together they are one piece of C's class. Hence every component of
the result contains one that stands, or it is an island. So no merging makes a new small component,
and a second run with the same settings changes nothing. A `min_area` of 0 or 1 changes nothing.
Classes are names only: exchange two of them in the map and in `keep`, and the result is the same
but for that.

The map passes twice. While rows come in, worker threads label bands of them; pixels and tables of
the components that may change go to temporary files. Then the tables are joined and the rule is
applied to them, and the bands are read again and repainted. Knows no rasters and no class names.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, LabelError, OptionError
from geoseg.inference._spill import SpillFile

_BAND_PIXELS = 1 << 20
"""A usual band's pixels: few enough that the tables of the worst of maps are small as well."""

_LEAST_BAND_ROWS = 16
"""Each band looks at one row of the band above, which should be a small share of the work."""

_MOST_BAND_PIXELS = 2**31 - 1
"""Positions in a band are numbered in 32 bits."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a band is on disk."""

    rows: int
    """Number of rows."""
    position: int
    """Where its packed pixels begin."""
    size: int
    """Bytes of its packed pixels."""
    first_change: int
    """Where the list of its runs that may change begins."""
    changes: int
    """How many such runs there are."""


_Labelled = tuple[_Place, tuple[NDArray[Any], ...]]


class SmallComponents:
    """Gives small components to their largest neighbours, by the rule of this module, streamed.

    Rows are added from top to bottom; then `finish` gives them back, once. It is a context manager:
    leaving it (or `close`) stops the workers and removes the temporary files, also after an error.

    Parameters
    ----------
    width
        Columns of the map.
    min_area
        Pixels from which on a component stands; 0 and 1 change nothing.
    classes
        Number of classes, 1 … 255: pixels hold 0 … classes − 1, or `nodata`.
    keep
        Classes that are never changed, however small their components are. They may fill others.
    nodata
        Value of pixels without a class. It may lie among the classes, and is none of them then.
    folder
        Existing folder for temporary files, as a rule of less than half a byte a pixel: 2 bytes
        for every stretch of equal pixels in a row, 8 more if they may change, and some 60 for each
        small component that touches several others; so 70 bytes a pixel for the worst of maps.
        None: the system's folder for temporary files.
    workers
        Threads that label and repaint.
    band_rows
        Rows of a band; None: as many as make a good size. Has no influence on the result.

    Raises
    ------
    OptionError
        A value without meaning.
    OutputError
        The folder is not there, cannot be written, or is full (also raised by the methods).
    """

    def __init__(
        self,
        width: int,
        min_area: int,
        *,
        classes: int,
        keep: Collection[int] = (),
        nodata: int = 255,
        folder: Path | None = None,
        workers: int = 4,
        band_rows: int | None = None,
    ) -> None:
        # Not above: to load compiled loops takes a moment, which nobody else should wait.
        from geoseg.inference import _components, _runs, _tables  # noqa: PLC0415

        if band_rows is None:
            band_rows = max(_LEAST_BAND_ROWS, _BAND_PIXELS // max(width, 1))
        _check_options(width, min_area, classes, keep, nodata, workers, band_rows)
        self._label_runs, self._runs = _components.label_band, _runs
        self._width = width
        self._min_area = min_area
        self._classes = classes
        self._nodata = nodata
        self._roles = np.full(256, _components.CHANGEABLE, np.uint8)
        self._roles[list(keep)] = _components.KEPT
        self._roles[nodata] = _components.NODATA

        self._band_rows = band_rows
        self._buffer = np.empty((1 + band_rows, width), np.uint8)
        self._halo = 0
        self._filled = 0
        self._rows = 0
        self._bands: list[tuple[_Place, slice]] = []
        self._sealed = False

        self._workers = workers
        self._labelling: deque[Future[_Labelled]] = deque()
        folder = Path(tempfile.gettempdir()) if folder is None else Path(folder)
        with ExitStack() as stack:
            self._pixels = stack.enter_context(closing(SpillFile(folder, np.uint8)))
            self._changes = stack.enter_context(closing(SpillFile(folder, np.int32)))
            self._tables = stack.enter_context(closing(_tables.ComponentTables(folder)))
            self._files = stack.pop_all()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="components")

    def __enter__(self) -> SmallComponents:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add_rows(self, rows: NDArray[np.uint8]) -> None:
        """Take the next rows of the map.

        Parameters
        ----------
        rows
            Classes (rows, width), uint8; any number of rows, free to be overwritten afterwards.

        Raises
        ------
        InputError
            Wrong shape or dtype, or rows after `finish`.
        LabelError
            A pixel is neither of a class nor nodata (may be noticed some rows later).
        OutputError
            The temporary files cannot be written.
        """
        self._check_open()
        if rows.ndim != 2 or rows.shape[1] != self._width or rows.dtype != np.uint8:
            raise InputError(
                f"rows to clean up must be uint8 of shape (rows, {self._width}), "
                f"not {rows.dtype} of shape {rows.shape}"
            )
        try:
            taken = 0
            while taken < rows.shape[0]:
                count = min(rows.shape[0] - taken, self._band_rows - self._filled)
                begin = self._halo + self._filled
                self._buffer[begin : begin + count] = rows[taken : taken + count]
                self._filled += count
                taken += count
                if self._filled == self._band_rows:
                    self._start_labelling()
        except BaseException:
            self.close()
            raise

    def finish(self) -> Iterator[NDArray[np.uint8]]:
        """Return the cleaned rows from top to bottom: arrays (rows, width), uint8, of some rows.

        They are the caller's to keep. After the last one everything is closed.

        Raises
        ------
        InputError
            The map is finished already, or has more than 2 147 483 647 small components.
        LabelError, OutputError
            As `add_rows`.
        """
        self._check_open()
        self._sealed = True
        return self._finished_rows()

    def _finished_rows(self) -> Iterator[NDArray[np.uint8]]:
        try:
            if self._filled:
                self._start_labelling()
            while self._labelling:
                self._append_tables()
            classes = self._tables.resolve(self._min_area, self._roles)
            waiting: deque[Future[NDArray[np.uint8]]] = deque()
            for band in self._bands:
                waiting.append(self._pool.submit(self._repaint, *band, classes))
                if len(waiting) > self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self.close()

    def close(self) -> None:
        """Stop the workers and remove the temporary files; may be called again."""
        self._sealed = True
        self._pool.shutdown(cancel_futures=True)
        self._labelling.clear()
        self._files.close()

    def _check_open(self) -> None:
        if self._sealed:
            raise InputError("this map is finished or closed: make a new SmallComponents")

    def _start_labelling(self) -> None:
        """Hand the buffer to a worker, and begin a new one with its last row."""
        band = self._buffer[: self._halo + self._filled]
        self._labelling.append(self._pool.submit(self._label, band, self._rows, self._halo))
        self._rows += self._filled
        self._buffer = np.empty_like(self._buffer)
        self._buffer[0] = band[-1]
        self._halo, self._filled = 1, 0
        # No more bands ahead than there are workers: their tables may be large.
        while len(self._labelling) > self._workers:
            self._append_tables()

    def _label(self, band: NDArray[np.uint8], row: int, halo: int) -> _Labelled:
        """Spill a band, and return where it is and its tables (runs in a worker)."""
        begins, values, first = self._runs.find_runs(band)
        unknown = np.flatnonzero((values >= self._classes) & (values != self._nodata))
        if unknown.size:
            row_of_band, col = divmod(int(begins[unknown[0]]), self._width)
            raise LabelError(
                f"class {values[unknown[0]]} at row {row - halo + row_of_band}, column {col} of "
                f"the map to clean up is none of its {self._classes} classes (0 to "
                f"{self._classes - 1})"
            )
        packed = self._runs.pack(begins, values, int(first[halo]))
        found = self._label_runs(
            begins, values, first, self._width, halo, self._min_area, self._roles
        )
        changes, tables = found[0], found[1:]
        place = _Place(
            rows=band.shape[0] - halo,
            position=self._pixels.append(packed),
            size=packed.size,
            first_change=self._changes.append(changes),
            changes=changes.shape[0],
        )
        return place, tables

    def _append_tables(self) -> None:
        """Take over what the worker found that has the uppermost band."""
        place, tables = self._labelling.popleft().result()
        self._bands.append((place, self._tables.append(*tables)))

    def _repaint(
        self, place: _Place, nodes: slice, classes: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Return the finished rows of a band (runs in a worker)."""
        packed = np.empty(place.size, np.uint8)
        changes = np.empty((place.changes, 2), np.int32)
        self._pixels.read(place.position, packed)
        self._changes.read(place.first_change, changes)
        pixels = np.empty((place.rows, self._width), np.uint8)
        self._runs.unpack(packed, pixels.reshape(-1))
        self._runs.repaint(pixels, changes, classes[nodes])
        return pixels


def remove_small_components(
    class_map: NDArray[np.uint8],
    min_area: int,
    *,
    classes: int = 255,
    keep: Collection[int] = (),
    nodata: int = 255,
    folder: Path | None = None,
    workers: int = 4,
) -> NDArray[np.uint8]:
    """Return a class map (rows, cols) that lies in memory without its small components.

    The rule is the module's; parameters and errors are those of `SmallComponents`.
    """
    if class_map.ndim != 2:
        raise InputError(f"a class map has rows and columns, not the shape {class_map.shape}")
    out = np.empty(class_map.shape, np.uint8)
    with SmallComponents(
        class_map.shape[1],
        min_area,
        classes=classes,
        keep=keep,
        nodata=nodata,
        folder=folder,
        workers=workers,
    ) as stream:
        stream.add_rows(class_map)
        row = 0
        for rows in stream.finish():
            out[row : row + rows.shape[0]] = rows
            row += rows.shape[0]
    return out


def _check_options(
    width: int,
    min_area: int,
    classes: int,
    keep: Collection[int],
    nodata: int,
    workers: int,
    band_rows: int,
) -> None:
    if width < 1:
        raise OptionError(f"a map to clean up needs at least one column, not {width}")
    if min_area < 0:
        raise OptionError(f"the least area of a component is a number of pixels, not {min_area}")
    if not 1 <= classes <= 255:
        raise OptionError(f"a map to clean up has 1 to 255 classes, not {classes}")
    if not 0 <= nodata <= 255:
        raise OptionError(f"nodata of a map to clean up is a value from 0 to 255, not {nodata}")
    strangers = sorted(index for index in keep if not 0 <= index < classes)
    if strangers:
        raise OptionError(f"classes to keep must be 0 to {classes - 1}, not {strangers}")
    if workers < 1:
        raise OptionError(f"at least one worker is needed, not {workers}")
    if band_rows < 1 or (band_rows + 1) * width > _MOST_BAND_PIXELS:
        raise OptionError(f"bands of {band_rows} rows of {width} columns are of no use")
