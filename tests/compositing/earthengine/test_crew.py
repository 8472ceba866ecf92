"""Threads that nobody has to wait for."""

from __future__ import annotations

import _thread
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.compositing.earthengine import crew
from geoseg.compositing.earthengine.crew import work_off


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers()), st.integers(1, 6))
def test_every_job_is_done_once(jobs, workers):
    done = []
    work_off(jobs, done.append, workers=workers, stop=threading.Event())
    assert sorted(done) == sorted(jobs)


def test_jobs_begin_in_their_order_and_no_more_at_once_than_workers():
    begun, now, most, lock = [], [0], [0], threading.Lock()

    def do(job):
        with lock:
            begun.append(job)
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)
        with lock:
            now[0] -= 1

    work_off(range(40), do, workers=3, stop=threading.Event())
    assert begun == sorted(begun)
    assert 1 < most[0] <= 3


def test_the_first_failure_is_raised_and_nothing_is_begun_after_it():
    begun, stop = [], threading.Event()

    def do(job):
        begun.append(job)
        if job == 2:
            raise KeyError(job)
        time.sleep(0.01)

    with pytest.raises(KeyError, match="2"):
        work_off(range(1000), do, workers=2, stop=stop)
    assert stop.is_set()
    assert len(begun) < 10


def test_what_is_nearly_done_ends_before_a_failure_is_raised(monkeypatch):
    monkeypatch.setattr(crew, "GRACE", 20.0)
    done = []

    def do(job):
        if job:
            raise KeyError(job)
        time.sleep(0.3)
        done.append(job)

    with pytest.raises(KeyError):
        work_off([0, 1], do, workers=2, stop=threading.Event())
    assert done == [0]


def test_nobody_waits_for_what_lasts_when_he_is_interrupted(monkeypatch):
    monkeypatch.setattr(crew, "GRACE", 0.1)
    ends, begun = threading.Event(), threading.Event()

    def do(_):
        begun.set()
        ends.wait(60)

    def interrupt():
        begun.wait(10)
        _thread.interrupt_main()

    other = threading.Thread(target=interrupt)
    other.start()
    before = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            work_off([1, 2], do, workers=2, stop=threading.Event())
        assert time.monotonic() - before < 10
    finally:
        ends.set()
        other.join()
