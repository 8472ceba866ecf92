"""Jobs done ahead."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from geoseg.errors import DatasetError
from geoseg.training.prefetch import Prefetch


def waiting_threads() -> int:
    return sum(t.name == "geoseg-batches" for t in threading.enumerate())


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order_however_long_each_takes(workers: int) -> None:
    def job(number: int) -> int:
        time.sleep(0.004 * (number % 3 == 0))
        return number

    with closing(Prefetch([lambda n=n: job(n) for n in range(30)], workers=workers)) as results:
        assert list(results) == list(range(30))
    assert waiting_threads() == 0


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_results_than_agreed_are_ever_there(workers: int) -> None:
    lock, begun, taken, most = threading.Lock(), 0, 0, 0

    def job() -> None:
        nonlocal begun, most
        with lock:
            begun += 1
            most = max(most, begun - taken)

    with closing(Prefetch([job] * 40, ahead=2, workers=workers)) as results:
        for _ in results:
            time.sleep(0.002)
            with lock:
                taken += 1
    assert begun == 40
    # One more than agreed may be counted: the one in the hands of the loop above.
    assert most <= 2 + workers + 1


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)
    with closing(Prefetch([meeting.wait] * 3, workers=3)) as results:
        assert sorted(results) == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_an_error_in_a_thread_reaches_whoever_iterates_in_its_turn(workers: int) -> None:
    done = []

    def broken() -> int:
        raise DatasetError("the disk is gone")

    jobs = [lambda: 1, lambda: 2, broken, *[lambda: done.append(1) or 3] * 50]
    with closing(Prefetch(jobs, workers=workers)) as made:
        results = iter(made)
        assert [next(results), next(results)] == [1, 2]
        with pytest.raises(DatasetError, match="the disk is gone"):
            next(results)
    assert waiting_threads() == 0
    assert len(done) < 10


@pytest.mark.parametrize("workers", [1, 4])
def test_leaving_early_ends_the_threads(workers: int) -> None:
    with closing(Prefetch([lambda: 1] * 50, workers=workers)) as made:
        assert next(iter(made)) == 1
    assert waiting_threads() == 0


def test_no_jobs_take_no_threads() -> None:
    with closing(Prefetch([], workers=3)) as made:
        assert waiting_threads() == 0
        assert list(made) == []
