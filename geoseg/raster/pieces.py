"""Reading pixels where they lie: windows of a scene's own grid, out of the files that hold them.

Knows files, masks and nodata; knows neither coordinates nor other grids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from geoseg.raster.bands import Piece, Source, comparable_nodata
from geoseg.raster.far.absent import blocks_found, check_present
from geoseg.raster.far.patient import read_patiently
from geoseg.raster.far.small import read_small
from geoseg.raster.opening.handles import Handles, is_local_file
from geoseg.raster.opening.sparse import known_missing
from geoseg.raster.orientation import Orientation
from geoseg.raster.recolour import Recolour
from geoseg.raster.window import Window

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pieces:
    """The files of a scene and where each lies; reads from any thread."""

    pieces: tuple[Piece, ...]
    """In the order in which they win where they overlap."""
    dtype: np.dtype[Any]
    """Type that holds every band."""
    handles: Handles
    recolour: Recolour | None = None
    """Changes what was read; None leaves it as it is in the files."""

    def select(self, order: Sequence[int], dtype: np.dtype[Any]) -> Pieces:
        """Keep the bands at these positions, in this order."""
        chosen = tuple(piece.select(order) for piece in self.pieces)
        recolour = None if self.recolour is None else self.recolour.select(order)
        return Pieces(chosen, dtype, self.handles, recolour)

    def read(self, window: Window, out: NDArray[Any]) -> Mask:
        """Read a window into (bands, rows, cols); 0 where no file has a pixel.

        Returns
        -------
        (rows, cols), True where every band has a reading.

        Raises
        ------
        RasterReadError
            A file cannot be read there.
        """
        valid = self._read(window, out)
        if self.recolour is not None:
            self.recolour.apply(out, valid, window)
        return valid

    def _read(self, window: Window, out: NDArray[Any]) -> Mask:
        touching = [(p, part) for p in self.pieces if (part := window.intersection(p.window))]
        if len(touching) == 1 and touching[0][1] == window:
            return self.read_piece(touching[0][0], window, out)
        out[...] = 0
        valid = np.zeros((window.height, window.width), bool)
        for piece, part in touching:
            at = part.slices(row_origin=window.row, col_origin=window.col)
            wanted = ~valid[at]
            if not wanted.any():
                continue
            data = np.empty((len(out), part.height, part.width), self.dtype)
            found = self.read_piece(piece, part, data) & wanted
            np.copyto(out[(slice(None), *at)], data, where=found)
            valid[at] |= found
        return valid

    def read_piece(self, piece: Piece, window: Window, out: NDArray[Any]) -> Mask:
        """Read a window that lies in one piece, in its own colour; coarsely if `out` is smaller."""
        valid = np.ones(out.shape[1:], bool)
        place = RasterioWindow(
            window.col - piece.window.col,
            window.row - piece.window.row,
            window.width,
            window.height,
        )
        for source in piece.sources:
            first, count = source.positions[0], len(source.positions)
            self._read_source(source, place, out[first : first + count], valid)
        return valid

    def _read_source(
        self, source: Source, place: RasterioWindow, out: NDArray[Any], valid: Mask
    ) -> None:
        if self._fill(source, place, out, valid):
            return
        if source.turned is not None:
            # Everything is read as it is stored, into views that are turned back.
            place = _stored(source.turned, place)
            out, valid = source.turned.as_stored(out), source.turned.as_stored(valid)

        as_stored = (place.height, place.width) == valid.shape

        def decode(part: RasterioWindow, bands: slice, rows: slice, cols: slice) -> None:
            at = (rows, cols) if as_stored else (slice(None), slice(None))
            some = replace(source, indexes=source.indexes[bands])
            self._decode(some, part, out[(bands, *at)], valid[at])

        read_patiently(
            decode,
            source.path,
            place,
            self.handles,
            bands=len(source.indexes),
            in_parts=as_stored,
        )
        for band, nodata in zip(out, source.nodata, strict=True):
            if self.dtype.kind == "f":
                valid &= np.isfinite(band)
            value = comparable_nodata(nodata, source.dtype, self.dtype)
            if value is not None:
                valid &= band != value

    def _fill(self, source: Source, place: RasterioWindow, out: NDArray[Any], valid: Mask) -> bool:
        """Fill a window with what GDAL makes of it, if none of its blocks is in the file."""
        window = Window(place.row_off, place.col_off, place.height, place.width)
        if (
            (source.mask, source.alpha, source.turned) != ("none", None, None)
            or out.shape[1:] != (window.height, window.width)
            or not is_local_file(source.path)
        ):
            return False
        blocks = known_missing(source.path)
        if blocks is None or not blocks.has_none(window):
            return False
        with self.handles.borrow(source.path) as dataset:
            own = [dataset.nodatavals[index - 1] for index in source.indexes]
        values = [_filling(value, source.dtype, self.dtype) for value in own]
        if any(value is None for value in values):
            return False
        for band, value, nodata in zip(out, values, source.nodata, strict=True):
            band[...] = value
            none = comparable_nodata(nodata, source.dtype, self.dtype)
            if value == none or not np.isfinite(value):
                valid[...] = False
        return True

    def _decode(
        self, source: Source, place: RasterioWindow, out: NDArray[Any], valid: Mask
    ) -> None:
        """Read a window as it is stored; may be done again where it failed."""
        if source.mask == "none" and valid.shape == (place.height, place.width):
            extra = () if source.alpha is None else (source.alpha,)
            small = read_small(self.handles, source.path, (*source.indexes, *extra), place)
            if small is not None:
                out[...] = small[: len(out)]
                if extra:
                    valid &= small[-1] != 0
                return
        with self.handles.borrow(source.path) as dataset:
            shown: list[NDArray[Any]] = []
            with blocks_found(source.path):
                if np.dtype(source.dtype) == self.dtype and source.turned is None:
                    dataset.read(source.indexes, window=place, out=out)
                else:
                    out[...] = dataset.read(source.indexes, window=place, out_shape=out.shape)
                if source.alpha is not None:
                    shown.append(dataset.read(source.alpha, window=place, out_shape=valid.shape))
                if source.mask == "dataset":
                    first = source.indexes[0]
                    shown.append(dataset.read_masks(first, window=place, out_shape=valid.shape))
                elif source.mask == "band":
                    masks = dataset.read_masks(source.indexes, window=place, out_shape=out.shape)
                    shown.extend(masks)
            if valid.shape == (place.height, place.width):
                more = () if source.alpha is None else (source.alpha,)
                check_present(dataset, source.path, (*source.indexes, *more), place)
        # Not before all is known to be right: what is taken away is not given back.
        for mask in shown:
            valid &= mask != 0

    def have_overviews(self, factor: float) -> bool:
        """Tell whether every file can be read at one in `factor` pixels without decoding it all."""
        for piece in self.pieces:
            for source in piece.sources:
                with self.handles.borrow(source.path) as dataset:
                    levels = dataset.overviews(source.indexes[0])
                if not levels or max(levels) * 2 < factor:
                    return False
        return True


def _filling(nodata: float | None, dtype: str, common: np.dtype[Any]) -> Any:
    """Return what GDAL makes of a block that is not in the file; None where it is not sure."""
    if nodata is None:
        return common.type(0)
    if not np.isfinite(nodata):
        return common.type(nodata) if np.dtype(dtype).kind == "f" else None
    return comparable_nodata(nodata, dtype, common)


def _stored(turned: Orientation, place: RasterioWindow) -> RasterioWindow:
    window = Window(place.row_off, place.col_off, place.height, place.width)
    there = turned.stored(window)
    return RasterioWindow(there.col, there.row, there.width, there.height)
