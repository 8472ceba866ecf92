"""Rows of finished pixels in, one whole Cloud Optimized GeoTIFF out.

Rows go uncompressed to a file of fixed layout, each to the place of its row, so the result depends
on the data alone: not on the order of arrival, nor on the number of threads. On leaving the
``with`` block, GDAL's COG driver makes the file from it; styles are written; and only then does
anything get the target's name.

Temporary files are `geoseg.raster.output`'s; they hold all pixels uncompressed while the raster is
made.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.raster.cog import RawLayout, write_cog
from geoseg.raster.grid import Grid
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.output import TemporaryFolder, check_output, output_error
from geoseg.raster.palette import Ramp
from geoseg.raster.style import class_aux_xml, class_qml, is_own_style, ramp_qml

__all__ = ["RasterWriter", "check_output"]

_SUFFIXES = (".tif", ".tiff")
_RAW = "rows.raw"
# Bytes read back at a time.
_PART = 4 << 20
# Files by which GDAL adds to a raster, behind its name.
_PARTS = (".aux.xml", ".ovr", ".msk")


class RasterWriter:
    """Writes one raster, all of it or nothing.

    A context manager; leaving it without an exception makes the file, leaving it with one (an
    interrupt by Ctrl-C included) leaves nothing, and what was there before stays as it was.

    Parameters
    ----------
    path
        Target, ``.tif`` or ``.tiff``. ``NAME.tif.aux.xml`` and ``NAME.qml`` are written beside it.
    grid
        Place and size; kept to the bit, rotated and south-up transforms too.
    band_names
        One a band, shown by QGIS and `geoseg info`.
    dtype
        NumPy name of the pixels' type.
    nodata
        Pixel value that means "no data"; None for none. NaN is possible for floating types.
    legend
        Makes it a class raster: one uint8 band, nodata 255, pixels are class ids.
    ramp
        Colours of a continuous raster, for its first band; see `ramp`.
    tags
        Metadata of the file, as from `geoseg.raster.provenance.provenance`.
    overwrite
        Whether a file of that name may be replaced.
    overview_resampling
        How the smaller copies are made: "mode" (by default for a legend), "average" (by default
        else), "nearest". By mode a pixel becomes the commonest of its four, of equally common ones
        that which, read row by row, is the first to be so common; nodata only where all four are.
    scales, offsets
        One a band, stored for readers: value = stored × scale + offset.
    units
        One a band, stored as the band's unit.
    blocksize
        Rows and columns of a tile in the file, a multiple of 16.
    workers
        Threads that compress.

    Attributes
    ----------
    ramp
        Colours of the first band, or None. Limits may be known only when all rows are there, so it
        may be set until the ``with`` block is left.

    Raises
    ------
    OutputError
        The target cannot be written (see `check_output`), the disk is full, or rows are missing at
        the end.
    """

    ramp: Ramp | None

    def __init__(
        self,
        path: str | Path,
        grid: Grid,
        *,
        band_names: Sequence[str],
        dtype: str,
        nodata: float | None,
        legend: Legend | None = None,
        ramp: Ramp | None = None,
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
        overview_resampling: str | None = None,
        scales: Sequence[float] | None = None,
        offsets: Sequence[float] | None = None,
        units: Sequence[str] | None = None,
        blocksize: int = 512,
        workers: int = 4,
    ) -> None:
        self.path = check_output(path, overwrite=overwrite, suffixes=_SUFFIXES)
        for beside in (_aux_path(self.path), self.path.with_suffix(".qml")):
            if beside.is_dir():
                raise OutputError(f"{self.path}: {beside}, which goes with it, is a folder")
        self.grid = grid
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self._layout = RawLayout(
            grid=grid,
            band_names=tuple(band_names),
            dtype=self.dtype,
            nodata=nodata,
            legend=legend,
            tags=dict(tags or {}),
            scales=tuple(scales) if scales is not None else None,
            offsets=tuple(offsets) if offsets is not None else None,
            units=tuple(units) if units is not None else None,
        )
        if legend is not None and (
            len(band_names) != 1 or self.dtype != np.uint8 or nodata != NODATA
        ):
            raise ValueError("a class raster is one band of uint8 with nodata 255")
        self._legend = legend
        self.ramp = ramp
        self._overwrite = overwrite
        self._blocksize = blocksize
        self._workers = workers
        self._resampling = overview_resampling or ("mode" if legend else "average")
        # Rows that somebody writes or wrote, and those that are in the file.
        self._taken = np.zeros(grid.height, dtype=np.bool_)
        self._arrived = np.zeros(grid.height, dtype=np.bool_)
        self._lock = threading.Lock()
        self._made: Path | None = None
        self._folder: TemporaryFolder | None = None
        self._raw: io.FileIO | None = None

    def __enter__(self) -> Self:
        self._folder = TemporaryFolder(self.path)
        try:
            self._folder.need_space(self._layout.total_bytes)
            self._raw = (self._folder.path / _RAW).open("x+b", buffering=0)
            self._raw.truncate(self._layout.total_bytes)
        except OSError as error:
            self._discard()
            raise output_error(error, self.path) from error
        except BaseException:
            self._discard()
            raise
        return self

    def write_rows(self, row: int, data: NDArray[Any]) -> None:
        """Write finished rows; any order, any thread, each row once.

        Parameters
        ----------
        row
            First row of `data` in the raster.
        data
            (bands, rows, width), or (rows, width) for a raster of one band; of the raster's dtype
            exactly.
        """
        bands, width = len(self._layout.band_names), self.grid.width
        if data.ndim == 2:
            data = data[np.newaxis]
        if data.ndim != 3 or data.shape[0] != bands or data.shape[2] != width:
            raise ValueError(f"rows of shape {data.shape}; expected ({bands}, rows, {width})")
        if data.dtype != self.dtype:
            raise ValueError(f"rows of type {data.dtype}; expected {self.dtype}")
        stop = row + data.shape[1]
        if row < 0 or stop > self.grid.height:
            raise ValueError(f"rows {row} to {stop} lie outside the raster's {self.grid.height}")
        raw = self._raw
        if raw is None:
            raise ValueError("rows are written inside the with block")
        with self._lock:
            if self._taken[row:stop].any():
                raise ValueError(f"some of the rows {row} to {stop} were written before")
            self._taken[row:stop] = True
        try:
            for band in range(bands):
                self._write_at(raw, data[band], self._layout.offset(band, row))
        except OSError as error:
            raise output_error(error, self.path) from error
        with self._lock:
            self._arrived[row:stop] = True

    def read_rows(self, first: int, stop: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read back rows that were written, inside the ``with`` block; any order, any thread.

        Parameters
        ----------
        first, stop
            First row, and the one after the last.
        out
            Where to put them: (bands, stop − first, width) of the raster's dtype, C-contiguous.

        Returns
        -------
        (bands, stop − first, width), `out` if it was given.

        Raises
        ------
        OutputError
            The file that holds them cannot be read.
        ValueError
            Some of the rows have not arrived, or `out` is of another kind.
        """
        if not 0 <= first <= stop <= self.grid.height:
            raise ValueError(f"rows {first} to {stop} lie outside the raster's {self.grid.height}")
        shape = (len(self._layout.band_names), stop - first, self.grid.width)
        rows = np.empty(shape, self.dtype) if out is None else out
        if rows.shape != shape or rows.dtype != self.dtype or not rows.flags.c_contiguous:
            raise ValueError(f"rows are read into a contiguous array of {shape}, {self.dtype}")
        raw = self._raw
        if raw is None:
            raise ValueError("rows are read inside the with block")
        with self._lock:
            missing = stop - first - int(np.count_nonzero(self._arrived[first:stop]))
        if missing:
            raise ValueError(f"{missing} of the rows {first} to {stop} have not arrived")
        try:
            for band in range(shape[0] if rows.size else 0):
                self._read_at(raw, rows[band], self._layout.offset(band, first))
        except OSError as error:
            raise output_error(error, self.path) from error
        return rows

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                self._finish()
        except OSError as error:
            raise output_error(error, self.path) from error
        finally:
            self._discard()

    def _write_at(self, raw: io.FileIO, rows: NDArray[Any], offset: int) -> None:
        """Write the whole of `rows` at a place of a file (the system may write less at once)."""
        left = np.ascontiguousarray(rows).data.cast("B")
        while left:
            if sys.platform == "win32":  # no writing at a place there
                with self._lock:
                    raw.seek(offset)
                    written = raw.write(left)
            else:
                written = os.pwrite(raw.fileno(), left, offset)
            left, offset = left[written:], offset + written

    def _read_at(self, raw: io.FileIO, rows: NDArray[Any], offset: int) -> None:
        """Fill `rows` from a place of a file (the system may read less at once)."""
        left = rows.data.cast("B")
        while left:
            if sys.platform == "win32":  # no reading at a place there
                with self._lock:
                    raw.seek(offset)
                    part = raw.read(min(len(left), _PART)) or b""
            else:
                part = os.pread(raw.fileno(), min(len(left), _PART), offset)
            if not part:
                raise OSError(errno.EIO, "the file of finished rows was cut short")
            left[: len(part)] = part
            left, offset = left[len(part) :], offset + len(part)

    def make(self) -> None:
        """Make the file, all rows having been written, but give it no name yet.

        For outputs that shall appear together: what may fail is done when all are made. Leaving the
        ``with`` block does it otherwise.

        Raises
        ------
        OutputError
            Rows are missing, or the disk is full.
        """
        try:
            self._make()
        except OSError as error:
            raise output_error(error, self.path) from error

    def _make(self) -> Path:
        """Make the file in the hidden folder, once."""
        if self._made is not None:
            return self._made
        folder = self._folder
        missing = int(self.grid.height - np.count_nonzero(self._arrived))
        if folder is None or missing:
            raise OutputError(
                f"{self.path}: {missing} of {self.grid.height} rows were never written; "
                "no file was made"
            )
        made = folder.path / self.path.name
        write_cog(
            folder.path / _RAW,
            made,
            self._layout,
            target=self.path,
            resampling=self._resampling,
            blocksize=self._blocksize,
            workers=self._workers,
        )
        self._made = made
        return made

    def _finish(self) -> None:
        """Make the file and give it its name."""
        made = self._make()
        if self._folder is not None:
            self._folder.publish(
                made, self._sidecars(made), overwrite=self._overwrite, stale=self._stale_files()
            )

    def _sidecars(self, made: Path) -> dict[Path, str]:
        """Texts of the files beside the raster, by their places."""
        texts: dict[Path, str] = {}
        by_gdal = _aux_path(made)
        beyond_tiff = by_gdal.read_bytes() if by_gdal.is_file() else None
        if self._legend is not None:
            texts[_aux_path(self.path)] = class_aux_xml(self._legend, beyond_tiff)
            texts[self.path.with_suffix(".qml")] = class_qml(self._legend)
        elif beyond_tiff is not None:
            texts[_aux_path(self.path)] = beyond_tiff.decode()
        if self.ramp is not None:
            texts[self.path.with_suffix(".qml")] = ramp_qml(self.ramp)
        return texts

    def _stale_files(self) -> list[Path]:
        """Files of an old raster of this name that would be taken for parts of the new one."""
        stale = [self.path.with_name(self.path.name + part) for part in _PARTS]
        style = self.path.with_suffix(".qml")
        if style.is_file() and is_own_style(style):  # a style that a person made is theirs
            stale.append(style)
        return stale

    def _discard(self) -> None:
        """Close and remove everything temporary; safe to call again."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None


def _aux_path(path: Path) -> Path:
    """Where GDAL looks for what a raster's own format cannot hold."""
    return path.with_name(path.name + ".aux.xml")
