from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING, Confusion, Scores, count_pairs
from geoseg.errors import LabelError, OptionError

# Three classes by hand: rows are truth.
#        A  B  C
#   A    4  1  0   5
#   B    2  3  0   5
#   C    0  0  0   0
#        6  4  0  10
HAND = np.array([[4, 1, 0], [2, 3, 0], [0, 0, 0]])


def confusion(counts: object, unpredicted: object = None) -> Confusion:
    array = np.array(counts, dtype=np.int64)
    return Confusion(
        array, np.zeros(len(array), np.int64) if unpredicted is None else np.array(unpredicted)
    )


def same(found: float, wanted: float) -> bool:
    return (math.isnan(found) and math.isnan(wanted)) or math.isclose(
        found, wanted, rel_tol=1e-12, abs_tol=1e-12
    )


class SlowScores:
    """Every score pixel by pixel in plain Python, from the definitions by sets; no matrix."""

    def __init__(self, truth: list[int], prediction: list[int], classes: int) -> None:
        pairs = [(t, p) for t, p in zip(truth, prediction, strict=True) if t != NOTHING]
        self.unpredicted = sum(p == NOTHING for _, p in pairs)
        self.pairs = pairs = [(t, p) for t, p in pairs if p != NOTHING]
        self.recall, self.precision, self.iou, self.f1 = [], [], [], []
        for c in range(classes):
            true = {i for i, (t, _) in enumerate(pairs) if t == c}
            found = {i for i, (_, p) in enumerate(pairs) if p == c}
            both = len(true & found)
            nan = float("nan")
            recall = both / len(true) if true else nan
            precision = both / len(found) if found else nan
            self.recall.append(recall)
            self.precision.append(precision)
            self.iou.append(both / len(true | found) if true | found else nan)
            if not true and not found:
                self.f1.append(nan)
            elif both == 0:
                self.f1.append(0.0)
            else:  # the harmonic mean
                self.f1.append(2 / (1 / precision + 1 / recall))

    @property
    def pixel_accuracy(self) -> float:
        if not self.pairs:
            return float("nan")
        return sum(t == p for t, p in self.pairs) / len(self.pairs)

    @property
    def kappa(self) -> float:
        """From its form by disagreement: 1 − observed / expected disagreement."""
        if not self.pairs:
            return float("nan")
        observed = sum(t != p for t, p in self.pairs) / len(self.pairs)
        expected = sum(t != p for t, _ in self.pairs for _, p in self.pairs) / len(self.pairs) ** 2
        return 1 - observed / expected if expected else float("nan")


def mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def test_scores_worked_out_by_hand() -> None:
    scores = confusion(HAND).scores()
    assert scores.pixel_accuracy == 0.7
    assert scores.recall[:2] == pytest.approx([4 / 5, 3 / 5])
    assert scores.precision[:2] == pytest.approx([4 / 6, 3 / 4])
    assert scores.iou[:2] == pytest.approx([4 / 7, 3 / 6])
    assert scores.f1[:2] == pytest.approx([8 / 11, 6 / 9])
    assert scores.mean_accuracy == pytest.approx(0.7)
    assert scores.mean_precision == pytest.approx((4 / 6 + 3 / 4) / 2)
    assert scores.mean_iou == pytest.approx((4 / 7 + 1 / 2) / 2)
    assert scores.mean_f1 == pytest.approx((8 / 11 + 2 / 3) / 2)
    # Chance: 0.5 · 0.6 + 0.5 · 0.4 = 0.5.
    assert scores.kappa == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert scores.frequency_weighted_iou == pytest.approx(0.5 * 4 / 7 + 0.5 * 1 / 2)
    assert list(scores.frequency) == [0.5, 0.5, 0.0]


def test_kappa_of_the_textbook() -> None:
    # The much-printed example of two readers, 50 proposals: p_o 0.7, p_e 0.5.
    assert confusion([[20, 5], [10, 15]]).scores().kappa == pytest.approx(0.4)


def test_class_absent_from_truth_and_prediction_has_no_score_and_enters_no_mean() -> None:
    scores = confusion(HAND).scores()
    for values in (scores.recall, scores.precision, scores.iou, scores.f1):
        assert np.isnan(values[2])


def test_class_predicted_but_never_true_scores_zero_and_has_no_recall() -> None:
    scores = confusion([[3, 1], [0, 0]]).scores()
    assert np.isnan(scores.recall[1])
    assert scores.precision[1] == scores.iou[1] == scores.f1[1] == 0
    assert scores.mean_accuracy == 0.75
    assert scores.mean_iou == pytest.approx((3 / 4 + 0) / 2)


def test_class_true_but_never_predicted_scores_zero_and_has_no_precision() -> None:
    scores = confusion([[3, 0], [1, 0]]).scores()
    assert np.isnan(scores.precision[1])
    assert scores.recall[1] == scores.iou[1] == scores.f1[1] == 0
    assert scores.mean_precision == 0.75


def test_nothing_counted_leaves_every_score_undefined() -> None:
    scores = Confusion.empty(3).scores()
    assert scores.scored == 0
    for value in (
        scores.pixel_accuracy,
        scores.mean_accuracy,
        scores.mean_precision,
        scores.mean_iou,
        scores.mean_f1,
        scores.frequency_weighted_iou,
        scores.kappa,
        scores.unpredicted_share,
        *scores.frequency,
    ):
        assert math.isnan(value)


def test_kappa_is_undefined_where_one_class_is_all_there_is() -> None:
    scores = confusion([[7, 0], [0, 0]]).scores()
    assert math.isnan(scores.kappa)
    assert scores.pixel_accuracy == 1


def test_class_left_out_enters_no_mean_but_the_overall_accuracy() -> None:
    left_out, full = confusion(HAND).scores(leave_out=[1]), confusion(HAND).scores()
    assert left_out.mean_iou == left_out.frequency_weighted_iou == pytest.approx(4 / 7)
    assert left_out.mean_accuracy == 0.8
    assert left_out.pixel_accuracy == full.pixel_accuracy
    assert left_out.kappa == full.kappa
    assert left_out.iou[1] == full.iou[1]


def test_leaving_out_a_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="index 3"):
        confusion(HAND).scores(leave_out=[3])


def test_unpredicted_pixels_are_not_scored_unless_asked() -> None:
    counts = confusion([[4, 1], [1, 2]], [5, 0])
    scores = counts.scores()
    assert scores.scored == 8
    assert scores.labelled == 13
    assert scores.unpredicted_share == 5 / 13
    assert scores.recall[0] == 4 / 5
    strict = counts.scores(unpredicted_is_wrong=True)
    assert strict.scored == 13
    assert strict.recall[0] == 4 / 10
    assert strict.iou[0] == 4 / 11
    assert strict.precision[0] == scores.precision[0]
    assert strict.pixel_accuracy == 6 / 13
    assert strict.unpredicted_share == 5 / 13


def test_perfect_agreement_but_for_unpredicted_pixels_has_a_kappa_when_they_are_wrong() -> None:
    # 10 pixels of one class, 5 of them predicted: chance agrees on 1 · 0.5.
    scores = confusion([[5, 0], [0, 0]], [5, 0]).scores(unpredicted_is_wrong=True)
    assert scores.kappa == pytest.approx((0.5 - 0.5) / 0.5)


def test_counts_of_a_whole_continent_do_not_overflow() -> None:
    scores = confusion(np.array([[3, 1], [1, 3]]) * 10**12).scores()
    assert scores.pixel_accuracy == 0.75
    assert scores.kappa == pytest.approx(0.5)


def test_labels_of_no_class_are_not_counted_and_gaps_in_the_prediction_apart() -> None:
    truth = np.array([[0, 0, 1, NOTHING, NOTHING]], np.uint8)
    prediction = np.array([[0, 1, NOTHING, 1, NOTHING]], np.uint8)
    found = Confusion.from_arrays(truth, prediction, classes=2)
    assert found == confusion([[1, 1], [0, 0]], [0, 1])


def test_all_255_classes_fit() -> None:
    every = np.arange(255, dtype=np.uint8)
    found = Confusion.from_arrays(every, every[::-1], classes=255)
    assert np.array_equal(found.counts, np.fliplr(np.eye(255)))


@pytest.mark.parametrize("swapped", [False, True])
def test_index_beyond_the_classes_is_refused(swapped: bool) -> None:
    good, bad = np.zeros(4, np.uint8), np.array([0, 1, 7, 0], np.uint8)
    pair = (bad, good) if swapped else (good, bad)
    with pytest.raises(LabelError, match=("truth" if swapped else "prediction") + ".* index 7"):
        Confusion.from_arrays(*pair, classes=2)


def test_arrays_of_another_shape_or_dtype_are_refused() -> None:
    a = np.zeros((2, 3), np.uint8)
    with pytest.raises(LabelError, match="do not lie"):
        Confusion.from_arrays(a, a.T, classes=1)
    with pytest.raises(LabelError, match="uint8"):
        Confusion.from_arrays(a, a.astype(np.int64), classes=1)


@pytest.mark.parametrize(
    ("counts", "unpredicted"),
    [([[1, 2]], [0]), ([[1, -2], [0, 0]], [0, 0]), ([[1, 2], [0, 0]], [0]), ([], [])],
)
def test_counts_that_are_no_confusion_are_refused(counts: object, unpredicted: object) -> None:
    with pytest.raises(LabelError):
        confusion(counts, unpredicted)


def test_confusions_of_other_classes_cannot_be_added() -> None:
    with pytest.raises(LabelError, match="3 and of 2"):
        confusion(HAND) + confusion([[1, 0], [0, 1]])


def test_counts_cannot_be_changed_afterwards() -> None:
    mine = HAND.copy()
    found = Confusion(mine, np.zeros(3, np.int64))
    mine[0, 0] = 99
    assert found.counts[0, 0] == 4
    with pytest.raises(ValueError, match="read-only"):
        found.counts[0, 0] = 1


def test_pairs_are_counted_across_chunks() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 256, (2, 700, 500)).astype(np.uint8)
    found = count_pairs(a, b)
    wanted = np.zeros((256, 256), np.int64)
    np.add.at(wanted, (a, b), 1)
    assert np.array_equal(found, wanted)


def test_pairs_of_strided_views_are_counted() -> None:
    a = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert np.array_equal(count_pairs(a[::2, ::3], a[::2, ::3]).nonzero()[0], [0, 3, 12, 15])


@st.composite
def maps(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    classes = draw(st.integers(1, 5))
    values = st.sampled_from([*range(classes), NOTHING])
    pairs = draw(st.lists(st.tuples(values, values), max_size=40))
    return [t for t, _ in pairs], [p for _, p in pairs], classes


def array(values: list[int]) -> NDArray[np.uint8]:
    return np.array(values, dtype=np.uint8)


@given(maps())
@settings(max_examples=200)
def test_scores_equal_those_counted_pixel_by_pixel(case: tuple[list[int], list[int], int]) -> None:
    truth, prediction, classes = case
    found: Scores = Confusion.from_arrays(array(truth), array(prediction), classes=classes).scores()
    slow = SlowScores(truth, prediction, classes)
    assert int(found.unpredicted.sum()) == slow.unpredicted
    assert found.scored == len(slow.pairs)
    for name in ("recall", "precision", "iou", "f1"):
        assert all(map(same, getattr(found, name), getattr(slow, name))), name
    assert same(found.pixel_accuracy, slow.pixel_accuracy)
    assert same(found.kappa, slow.kappa)
    assert same(found.mean_accuracy, mean(slow.recall))
    assert same(found.mean_precision, mean(slow.precision))
    assert same(found.mean_iou, mean(slow.iou))
    assert same(found.mean_f1, mean(slow.f1))


@given(maps(), st.integers(0, 40))
def test_parts_added_equal_the_whole(case: tuple[list[int], list[int], int], cut: int) -> None:
    truth, prediction, classes = case
    parts = [
        Confusion.from_arrays(array(truth[part]), array(prediction[part]), classes=classes)
        for part in (slice(cut), slice(cut, None))
    ]
    whole = Confusion.from_arrays(array(truth), array(prediction), classes=classes)
    assert parts[0] + parts[1] == whole
    assert Confusion.total(parts, classes=classes) == whole


# -- another library ------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 6),
    left_out=st.sets(st.integers(0, 5), max_size=2),
)
@settings(max_examples=50, deadline=None)
def test_scores_are_those_of_scikit_learn(seed: int, classes: int, left_out: set[int]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    truth, found = random.integers(0, classes, (2, 30, 20), np.uint8)
    truth[random.random(truth.shape) < 0.1] = NOTHING
    left_out = {i for i in left_out if i < classes - 1}
    got = Confusion.from_arrays(truth, found, classes=classes).scores(leave_out=left_out)
    kept = truth != NOTHING
    true, guess = truth[kept], found[kept]
    labels = list(range(classes))
    means = [i for i in labels if i not in left_out]
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        true, guess, labels=labels, zero_division=np.nan
    )
    iou = metrics.jaccard_score(true, guess, labels=labels, average=None)
    for mine, theirs in (
        (got.precision, precision),
        (got.recall, recall),
        (got.f1, f1),
        (got.iou, iou),
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    assert got.true.tolist() == support.tolist()
    assert same(got.pixel_accuracy, metrics.accuracy_score(true, guess))
    assert same(got.kappa, metrics.cohen_kappa_score(true, guess))
    # Means over some classes alone, while the pixels of the others still are errors.
    assert same(got.mean_iou, iou[means].mean())
    assert same(
        got.mean_f1, metrics.f1_score(true, guess, labels=means, average="macro", zero_division=0)
    )
    if not left_out and set(true.tolist()) == set(labels):
        assert same(got.mean_accuracy, metrics.balanced_accuracy_score(true, guess))
