"""A few steps that belong together and that no Ctrl-C comes between."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have signals that end a process wait until the context is left.

    Python runs what signals ask for in the main thread alone, between two steps of it; in other
    threads nothing needs to be done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        del frame
        came.append(signum)

    before = {}
    try:
        for number in _SIGNALS:
            # What is ignored stays so, and what C code set is not ours to change.
            if callable(signal.getsignal(number)):
                before[number] = signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in dict.fromkeys(came):
        signal.raise_signal(number)
