"""Tiles computed by several threads in any order, and blended in theirs."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference.batches import Batches
from geoseg.inference.blend import plan_axis
from geoseg.inference.stream import Crew, Work, mean_rows

CPU = torch.device("cpu")
CLASSES = 2


class MadeSource:
    """Stands for a scene: tiles that tell their place, and columns that nobody wants."""

    reach = 0

    def __init__(self, height, unwanted, seed):
        self.height = height
        self._unwanted, self._seed = unwanted, seed

    def load(self, _stop):
        pass

    def passed(self, _before):
        pass

    def wanted_cols(self, first, _stop):
        wanted = np.ones(40, bool)
        for row, begin, end in self._unwanted:
            if row == first:
                wanted[begin:end] = False
        return wanted

    def tiles(self, row, height, cols, width):
        made = []
        for col in cols:
            generator = torch.Generator().manual_seed(self._seed + 1000 * row + col)
            made.append(torch.rand(CLASSES, height, width, generator=generator))
        return [torch.stack(made)]


class Slow:
    """Gives tiles as they are, after a while; counts those that are held."""

    classes, device, notes = CLASSES, CPU, ()

    def __init__(self, fails_at=None):
        self.count = 0
        self._fails_at, self._lock = fails_at, threading.Lock()
        self._random = random.Random(1)

    def maps(self, inputs):
        with self._lock:
            self.count += 1
            pause = self._random.choice((0, 0, 0.002))
            fails = self.count == self._fails_at
        time.sleep(pause)
        if fails:
            raise ValueError("this tile cannot be")
        return inputs[0].clone()


def blended(workers, unwanted=(), *, seed=0, batch=1, answerer=None, stride=4):
    rows, cols = plan_axis(30, 8, stride, "hann"), plan_axis(40, 8, stride, "hann")
    found, work = [], Work()
    with closing(Crew(CPU, workers)) as crew:
        rows_found = mean_rows(
            MadeSource(30, unwanted, seed),
            answerer or Slow(),
            rows=rows,
            cols=cols,
            batches=Batches(batch, CPU),
            crew=crew,
            work=work,
        )
        with closing(rows_found):
            for band in rows_found:
                assert band.row == sum(len(one) for one in found)
                means = torch.zeros(CLASSES, band.height, 40) if band.means is None else band.means
                found.append(means.clone().permute(1, 0, 2))
    return torch.cat(found).numpy().tobytes(), work.tiles


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 4, 8, 12]), st.integers(0, 39), st.integers(1, 40))),
    st.sampled_from([1, 3]),
    st.sampled_from([2, 4, 7]),
    st.integers(0, 99),
)
def test_any_number_of_threads_gives_the_same_bits(unwanted, batch, stride, seed):
    alone = blended(1, unwanted, batch=batch, stride=stride, seed=seed)
    for workers in (2, 5):
        assert blended(workers, unwanted, batch=batch, stride=stride, seed=seed) == alone


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("fails_at", [1, 7, 12, 60])
def test_a_tile_that_fails_ends_it_with_its_error(workers, fails_at):
    with pytest.raises(ValueError, match="this tile cannot be"):
        blended(workers, answerer=Slow(fails_at))


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_tiles_are_computed_than_three_a_thread_ahead(workers):
    answerer = Slow()
    rows, cols = plan_axis(30, 8, 8, "mean"), plan_axis(40, 8, 8, "mean")
    with closing(Crew(CPU, workers)) as crew:
        found = mean_rows(
            MadeSource(30, (), 0),
            answerer,
            rows=rows,
            cols=cols,
            batches=Batches(1, CPU),
            crew=crew,
            work=Work(),
        )
        with closing(found):
            for band, _ in enumerate(found, start=1):
                time.sleep(0.05)
                assert answerer.count <= 5 * band + 3 * workers
        assert answerer.count == 20


class Exhausted(Crew):
    """Threads of which there are no more after some tasks."""

    def __init__(self, workers, tasks):
        super().__init__(CPU, workers)
        self._left = tasks

    def start(self, task):
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("can't start new thread")
        super().start(task)


@pytest.mark.parametrize("tasks", [3, 7, 8, 20])
def test_a_thread_that_cannot_be_had_ends_it_with_that_error(tasks):
    rows, cols = plan_axis(30, 8, 4, "mean"), plan_axis(40, 8, 4, "mean")
    told = []

    def run():
        with closing(Exhausted(2, tasks)) as crew:
            found = mean_rows(
                MadeSource(30, (), 0),
                Slow(),
                rows=rows,
                cols=cols,
                batches=Batches(1, CPU),
                crew=crew,
                work=Work(),
            )
            try:
                with closing(found):
                    list(found)
            except RuntimeError as error:
                told.append(str(error))

    waits = threading.Thread(target=run, daemon=True)
    waits.start()
    waits.join(20)
    assert told == ["can't start new thread"]
