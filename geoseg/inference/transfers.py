"""Pixels on their way to a card and back, beside what it computes."""

from __future__ import annotations

from collections.abc import Callable

import torch


class Mover:
    """Brings rows to where networks run.

    To a CUDA card they go from pinned memory in a stream of their own: while earlier rows are
    computed, and without anyone waiting. What the card is told to do afterwards sees them whole.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of the processor on the device."""
        if self._stream is None:
            return rows.to(self._device)
        computing = torch.cuda.current_stream(self._device)
        pinned = rows.pin_memory()
        with torch.cuda.stream(self._stream):
            moved = pinned.to(self._device, non_blocking=True)
        computing.wait_stream(self._stream)
        # Made in one stream and used in another: its memory must outlast that use.
        moved.record_stream(computing)
        return moved


def arrival(device: torch.device) -> Callable[[], None]:
    """Mark what a device was told to do so far; the function given back waits until it is done.

    What `Tensor.to("cpu", non_blocking=True)` gives may be read then, and no earlier.
    """
    if device.type == "cuda":
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(device))
        return event.synchronize
    if device.type == "cpu":
        return lambda: None
    return getattr(torch, device.type).synchronize  # type: ignore[no-any-return]
