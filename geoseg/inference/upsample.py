"""Rows of probabilities at a reduced size, brought back up to the scene's size as they come.

Bilinear between pixel centres (pixel i of the reduced scene is centred at full-size pixel n (i + ½)
− ½), edge pixels continued outwards: what torch calls ``interpolate(mode="bilinear",
align_corners=False)``, but a band of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch


def _taps(length: int, factor: int, reduced: int) -> tuple[torch.Tensor, torch.Tensor]:
    """For each of `length` pixels: the reduced pixel before it, and the share of the one after."""
    place = (torch.arange(length, dtype=torch.float64) + 0.5) / factor - 0.5
    before = place.floor().clamp(0, reduced - 1)
    share = (place - before).clamp(0, 1)
    return before.long(), share.float()


class RowUpsampler:
    """Takes reduced rows from top to bottom, gives full-size rows as soon as they are certain.

    Parameters
    ----------
    factor
        How many full-size pixels a reduced pixel is long.
    height, width
        Full size; the last reduced pixels may reach beyond.
    first
        First full-size row to give. The first reduced row to `push` is set by `begin_at`.
    """

    def __init__(self, *, factor: int, height: int, width: int, first: int = 0) -> None:
        self._reduced_height = -(-height // factor)
        self.reduced_width = -(-width // factor)
        self._height = height
        self._row_before, self._row_share = _taps(height, factor, self._reduced_height)
        self._col_before, self._col_share = _taps(width, factor, self.reduced_width)
        # Where rows lie, brought there once: a card would be waited for each time.
        self._there: list[torch.Tensor] = []
        self._rows_in = 0
        self._rows_out = first
        self._last: torch.Tensor | None = None

    @property
    def needed(self) -> int:
        """The first reduced row that rows to be given depend on."""
        return int(self._row_before[self._rows_out])

    def needed_above(self, row: int) -> int:
        """Return the first reduced row that no full-size row above this one depends on."""
        last = int(self._row_before[row - 1]) + bool(self._row_share[row - 1] > 0)
        return min(last, self._reduced_height - 1) + 1

    def begin_at(self, reduced_row: int) -> None:
        """Say which reduced row comes first: that which is `needed`, or one above."""
        self._rows_in = reduced_row

    def push(self, rows: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Take reduced rows, (classes, n, reduced width), and give full-size ones.

        Yields the first row and (classes, m, width), if any row is certain now.
        """
        if not self._there:
            taps = (self._row_before, self._row_share, self._col_before, self._col_share)
            self._there = [tap.to(rows.device) for tap in taps]
        row_before, row_share, *_ = self._there
        wide = self._widen(rows)
        first = self._rows_in
        if self._last is not None:
            wide = torch.cat([self._last, wide], dim=1)
            first -= 1
        self._rows_in += rows.shape[1]
        self._last = wide[:, -1:].clone()
        stop = self._certain()
        if stop > self._rows_out:
            before = row_before[self._rows_out : stop] - first
            after = (before + 1).clamp(max=wide.shape[1] - 1)
            share = row_share[self._rows_out : stop, None]
            yield self._rows_out, torch.lerp(wide[:, before], wide[:, after], share)
            self._rows_out = stop

    def _certain(self) -> int:
        """First full-size row that needs a reduced row still to come."""
        if self._rows_in >= self._reduced_height:
            return self._height
        needed = self._row_before + (self._row_share > 0)
        return int(torch.searchsorted(needed, self._rows_in))

    def _widen(self, rows: torch.Tensor) -> torch.Tensor:
        *_, before, share = self._there
        after = (before + 1).clamp(max=self.reduced_width - 1)
        return torch.lerp(rows[:, :, before], rows[:, :, after], share)
