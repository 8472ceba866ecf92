"""Ctrl-C."""

from __future__ import annotations

import signal
import threading

import pytest

from geoseg.training.interrupt import interruptible


def test_the_first_ctrl_c_is_a_request_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[bool] = []
    with interruptible() as stop:
        seen.append(stop.made)
        signal.raise_signal(signal.SIGINT)
        seen.append(stop.made)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert seen == [False, True]
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_handles_no_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with interruptible() as stop:
            seen.append(stop.made)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
