"""Fetched windows to rows of rasters: some rows at a time, from files that are mapped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.earthengine.expression import CLEAR, KNOWN, LABEL
from geoseg.compositing.earthengine.labels import as_stored
from geoseg.compositing.earthengine.plan import Layer, moved
from geoseg.compositing.earthengine.store import Store
from geoseg.compositing.reduce import MOST_DATES
from geoseg.compositing.storage import Storage
from geoseg.errors import EarthEngineError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.window import Window

_SLAB_BYTES = 64 << 20
"""Of rows that are put together at once."""


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """Rows of a grid that windows cover."""

    store: Store
    grid: Grid
    windows: Sequence[Window]
    """As they were asked for; those without a pixel of the area are not among them."""
    area: Region | None
    """Where there are pixels, on a grid of which this one is a part."""
    origin: tuple[int, int]
    """Row and column there of this grid's first pixel."""

    def rows(self, layer: Layer) -> Iterator[tuple[int, NDArray[Any], NDArray[np.bool_] | None]]:
        """Yield the rows of a layer from top to bottom.

        Yields
        ------
        row, pixels, inside
            The first row; (rows, width) of the layer's type, 0 where nothing was fetched; and
            (rows, width), where the area lies, None for everywhere.
        """
        found = [p for window in self.windows for p in self.store.pieces(layer, window)]
        pieces = deque(sorted(found, key=lambda piece: (piece.row, piece.col)))
        height = max(1, _SLAB_BYTES // (self.grid.width * layer.dtype.itemsize))
        open_ones: list[tuple[Window, NDArray[Any]]] = []
        for row in range(0, self.grid.height, height):
            stop = min(row + height, self.grid.height)
            open_ones = [one for one in open_ones if one[0].row_stop > row]
            while pieces and pieces[0].row < stop:
                window = pieces.popleft()
                open_ones.append((window, self.store.opened(layer, window)))
            slab = np.zeros((stop - row, self.grid.width), layer.dtype)
            for window, pixels in open_ones:
                top, bottom = max(row, window.row), min(stop, window.row_stop)
                slab[top - row : bottom - row, window.col : window.col_stop] = pixels[
                    top - window.row : bottom - window.row
                ]
            inside = None
            if self.area is not None:
                whole = Window(row, 0, stop - row, self.grid.width)
                inside = self.area.mask(moved(whole, self.origin))
            yield row, slab, inside

    def write_composite(
        self, layer: Layer, storage: Storage, writers: Sequence[RasterWriter], images: int
    ) -> tuple[NDArray[np.int64], int]:
        """Write the composite, and the counts as its last band or to a second writer.

        Parameters
        ----------
        layer
            What was fetched: the bands, and `CLEAR` as the last.
        storage
            How values are stored.
        writers
            The composite's and, where counts go to a file of their own, theirs.
        images
            How many images there are.

        Returns
        -------
        counts, clipped
            (images + 1,) pixels of the area by their number of clear images; and how many values
            the stored type could not hold.

        Raises
        ------
        EarthEngineError
            More images were counted than there are.
        """
        names = [name for name in layer.dtype.names or () if name != CLEAR]
        beside = len(writers) > 1
        numbers = np.zeros(images + 1, np.int64)
        clipped = 0
        most = 32767 if storage.dtype == "int16" else MOST_DATES
        for row, pixels, inside in self.rows(layer):
            counts = pixels[CLEAR]
            seen = counts if inside is None else counts[inside]
            found = np.bincount(seen.ravel(), minlength=len(numbers))
            if len(found) > len(numbers):
                raise EarthEngineError(
                    f"Earth Engine counted {len(found) - 1} clear images of {images}; images came "
                    "in meanwhile: begin anew with --overwrite"
                )
            numbers += found
            if inside is not None:
                counts = np.where(inside, counts, 0).astype(np.uint16)
            values = np.stack([pixels[name] for name in names])
            values[:, counts == 0] = np.nan
            rows = np.empty((len(names) + (not beside), *counts.shape), storage.dtype)
            clipped += storage.store(values, rows[: len(names)])
            if beside:
                writers[1].write_rows(row, counts)
            else:
                rows[-1] = np.minimum(counts, most)
            writers[0].write_rows(row, rows)
        return numbers, clipped

    def label_counts(self, layer: Layer) -> dict[int, int]:
        """Count the pixels of the area by their label."""
        found: dict[int, int] = {}
        for _, pixels, inside in self.rows(layer):
            known = pixels[KNOWN] != 0
            if inside is not None:
                known &= inside
            values, counts = np.unique(pixels[LABEL][known], return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                found[value] = found.get(value, 0) + count
        return found

    def write_labels(self, layer: Layer, legend: Legend | None, writer: RasterWriter) -> None:
        """Write the labels as a class raster, or as 16 bits without a legend."""
        for row, pixels, inside in self.rows(layer):
            if inside is not None:
                pixels[KNOWN][~inside] = 0
            writer.write_rows(row, as_stored(pixels, legend))
