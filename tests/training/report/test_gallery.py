"""Which patches a report shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.raster.legend.written import parse_legend
from geoseg.training.report.gallery import MOST_LOOKED_AT, Look, Sample, choose_samples, gallery

LEGEND = parse_legend("1=water,2=rock")


def looking(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> Look:
    def look(n: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8]]:
        image = np.broadcast_to(n[:, None, None, None], (len(n), 1, *truth.shape[1:]))
        return image, truth[n], prediction[n]

    return look


def patches(wrong: list[int], size: int = 4) -> Look:
    """Patches of which so many pixels are wrong."""
    truth = np.zeros((len(wrong), size, size), np.uint8)
    prediction = truth.copy()
    for patch, count in enumerate(wrong):
        prediction[patch].flat[:count] = 1
    return looking(truth, prediction)


def chosen(samples: tuple[Sample, ...]) -> tuple[list[int], list[int]]:
    return [s.patch for s in samples if not s.worst], [s.patch for s in samples if s.worst]


def test_worst_are_of_different_parts_and_ordinary_ones_at_the_quartiles() -> None:
    #          part one          part two          part three
    wrong = [9, 8, 7, 0, 1, 2, 3, 4, 5, 6, 11, 0]
    found = choose_samples(12, patches(wrong), batch_size=5)
    # Left over, from right to wrong: 3, 11, 4, 5, 6, 8, 9, 2, 1 (patch 7 is the worst of its part);
    # the quartiles of nine are at places 2, 5 and 7 (1.5, 4, 6.5, rounded as the ranks are).
    assert chosen(found)[1] == [0, 7, 10]
    left = sorted((w, p) for p, w in enumerate(wrong) if p not in (0, 7, 10))
    assert chosen(found)[0] == sorted(left[i][1] for i in (1, 4, 6))


def test_samples_carry_their_own_pixels() -> None:
    found = choose_samples(6, patches([1, 2, 3, 4, 5, 6]), bands=("red",), fill=0)
    for sample in found:
        assert (sample.image == sample.patch).all()
        assert sample.wrong == sample.patch + 1
        assert sample.labelled == 16
        assert (sample.bands, sample.fill) == (("red",), 0)


def test_patches_without_labels_are_never_shown() -> None:
    truth = np.full((5, 2, 2), 255, np.uint8)
    truth[3] = 0
    found = choose_samples(5, looking(truth, np.zeros_like(truth)))
    assert chosen(found) == ([3], [])


def test_nothing_to_show_of_nothing() -> None:
    assert choose_samples(0, patches([])) == ()
    assert choose_samples(3, patches([1, 2, 3]), ordinary=0, worst=0) == ()
    assert gallery((), LEGEND) == ()


def test_of_many_patches_some_are_looked_at_first_and_last_among_them() -> None:
    seen: list[int] = []
    inner = patches([0] * 999 + [16])

    def look(n: NDArray[np.int64]) -> Any:
        seen.extend(n.tolist())
        return inner(n)

    found = choose_samples(1000, look)
    assert len(set(seen)) == MOST_LOOKED_AT
    assert {0, 999} <= set(seen)
    assert chosen(found)[1] == [999]


@given(
    st.lists(st.integers(0, 16), max_size=30),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_choice_is_what_it_says(wrong: list[int], ordinary: int, worst: int, batch: int) -> None:
    look = patches(wrong)
    found = choose_samples(len(wrong), look, ordinary=ordinary, worst=worst, batch_size=batch)
    plain, bad = chosen(found)
    assert len(plain) <= ordinary
    assert len(bad) <= worst
    assert len({*plain, *bad}) == len(plain) + len(bad)
    assert plain == sorted(plain)
    assert bad == sorted(bad)
    if worst and any(wrong):
        assert wrong[bad[0]] > 0
        assert max(wrong) in [wrong[p] for p in bad]
    assert len(plain) == min(ordinary, len(wrong) - len(bad))
    again = choose_samples(len(wrong), look, ordinary=ordinary, worst=worst, batch_size=1)
    assert chosen(again) == (plain, bad)


def test_gallery_says_which_bands_and_how_much_is_right() -> None:
    random = np.random.default_rng(0)
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    sample = Sample(
        image=random.integers(0, 9, (4, 1, 4)).astype(np.uint16),
        truth=truth,
        prediction=np.array([[0, 1, 1, 1]], np.uint8),
        patch=7,
        worst=True,
        bands=("blue", "green", "red", "nir"),
    )
    html = "".join(block.html() for block in gallery([sample], LEGEND)).replace("\xa0", " ")
    assert "bands red, green, blue as red, green, blue" in html
    assert "Patch 7, one of the worst: 66.7 % of 3 labelled pixels right" in html
    assert "1 of 3 labelled pixels are wrong" in html
    assert "Labels of patch 7: water 66.7 %, rock 33.3 %." in html
    assert "not labelled" in html
    assert html.count("<img") == 4


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_gallery_takes_any_number_of_bands(bands: int) -> None:
    sample = Sample(
        image=np.full((bands, 3, 5), np.nan, np.float32),
        truth=np.full((3, 5), 255, np.uint8),
        prediction=np.zeros((3, 5), np.uint8),
    )
    html = "".join(block.html() for block in gallery([sample], LEGEND))
    assert ("in grey" in html) == (bands < 3)
    assert "–" in html
