"""Rows of probabilities as classes, one band behind."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import ModelError
from geoseg.inference import classes
from geoseg.inference.classes import class_rows
from geoseg.inference.rows import MapRows
from geoseg.inference.stream import Crew
from geoseg.inference.transfers import Mover, arrival

CPU = torch.device("cpu")


def fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the way of a card: everything at once, begun now and waited for later."""

    def begin(found, _crew, *, confidence, probabilities):
        begun = kept(found, Crew(CPU, 1), confidence=confidence, probabilities=probabilities)
        if found.means is None:
            return begun
        for array in begun.rows[1:]:
            if array is not None:
                array.fill(classes.NODATA if array.dtype == np.uint8 else np.nan)
        finish = classes._fetched(found.means, found.wanted.copy(), begun.rows)
        return classes._Begun(begun.rows, [], finish)

    kept = classes._begin
    monkeypatch.setattr(classes, "_begin", begin)


@pytest.mark.parametrize("way", ["threads", "card"])
@settings(max_examples=30, deadline=None)
@given(
    heights=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    count=st.integers(1, 4),
    seed=st.integers(0, 99),
    workers=st.integers(1, 3),
    more=st.booleans(),
)
def test_each_wanted_pixel_has_its_most_probable_class(
    way, heights, count, seed, workers, more
) -> None:
    rng = np.random.default_rng(seed)
    given_rows, row = [], 0
    for height in heights:
        means = rng.integers(0, 3, (count, height, 5)).astype(np.float32)  # ties are usual
        wanted = rng.random((height, 5)) < 0.7
        empty = not wanted.any() or rng.random() < 0.2
        wanted &= not empty
        given_rows.append(MapRows(row, None if empty else torch.from_numpy(means), wanted))
        row += height
    with pytest.MonkeyPatch.context() as patch, closing(Crew(CPU, workers)) as crew:
        if way == "card":
            fetched(patch)
        found = list(class_rows(iter(given_rows), crew, confidence=more, probabilities=more))
    for made, of in zip(found, given_rows, strict=True):
        assert made.row == of.row
        if of.means is None:
            assert (made.class_index == 255).all()
            assert made.confidence is made.probabilities is None
            continue
        means = of.means.numpy()
        np.testing.assert_array_equal(made.class_index, np.where(of.wanted, means.argmax(0), 255))
        if not more:
            assert made.confidence is made.probabilities is None
            continue
        np.testing.assert_array_equal(made.confidence, np.where(of.wanted, means.max(0), np.nan))
        np.testing.assert_array_equal(made.probabilities, np.where(of.wanted, means, np.nan))


def test_rows_are_given_when_the_next_are_under_way_and_no_view_of_them_is_kept() -> None:
    asked = []
    wanted = np.ones((1, 2), bool)

    def rows():
        for row in range(3):
            asked.append(row)
            wanted[:] = row != 1  # a view that the next rows overwrite
            yield MapRows(row, torch.full((2, 1, 2), float(row)), wanted)

    with closing(Crew(CPU, 1)) as crew:
        found = class_rows(rows(), crew, confidence=False, probabilities=False)
        seen = [(made.row, made.class_index.tolist(), list(asked)) for made in found]
    assert seen == [
        (0, [[0, 0]], [0, 1]),
        (1, [[255, 255]], [0, 1, 2]),
        (2, [[0, 0]], [0, 1, 2]),
    ]


@pytest.mark.parametrize("way", ["threads", "card"])
def test_no_number_is_an_error_where_a_class_is_wanted_and_there_alone(way, monkeypatch) -> None:
    if way == "card":
        fetched(monkeypatch)
    means = torch.zeros(2, 3, 4)
    means[1, 1, 2] = torch.nan
    wanted = np.ones((3, 4), bool)

    def found():
        with closing(Crew(CPU, 2)) as crew:
            rows = iter([MapRows(0, means, wanted)])
            return list(class_rows(rows, crew, confidence=True, probabilities=False))

    with pytest.raises(ModelError, match="not a number"):
        found()
    wanted[1, 2] = False
    (made,) = found()
    assert made.class_index[1, 2] == 255
    assert np.count_nonzero(made.class_index == 255) == 1


def test_on_the_processor_nothing_is_moved_and_nothing_waited_for() -> None:
    rows = torch.arange(6).reshape(1, 2, 3)
    assert Mover(CPU)(rows) is rows
    arrival(CPU)()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_card_sees_moved_rows_whole_and_gives_them_back_when_they_have_arrived() -> None:
    card = torch.device("cuda:0")
    move = Mover(card)
    rows = [torch.randint(0, 9999, (4, 200, 3000), dtype=torch.int32) for _ in range(8)]
    back = []
    for one in rows:
        moved = move(one) * 2
        here = moved.to("cpu", non_blocking=True)
        back.append((here, arrival(card)))
    for one, (here, wait) in zip(rows, back, strict=True):
        wait()
        assert torch.equal(here, one * 2)
