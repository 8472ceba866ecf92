from __future__ import annotations

import numpy as np

from geoseg.assessment.many import few_notes
from geoseg.assessment.measures.overview import Overview
from geoseg.assessment.worst import Worst
from geoseg.raster.window import Window


def test_notes_that_repeat_are_told_once_and_many_are_counted() -> None:
    assert few_notes(["a", "b", "a"]) == ("a", "b")
    assert few_notes(list("abcdef")) == tuple("abcdef")
    assert few_notes(list("abcdefg")) == (*"abcde", "and 2 more like this")


def overview(*wrong: int) -> Overview:
    patches = tuple((Window(n, 0, 4, 4), n, 16) for n in wrong)
    return Overview(side=1, shares=np.zeros((1, 1), np.float32), worst=patches)


def test_worst_patches_of_all_maps_are_kept_and_the_earlier_first() -> None:
    worst = Worst(most=3, predictions=2)
    worst.add(0, [overview(5, 2), overview(1)])
    worst.add(1, None)
    worst.add(2, [overview(7, 5, 1), overview()])
    assert [(number, wrong) for number, _, wrong, _ in worst.of(0)] == [(2, 7), (0, 5), (2, 5)]
    assert worst.of(1) == ((0, Window(1, 0, 4, 4), 1, 16),)
