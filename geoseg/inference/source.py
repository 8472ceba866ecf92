"""A scene as tiles of normalised pixels that a network can be fed, a band of rows at a time.

The file is read by strips in worker threads; what tiles still need is kept, what they have passed
is let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


class HeldRows:
    """Rows ``first … stop − 1`` of something endless, appended below and let go above.

    They are held in the pieces in which they came: nothing is copied when others come or go, so
    threads may look at rows that are there meanwhile.

    Parameters
    ----------
    first
        Number of the first row.
    """

    def __init__(self, *, first: int = 0) -> None:
        self.stop = first
        # Replaced, never changed: who looks at it meanwhile has rows that belong together.
        self._pieces: tuple[tuple[int, torch.Tensor], ...] = ()

    @property
    def first(self) -> int:
        """Row above which none is there."""
        return self._pieces[0][0] if self._pieces else self.stop

    def append(self, rows: torch.Tensor) -> None:
        """Add (channels, n, width) below, which is held, not copied."""
        if rows.shape[1]:
            self._pieces = (*self._pieces, (self.stop, rows))
            self.stop += rows.shape[1]

    def pieces(self, first: int, stop: int) -> Iterator[torch.Tensor]:
        """Give rows from `first` to before `stop`, from top to bottom: (channels, some, width)."""
        for row, piece in self._pieces:
            above, below = max(first - row, 0), min(stop - row, piece.shape[1])
            if above < below:
                yield piece[:, above:below]

    def rows(self, first: int, stop: int) -> torch.Tensor:
        """Return (channels, stop − first, width), a row at least; a view where a piece has all."""
        found = list(self.pieces(first, stop))
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def discard(self, before: int) -> None:
        """Let pieces go that lie above `before`."""
        self._pieces = tuple(
            (row, piece) for row, piece in self._pieces if row + piece.shape[1] > before
        )


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
        self._fill = _common_fill(specs, self._scene.dtype if scale == 1 else np.dtype(np.float32))
        self._raw = HeldRows(first=first)
        self._valid = HeldRows(first=first)
        self._wanted = HeldRows(first=first)
        self._full_wanted = HeldRows(first=first * scale) if scale > 1 else None
        self._left_over: tuple[torch.Tensor, ...] | None = None
        top = first * scale
        bottom = self.full_height if stop is None else min(stop * scale, self.full_height)
        self._strips = self._read(workers, Window(top, 0, bottom - top, self.full_width))

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
        if self._scale > 1 or self._fill is None:
            return (data, valid), wanted
        if not valid.all():
            data = np.where(valid, data, data.dtype.type(self._fill))
        return (data,), wanted

    def load(self, stop: int) -> None:
        """Read until the rows above `stop` are there."""
        while self._wanted.stop < min(stop, self.height):
            strip = next(self._strips)
            raw, *valid = (torch.from_numpy(array) for array in strip.arrays)
            wanted = torch.from_numpy(strip.valid)[None]
            if self._scale == 1:
                self._append(raw, valid[0][None] if valid else None, wanted)
            else:
                self._reduce(raw, valid[0][None], wanted)
            del strip, raw, valid, wanted  # or they would be held while the next is waited for

    def _append(self, raw: torch.Tensor, valid: torch.Tensor | None, wanted: torch.Tensor) -> None:
        self._raw.append(self._moved(raw))
        if valid is not None:
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
        there, wanted = count > 0, _sums(wanted.float(), n) > 0
        if self._fill is None:
            self._append(mean, there, wanted)
        else:
            self._append(torch.where(there, mean, self._fill), None, wanted)

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
        stop = row + height
        mask = None
        if self._fill is None:
            mask = self._cut(self._valid, None, row, stop, cols, width)
            # Asking costs a pass on the processor, and a wait on a card.
            mask = None if self._device.type == "cpu" and bool(mask.all()) else mask
        inputs = []
        for order, normal, filled in zip(self._order, self._normal, self._filled, strict=True):
            x = normal.in_place(self._cut(self._raw, order, row, stop, cols, width).float())
            inputs.append(x if mask is None else torch.where(mask, x, filled))
        return inputs

    def _cut(
        self,
        held: HeldRows,
        order: list[int] | None,
        row: int,
        stop: int,
        cols: Sequence[int],
        width: int,
    ) -> torch.Tensor:
        """(tiles, channels, rows, width): a copy; numbers as float32 on the processor."""
        if self._device.type != "cpu":
            # Few and large tasks for a card.
            rows = held.rows(row, stop)
            if order is not None:
                # A list of indices makes a slower copy, and torch 2.9 knows none of unsigned 16
                # bits.
                rows = torch.stack([rows[band] for band in order])
            return torch.stack([rows[:, :, col : col + width] for col in cols])
        cut: torch.Tensor | None = None
        done = 0
        for piece in held.pieces(row, stop):
            if cut is None:
                channels = piece.shape[0] if order is None else len(order)
                dtype = torch.bool if piece.dtype == torch.bool else torch.float32
                cut = torch.empty((len(cols), channels, stop - row, width), dtype=dtype)
            below = done + piece.shape[1]
            for target, col in zip(cut, cols, strict=True):
                part = piece[:, :, col : col + width]
                if order is None:
                    target[:, done:below] = part
                else:
                    for channel, band in enumerate(order):
                        target[channel, done:below] = part[band]
            done = below
        if cut is None:
            raise RuntimeError("tiles are cut out of rows that are there")
        return cut

    def wanted_cols(self, first: int, stop: int) -> NDArray[np.bool_]:
        """(width,): whether a pixel of these rows of the reduced scene is valid and in the area."""
        found = np.zeros(self.width, bool)
        for piece in self._wanted.pieces(first, stop):
            found |= np.logical_or.reduce(piece[0].numpy(), axis=0)
        return found

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


def _common_fill(specs: Sequence[InputSpec], dtype: np.dtype[Any]) -> float | None:
    """Return what invalid pixels may be set to as they are read; None where there is no such.

    That is a fill that all networks share and that the readings' type can say.
    """
    fills = {float(np.float32(spec.fill)) for spec in specs}
    if len(fills) != 1:
        return None
    (fill,) = fills
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return fill if fill.is_integer() and limits.min <= fill <= limits.max else None
    return fill if dtype.kind == "f" and float(dtype.type(fill)) == fill else None


def _sums(x: torch.Tensor, n: int) -> torch.Tensor:
    """Sum n × n pixels each, the last ones over what is left."""
    pooled: torch.Tensor = functional.avg_pool2d(x[None], n, ceil_mode=True, divisor_override=1)
    return pooled[0]
