"""Rows of finished pixels in, one whole Cloud Optimized GeoTIFF out.

Rows go uncompressed to a file of fixed layout, each to the place of its row, so the result depends
on the data alone: not on the order of arrival, nor on the number of threads. Tiles whose rows are
there are compressed and halved meanwhile (`geoseg.raster.cog.pyramid`). On leaving the ``with``
block the file is put together; styles are written; and only then does anything get the target's
name. Temporary files hold all pixels meanwhile, uncompressed and compressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.raster.cog.arrivals import Arrivals
from geoseg.raster.cog.halving import Halving
from geoseg.raster.cog.head import Head, Layout, cog_head
from geoseg.raster.cog.pyramid import Pyramid
from geoseg.raster.cog.tilepacking import PackedRows, PackedTile, TilePacking
from geoseg.raster.cog.waiting import WaitingRows
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.legend.beside import aux_path, sidecars, stale_files
from geoseg.raster.legend.palette import Ramp
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.kept import KEPT_ROWS, KeptFolder
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.window import Window

__all__ = ["RasterWriter", "check_output"]

_SUFFIXES = (".tif", ".tiff")
BLOCKSIZE = 512  # rows and columns of a tile, by default


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
        else), "nearest"; see `geoseg.raster.cog.halving`.
    scales, offsets
        One a band, stored for readers: value = stored × scale + offset.
    units
        One a band, stored as the band's unit.
    blocksize
        Rows and columns of a tile in the file, a multiple of 16.
    workers
        Threads that compress.
    kept
        Where rows wait that shall outlive a stopped run; the caller removes it when all is done.
    arrived
        Rows, from the first, that such a run had written (see `flush`) and that are taken over.
    noted
        Where tiles are written: what `flush` told such a run, whose tiles `take_tiles` takes over;
        0 to keep them for a later run. None where rows are.
    sums
        What `sums` told it of what is taken over, which must be the same; None where nothing did.

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
        overview_resampling: Halving | None = None,
        scales: Sequence[float] | None = None,
        offsets: Sequence[float] | None = None,
        units: Sequence[str] | None = None,
        blocksize: int = BLOCKSIZE,
        workers: int = 4,
        kept: KeptFolder | None = None,
        arrived: int = 0,
        noted: int | None = None,
        sums: Sequence[int] | None = None,
    ) -> None:
        self.path = check_output(path, overwrite=overwrite, suffixes=_SUFFIXES)
        for beside in (aux_path(self.path), self.path.with_suffix(".qml")):
            if beside.is_dir():
                raise OutputError(f"{self.path}: {beside}, which goes with it, is a folder")
        self.grid = grid
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self._layout = Layout(
            grid=grid,
            band_names=tuple(band_names),
            dtype=self.dtype,
            nodata=nodata,
            legend=legend,
            tags=dict(tags or {}),
            scales=tuple(scales) if scales is not None else None,
            offsets=tuple(offsets) if offsets is not None else None,
            units=tuple(units) if units is not None else None,
            blocksize=blocksize,
        )
        self._legend = legend
        self.ramp = ramp
        self._overwrite = overwrite
        self.blocksize = blocksize
        self._workers = workers
        self._halving: Halving = overview_resampling or ("mode" if legend else "average")
        if self._halving not in get_args(Halving):
            raise ValueError(f"overviews are not made by {self._halving!r}")
        self._arrivals = Arrivals(grid.height, grid.width, blocksize)
        self._made: Path | None = None
        self._kept = kept
        self._arrived = arrived
        self._noted, self._wanted = noted, sums
        self._folder: TemporaryFolder | None = None
        self._raw: WaitingRows | None = None
        self._head: Head | None = None
        self._pyramid: Pyramid | None = None

    def __enter__(self) -> Self:
        self._folder = self._kept or TemporaryFolder(self.path)
        layout, arrived, workers = self._layout, self._arrived, self._workers
        try:
            self._folder.need_space(layout.row_bytes * (self.grid.height - arrived))
            place, how = self._folder.path, self._halving
            head = cog_head(layout, place, target=self.path, resampling=how)
            self._raw = WaitingRows(place / KEPT_ROWS, layout, again=arrived > 0)
            if self._kept is not None and self._noted is None:
                self._raw.sum_up(arrived, self._wanted)
            known = {"noted": self._noted, "wanted": (self._wanted or (None,))[0]}
            self._pyramid = Pyramid(
                layout, head, place, target=self.path, how=how, workers=workers, **known
            )
            self._head = head
            self._arrivals.take_rows(0, arrived)
            self._compress(0, arrived, {})
        except BaseException as error:
            self._discard()
            if isinstance(error, OSError):
                raise output_error(error, self.path) from error
            raise
        return self

    def write_rows(self, row: int, data: NDArray[Any], packed: PackedRows | None = None) -> None:
        """Write finished rows; any order, any thread, each row once.

        Parameters
        ----------
        row
            First row of `data` in the raster.
        data
            (bands, rows, width), or (rows, width) for a raster of one band; of the raster's dtype
            exactly.
        packed
            Rows of tiles that were packed elsewhere, used for those that these rows make whole.
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
        self._arrivals.take_rows(row, stop)
        try:
            raw.write(row, data)
            self._compress(row, stop, packed or {})
        except OSError as error:
            raise output_error(error, self.path) from error

    def _compress(self, first: int, stop: int, packed: PackedRows) -> None:
        """Take it that rows are there, and compress the tiles that are whole with them."""
        if self._pyramid is not None and self._raw is not None:
            for tile_row in self._arrivals.rows_arrived(first, stop):
                self._pyramid.add_row(tile_row, self._raw.read_tile, packed.get(tile_row))

    def flush(self) -> int:
        """Have what was written on the disk itself; return what a later run is told as `noted`.

        Raises
        ------
        OutputError
            The disk is full, or fails.
        """
        try:
            if self._noted is not None and self._pyramid is not None:
                return self._pyramid.flush()
            if self._raw is not None:
                self._raw.flush()
        except OSError as error:
            raise output_error(error, self.path) from error
        return 0

    def sums(self, rows: int) -> tuple[int, ...]:
        """Return sums of the first rows, if they came in order, or of the tiles at `flush`."""
        if self._noted is not None:
            return (self._inside().noted_sum,)
        return (self._raw and self._raw.sums(rows)) or ()

    def take_tiles(self, pixels: Window) -> None:
        """Take over whole tiles that an earlier run wrote; see `noted`.

        Raises
        ------
        OutputError
            One is not there.
        """
        for tile in self._arrivals.take_tiles(pixels):
            if self._pyramid is None or not self._pyramid.holds(*tile):
                raise OutputError(
                    f"{self.path}: finished tiles of it are gone; begin anew with --overwrite"
                )

    def write_tiles(self, row: int, col: int, data: NDArray[Any]) -> None:
        """Write finished pixels of whole tiles, in any order, from any thread, each tile once.

        They are compressed at once, in this thread, and need no room on disk before: better than
        rows, for who can have tiles. What is written so cannot be read back.

        Parameters
        ----------
        row, col
            First row and column of `data` in the raster, multiples of `blocksize`.
        data
            (bands, rows, cols) of the raster's dtype exactly; whole tiles, or up to the raster's
            edges.
        """
        if len(data) != len(self._layout.band_names) or data.dtype != self.dtype:
            raise ValueError(f"tiles of {data.dtype}, {len(data)} bands; expected {self.dtype}")
        pyramid = self._inside()
        try:
            for tile in self._arrivals.take_tiles(Window(row, col, *data.shape[1:])):
                at = self._layout.tile(*tile).slices(row_origin=row, col_origin=col)
                pyramid.add_tile(*tile, data[(slice(None), *at)])
        except OSError as error:
            raise output_error(error, self.path) from error

    @property
    def packing(self) -> TilePacking:
        """How tiles are compressed, for who does it elsewhere; inside the ``with`` block."""
        return self._inside().packing

    def write_packed(self, pixels: Window, tiles: Sequence[PackedTile]) -> None:
        """Write whole tiles that were packed elsewhere, row by row of tiles; as `write_tiles`."""
        pyramid = self._inside()
        try:
            for tile, packed in zip(self._arrivals.take_tiles(pixels), tiles, strict=True):
                pyramid.add_packed(*tile, packed)
        except OSError as error:
            raise output_error(error, self.path) from error

    def _inside(self) -> Pyramid:
        if self._pyramid is None:
            raise ValueError("tiles are written inside the with block")
        return self._pyramid

    def read_rows(self, first: int, stop: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read back rows that were written, inside the ``with`` block; any order, any thread.

        Parameters
        ----------
        first, stop
            First row, and the one after the last.
        out
            Where to put them, returned: (bands, stop − first, width) of its dtype, C-contiguous.

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
        missing = self._arrivals.absent(first, stop)
        if missing:
            raise ValueError(f"{missing} of the rows {first} to {stop} have not arrived")
        try:
            raw.read(first, rows)
        except OSError as error:
            raise output_error(error, self.path) from error
        return rows

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as error:
            raise output_error(error, self.path) from error
        finally:
            self._discard()

    def make(self) -> Path:
        """Make the file in the hidden folder, once, all rows having been written; return it.

        For outputs that shall appear together: what may fail is done when all are made. Leaving the
        ``with`` block does it otherwise.

        Raises
        ------
        OutputError
            Rows are missing, or the disk is full.
        """
        if self._made is not None:
            return self._made
        folder, pyramid = self._folder, self._pyramid
        missing = self._arrivals.missing()
        if folder is None or pyramid is None or missing:
            raise OutputError(
                f"{self.path}: {missing} of {self.grid.height} rows were never written; "
                "no file was made"
            )
        made = folder.path / self.path.name
        try:
            pyramid.write(made)
        except OSError as error:
            raise output_error(error, self.path) from error
        self._made = made
        return made

    def _finish(self) -> None:
        """Make the file and give it its name."""
        made = self.make()
        beyond = None if self._head is None else self._head.beyond
        if self._folder is not None:
            self._folder.publish(
                made,
                sidecars(self.path, self._legend, self.ramp, beyond),
                overwrite=self._overwrite,
                stale=stale_files(self.path),
            )

    def _discard(self) -> None:
        """Close and remove everything temporary; safe to call again."""
        if self._pyramid is not None:
            self._pyramid.close()
            self._pyramid = None
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        if self._folder is not None and self._folder is not self._kept:
            self._folder.remove()
        self._folder = None
