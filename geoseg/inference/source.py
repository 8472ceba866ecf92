"""A scene as tiles of normalised pixels that a network can be fed, a band of rows at a time.

The file is read by strips in worker threads; what tiles still need is kept, what they have passed
is let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from geoseg.inference.members import InputSpec
from geoseg.inference.transfers import Mover
from geoseg.models.normalise import Normalisation
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import Strip, read_strips
from geoseg.raster.window import Window

STRIP_ROWS = 256
"""About how many rows are read at once."""


class Area(Protocol):
    """Where a map is wanted."""

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(rows, cols), True where it is wanted."""
        ...


class KnownArea(Area, Protocol):
    """One that can be told from others."""

    def fingerprint(self) -> str:
        """Digest of what it covers."""
        ...


class RollingRows:
    """Rows ``first … stop − 1`` of something endless, appended below and let go above.

    Parameters
    ----------
    channels, width
        Of the rows.
    dtype, device
        Of the rows.
    live
        About how many rows are kept when others are appended, so that memory is asked for once.
    first
        Number of the first row.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        live: int = 0,
        first: int = 0,
    ) -> None:
        self._live = live
        self.first = self.stop = self._origin = first
        self._data = torch.empty((channels, 0, width), dtype=dtype, device=device)

    @property
    def capacity(self) -> int:
        """Rows that fit without asking for memory."""
        return self._data.shape[1]

    def append(self, rows: torch.Tensor) -> None:
        """Add (channels, n, width) below."""
        live, capacity = self.stop - self.first, self.capacity
        end = self.stop - self._origin
        if end + rows.shape[1] > capacity:
            keep = self._data[:, self.first - self._origin : end]
            if live + rows.shape[1] > capacity:
                capacity = max(live, self._live) + rows.shape[1]
                shape = (self._data.shape[0], capacity, self._data.shape[2])
                grown = torch.empty(shape, dtype=self._data.dtype, device=self._data.device)
                grown[:, :live] = keep
                self._data = grown
            elif self.first > self._origin:
                # Towards the front, no more rows at once than lie between source and target.
                step = self.first - self._origin
                for row in range(0, live, step):
                    stop = min(row + step, live)
                    self._data[:, row:stop] = keep[:, row:stop]
            self._origin = self.first
            end = live
        self._data[:, end : end + rows.shape[1]] = rows
        self.stop += rows.shape[1]

    def rows(self, first: int, stop: int) -> torch.Tensor:
        """Return (channels, stop − first, width), a view that lasts until the next `append`."""
        return self._data[:, first - self._origin : stop - self._origin]

    def discard(self, before: int) -> None:
        """Let rows above `before` go."""
        self.first = min(max(self.first, before), self.stop)


class InputRows:
    """Rows of a scene as they were read, normalised tile by tile, and where a class is wanted.

    Readings are kept in the file's own type, which is a fraction of their size as numbers of a
    network; a tile is normalised when it is asked for, by the thread that computes it.

    Parameters
    ----------
    scene
        Its bands are found by the names in `specs`.
    specs
        What the networks want to be fed.
    area
        Where a map is wanted; everywhere if None.
    scale
        1, or n to reduce the scene n times along both axes: a pixel is the mean of the valid ones
        among n × n.
    workers
        Threads that read.
    device
        Where the inputs shall lie.
    live
        About how many rows of the reduced scene are needed at once.
    first
        First row of the reduced scene that is needed.
    stop
        First row that is not; the scene's height if None, or where it is beyond that.

    Attributes
    ----------
    height, width
        Size of the reduced scene.
    reach
        How many pixels from a wanted one means are asked for: 1 in a reduced scene, whose pixels
        are interpolated between, else 0.
    """

    def __init__(
        self,
        scene: Scene,
        specs: Sequence[InputSpec],
        *,
        area: Area | None,
        scale: int,
        workers: int,
        device: torch.device,
        live: int = 0,
        first: int = 0,
        stop: int | None = None,
    ) -> None:
        names = list(dict.fromkeys(name for spec in specs for name in spec.bands))
        self._scene = scene.select(names)
        order = [[names.index(name) for name in spec.bands] for spec in specs]
        self._order = [None if chosen == list(range(len(names))) else chosen for chosen in order]
        self._normal = [Normalisation.of(spec.mean, spec.std, device) for spec in specs]
        self._filled = [
            normal(torch.full((len(spec.bands), 1, 1), spec.fill, device=device))
            for normal, spec in zip(self._normal, specs, strict=True)
        ]
        self._area = area
        self._scale = scale
        self.reach = 1 if scale > 1 else 0
        self._device = device
        self._moved = Mover(device)
        grid = scene.grid
        self.full_height, self.full_width = grid.height, grid.width
        self.height, self.width = -(-grid.height // scale), -(-grid.width // scale)
        readings = self._readings(self._scene.dtype) if scale == 1 else torch.float32
        rows = partial(RollingRows, live=live, first=first)
        cpu = torch.device("cpu")
        self._raw = rows(len(names), self.width, dtype=readings, device=device)
        self._valid = rows(1, self.width, dtype=torch.bool, device=device)
        self._wanted = rows(1, self.width, dtype=torch.bool, device=cpu)
        self._full_wanted = (
            RollingRows(
                1,
                self.full_width,
                dtype=torch.bool,
                device=cpu,
                live=live * scale,
                first=first * scale,
            )
            if scale > 1
            else None
        )
        self._left_over: tuple[torch.Tensor, ...] | None = None
        top = first * scale
        bottom = self.full_height if stop is None else min(stop * scale, self.full_height)
        self._strips = self._read(workers, Window(top, 0, bottom - top, self.full_width))

    @staticmethod
    def _readings(dtype: np.dtype[Any]) -> torch.dtype:
        """Type that keeps readings on the way to float32."""
        return torch.from_numpy(np.empty(0, dtype)).dtype

    def _read(self, workers: int, window: Window) -> Iterator[Strip]:
        rows = STRIP_ROWS * (1 if self._scale == 1 else 2)
        strips: Iterator[Strip] = read_strips(
            [self._scene], window=window, target_rows=rows, workers=workers, convert=self._convert
        )
        return strips

    def _convert(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Find out where a class is wanted; runs in the reading threads."""
        data, valid = pixels[0].data, pixels[0].valid
        wanted = valid if self._area is None else valid & self._area.mask(window)
        return (data, valid), wanted

    def load(self, stop: int) -> None:
        """Read until the rows above `stop` are there."""
        while self._wanted.stop < min(stop, self.height):
            strip = next(self._strips)
            raw, valid = (torch.from_numpy(array) for array in strip.arrays)
            wanted = torch.from_numpy(strip.valid)[None]
            if self._scale == 1:
                self._append(raw, valid[None], wanted)
            else:
                self._reduce(raw, valid[None], wanted)
            del strip, raw, valid, wanted  # or they would be held while the next is waited for

    def _append(self, raw: torch.Tensor, valid: torch.Tensor, wanted: torch.Tensor) -> None:
        self._raw.append(self._moved(raw))
        self._valid.append(self._moved(valid))
        self._wanted.append(wanted)

    def _reduce(self, raw: torch.Tensor, valid: torch.Tensor, wanted: torch.Tensor) -> None:
        """Take n × n pixels together; rows that do not fill a whole n wait for the next strip."""
        n = self._scale
        if self._full_wanted is None:
            raise RuntimeError("only a reduced scene keeps its wanted pixels at full size")
        self._full_wanted.append(wanted)
        parts: tuple[torch.Tensor, ...] = (raw.to(torch.float32), valid, wanted)
        if self._left_over is not None:
            joined = zip(self._left_over, parts, strict=True)
            parts = tuple(torch.cat(pair, dim=1) for pair in joined)
        last = self._full_wanted.stop == self.full_height
        rows = parts[0].shape[1]
        take = rows if last else rows - rows % n
        self._left_over = tuple(part[:, take:].clone() for part in parts)
        if take == 0:
            return
        raw, valid, wanted = (part[:, :take] for part in parts)
        count = _sums(valid.float(), n)
        mean = _sums(torch.where(valid, raw, 0.0), n) / count.clamp(min=1)
        self._append(mean, count > 0, _sums(wanted.float(), n) > 0)

    def tiles(self, row: int, height: int, cols: Sequence[int], width: int) -> list[torch.Tensor]:
        """Cut tiles out of rows that are there, and normalise them.

        Parameters
        ----------
        row, height
            First row, and number of rows, of every tile.
        cols, width
            First column of each tile, and their number of columns.

        Returns
        -------
        For each specification (tiles, bands, height, width) float32: (reading − mean) / std, with
        the fill for a reading in every band of an invalid pixel.
        """
        raw, mask = (
            _cut(rows.rows(row, row + height), cols, width) for rows in (self._raw, self._valid)
        )
        # Asking costs a pass on the processor, and a wait on a card.
        whole = self._device.type == "cpu" and bool(mask.all())
        inputs = []
        for order, normal, filled in zip(self._order, self._normal, self._filled, strict=True):
            # A list of indices makes a slower copy, and torch 2.9 knows none of unsigned 16 bits.
            chosen = raw if order is None else torch.stack([raw[:, band] for band in order], dim=1)
            x = normal(chosen)
            inputs.append(x if whole else torch.where(mask, x, filled))
        return inputs

    def wanted(self, row: int, height: int) -> NDArray[np.bool_]:
        """(height, width) at the reduced size: valid, and inside the area."""
        mask: NDArray[np.bool_] = self._wanted.rows(row, row + height)[0].numpy()
        return mask

    def full_wanted(self, row: int, height: int) -> NDArray[np.bool_]:
        """(height, full width) at the scene's own size."""
        rolling = self._wanted if self._full_wanted is None else self._full_wanted
        mask: NDArray[np.bool_] = rolling.rows(row, row + height)[0].numpy()
        return mask

    def passed(self, before: int) -> None:
        """Say that no tile will be cut out of rows above."""
        self._raw.discard(before)
        self._valid.discard(before)

    def discard(self, before: int, *, full_before: int) -> None:
        """Forget which rows above are wanted, at the reduced and at the full size."""
        if self._full_wanted is None:
            self._wanted.discard(min(before, full_before))
        else:
            self._wanted.discard(before - self.reach)
            self._full_wanted.discard(full_before)

    def close(self) -> None:
        """Stop reading."""
        close = getattr(self._strips, "close", None)
        if close is not None:
            close()


def _cut(rows: torch.Tensor, cols: Sequence[int], width: int) -> torch.Tensor:
    """(tiles, channels, rows, width); a view where there is one tile."""
    if len(cols) == 1:
        return rows[None, :, :, cols[0] : cols[0] + width]
    return torch.stack([rows[:, :, col : col + width] for col in cols])


def _sums(x: torch.Tensor, n: int) -> torch.Tensor:
    """Sum n × n pixels each, the last ones over what is left."""
    pooled: torch.Tensor = functional.avg_pool2d(x[None], n, ceil_mode=True, divisor_override=1)
    return pooled[0]
