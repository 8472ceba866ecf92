"""How many tiles are computed together: found for a card, halved where memory does not suffice.

A tile's bits may depend on how many others are computed with it. On the processor they are one at
a time unless asked otherwise, and then the same everywhere. Where more were asked for than memory
holds, fewer are computed together, and the note of that says that bits may be others. On a card
their number follows from the memory that is free, never from how long anything takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from geoseg.errors import ModelError
from geoseg.models.device import is_out_of_memory
from geoseg.raster.allocator import give_back

BATCH_ON_CPU = 1
_MOST_PIXELS, _MOST_TILES = 32 * 288 * 288, 512
"""Of a batch that nobody asked for: it keeps any card busy, and more would only wait."""

_SHARE = 0.5
"""Of the free memory for one batch: others wait to be blended, and means are kept."""


class Batches:
    """Tiles computed together, and fewer once memory did not suffice; threads may share it.

    Parameters
    ----------
    size
        At most how many: batches are cut from a row of tiles by position, this many each.
    device
        Where they are computed.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.size = self._most = size
        self._device = device
        self._lock = threading.Lock()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if self._most == self.size:
            return ()
        # On cards bits are not promised anyhow.
        bits = "; the last bits of shares may not be those of a run with enough memory"
        return (
            f"the memory of {self._device} does not hold {self.size} tiles at once, so that"
            f" {self._most} are computed together now{bits if self._device.type == 'cpu' else ''};"
            f" --batch-size {self._most} says so from the beginning",
        )

    def cut(self, chosen: Sequence[int]) -> list[list[int]]:
        """Cut tiles of a row into batches: those of the same run of `size` positions."""
        groups: dict[int, list[int]] = {}
        for k in chosen:
            groups.setdefault(k // self.size, []).append(k)
        return list(groups.values())

    def compute(
        self, tiles: Sequence[int], maps: Callable[[Sequence[int]], torch.Tensor]
    ) -> torch.Tensor:
        """Compute a batch, in as many parts as memory asks for.

        Parameters
        ----------
        tiles
            Of one batch.
        maps
            Computes some of them: (tiles, …).

        Returns
        -------
        (tiles, …), all of them.

        Raises
        ------
        ModelError
            The memory is too small for a single tile.
        """
        parts: list[torch.Tensor] = []
        done = 0
        while done < len(tiles):
            some = tiles[done : done + self._most]
            found = self._tried(some, maps)
            if found is None:
                # Behind the error, which holds all that was computed until then.
                self._halve(len(some))
            else:
                parts.append(found)
                done += len(some)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _tried(
        self, some: Sequence[int], maps: Callable[[Sequence[int]], torch.Tensor]
    ) -> torch.Tensor | None:
        try:
            return maps(some)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(some) == 1:
                raise too_small(self._device) from error
            return None

    def _halve(self, tried: int) -> None:
        with self._lock:
            self._most = min(self._most, tried // 2)
        if self._device.type == "cpu":
            give_back()
        elif self._device.type in ("cuda", "mps"):
            getattr(torch, self._device.type).empty_cache()


def too_small(device: torch.device) -> ModelError:
    """Return what is raised where not even one tile fits."""
    fewer = "fewer --workers" if device.type == "cpu" else "--device cpu"
    return ModelError(
        f"the memory of {device} is too small even for one tile at a time; use a smaller --tile,"
        f" or {fewer}"
    )


class Memory(Protocol):
    """Of a card."""

    def free(self) -> int:
        """Bytes that can be had."""

    def used_by(self, task: Callable[[], object], /) -> int:
        """Bytes that a task takes at its worst."""


def memory_of(device: torch.device) -> Memory | None:
    """Return the memory of a card; None where it cannot be asked."""
    if device.type == "cuda":
        return _CudaMemory(device)
    if device.type == "mps":
        return _MpsMemory()
    return None


class _CudaMemory:
    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free(self) -> int:
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(
            self._device
        )
        return int(torch.cuda.mem_get_info(self._device)[0]) + cached

    def used_by(self, task: Callable[[], object]) -> int:
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        task()
        return torch.cuda.max_memory_allocated(self._device) - before


class _MpsMemory:
    """Tells no peak; but what a task took stays with the driver."""

    def __init__(self) -> None:
        self._before = torch.mps.driver_allocated_memory()

    def free(self) -> int:
        return torch.mps.recommended_max_memory() - self._before

    def used_by(self, task: Callable[[], object]) -> int:
        task()
        torch.mps.synchronize()
        return torch.mps.driver_allocated_memory() - self._before


def most_on_card(height: int, width: int) -> int:
    """Tiles of so many pixels that are worth computing together."""
    return max(1, min(_MOST_TILES, _MOST_PIXELS // (height * width)))


def fitting_batch(forward: Callable[[int], object], memory: Memory, *, most: int) -> int:
    """Find how many tiles a card should compute together: a power of two, or `most`.

    Batches of 1, 2, 4 … tiles are computed, and what each took is measured; the next one is not
    tried where it could take more than half of what was free. The same card with the same memory
    free always gives the same number.

    Parameters
    ----------
    forward
        Computes a batch of so many tiles.
    memory
        Of the card.
    most
        More are never asked for: there are no more in a row, say.
    """
    allowed = _SHARE * memory.free()
    found = trying = 1
    while True:
        try:
            used = memory.used_by(lambda n=trying: forward(n))  # type: ignore[misc]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return found
        found = trying
        if found >= most or 2 * used > allowed:
            return found
        trying = min(2 * found, most)
