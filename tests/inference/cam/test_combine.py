"""From activation maps to classes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression

from geoseg.errors import LabelError, OptionError
from geoseg.inference.cam.combine import Combination, kept_combination
from geoseg.inference.cam.logistic import fit_logistic

EVERYWHERE = np.ones((1, 3), bool)
MAPS = np.array([[[1.0, 5.0, 2.0]], [[1.5, 1.0, 2.0]]], np.float32)


def test_argmax_takes_the_highest_and_of_equal_ones_the_first() -> None:
    index, confidence = Combination.argmax(2).choose(MAPS, EVERYWHERE)

    assert index.tolist() == [[1, 0, 0]]
    np.testing.assert_allclose(
        confidence, [[1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-4)), 0.5]], rtol=1e-6
    )


def test_zscore_subtracts_the_mean_and_divides_by_the_deviation() -> None:
    way = Combination.zscore(np.array([3.0, 1.0]), np.array([2.0, 0.5]))

    np.testing.assert_allclose(way.scores(MAPS)[:, 0], [[-1, 1, -0.5], [1, 0, 2]])
    assert way.choose(MAPS, EVERYWHERE)[0].tolist() == [[1, 0, 1]]


def test_a_map_that_never_varies_stands_out_nowhere() -> None:
    way = Combination.zscore(np.array([3.0, 1.0]), np.array([0.0, 1.0]))

    assert way.scores(MAPS)[0].tolist() == [[0, 0, 0]]


def test_median_is_taken_off() -> None:
    way = Combination.median(np.array([2.0, 1.5]))

    assert way.scores(MAPS)[:, 0].tolist() == [[-1, 3, 0], [0, -0.5, 0.5]]


def test_invalid_pixels_get_no_class() -> None:
    valid = np.array([[True, False, True]])

    index, confidence = Combination.argmax(2).choose(MAPS, valid)

    assert index.tolist() == [[1, 255, 0]]
    assert np.isnan(confidence).tolist() == [[False, True, False]]


def test_nan_in_invalid_pixels_warns_nobody() -> None:
    maps = MAPS.copy()
    maps[:, 0, 1] = np.nan

    index, _ = Combination.argmax(2).choose(maps, np.array([[True, False, True]]))

    assert index.tolist() == [[1, 255, 0]]


def test_only_allowed_classes_are_chosen_and_none_where_none_is() -> None:
    allowed = np.array([[[True, False, False]], [[False, True, False]]])

    index, confidence = Combination.argmax(2).choose(MAPS, EVERYWHERE, allowed)

    assert index.tolist() == [[0, 1, 255]]
    assert confidence[0, :2].tolist() == [1, 1]
    assert np.isnan(confidence[0, 2])


def test_where_only_classes_without_a_score_are_allowed_any_other_may_be() -> None:
    way = Combination(
        method="logistic",
        weights=np.ones((1, 2), np.float32),
        offsets=np.zeros(1, np.float32),
        classes=(0,),
    )
    allowed = np.array([[[False, True, False]], [[True, False, False]]])

    assert way.choose(MAPS, EVERYWHERE, allowed)[0].tolist() == [[0, 0, 255]]


@given(arrays(np.float32, (3, 4, 5), elements=st.floats(-50, 50, width=32)), st.integers(0, 2**31))
def test_choosing_equals_a_slow_oracle(maps: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(2, 3)).astype(np.float32)
    offsets = random.normal(size=2).astype(np.float32)
    way = Combination(method="logistic", weights=weights, offsets=offsets, classes=(0, 2))
    allowed = random.random((3, 4, 5)) < 0.7

    index, confidence = way.choose(maps, np.ones((4, 5), bool), allowed)

    for row in range(4):
        for col in range(5):
            scores = {
                c: float(weights[n].astype(float) @ maps[:, row, col] + offsets[n])
                for n, c in enumerate((0, 2))
            }
            left = {c: s for c, s in scores.items() if allowed[c, row, col]} or scores
            if not allowed[:, row, col].any():
                assert index[row, col] == 255
                continue
            best = max(left.values())
            shares = {c: np.exp(s - best) for c, s in left.items()}
            chosen = int(index[row, col])
            assert left[chosen] == pytest.approx(best, abs=1e-3)
            share = shares[chosen] / sum(shares.values())
            assert confidence[row, col] == pytest.approx(share, abs=1e-3)


@given(arrays(np.float32, (3, 6, 7), elements=st.floats(-9, 9, width=32)))
def test_a_pixel_does_not_depend_on_its_block(maps: np.ndarray) -> None:
    random = np.random.default_rng(3)
    way = Combination(
        method="logistic",
        weights=random.normal(size=(3, 3)).astype(np.float32),
        offsets=np.zeros(3, np.float32),
        classes=(0, 1, 2),
    )

    whole = way.choose(maps, np.ones((6, 7), bool))
    part = way.choose(maps[:, 2:5, 3:4], np.ones((3, 1), bool))

    np.testing.assert_array_equal(part[0], whole[0][2:5, 3:4])
    np.testing.assert_array_equal(part[1], whole[1][2:5, 3:4])


def test_a_regression_survives_json() -> None:
    way = Combination(
        method="logistic",
        weights=np.array([[0.1, 2], [-3, 4]], np.float32),
        offsets=np.array([0.5, -0.25], np.float32),
        classes=(1, 3),
    )

    again = Combination.from_json(json.loads(json.dumps(way.to_json())))

    assert again.method == "logistic"
    assert again.classes == (1, 3)
    np.testing.assert_array_equal(again.weights, way.weights)
    np.testing.assert_array_equal(again.offsets, way.offsets)


def test_a_model_without_regression_says_what_to_do() -> None:
    with pytest.raises(OptionError, match=r"'m' keeps no regression.*--reference"):
        kept_combination(None, {}, "m")


def test_what_changed_since_the_fit_is_told() -> None:
    way = Combination(
        method="logistic",
        weights=np.eye(2, dtype=np.float32),
        offsets=np.zeros(2, np.float32),
        classes=(0, 1),
    )
    kept = {**way.to_json(), "settings": {"tile": 50, "tta": False}}

    _, notes = kept_combination(kept, {"tile": 64, "tta": False}, "m")

    assert notes == ("the regression of 'm' was fitted with tile 50 (now 64)",)


# -- the regression --------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 4))
def test_logistic_regression_is_that_of_standardised_activations(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, 200)])
    activations = random.normal(size=(3, len(labels))) * [[1], [20], [0.01]] + [[0], [50], [1]]
    activations[0] += labels
    activations = activations.astype(np.float32)

    way = fit_logistic(activations, labels.astype(np.uint8))

    x = activations.astype(float)
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    oracle = LogisticRegression(max_iter=1000).fit(x.T, labels)
    index, confidence = way.choose(activations[:, None], np.ones((1, len(labels)), bool))
    probabilities = oracle.predict_proba(x.T)
    np.testing.assert_allclose(confidence[0], probabilities.max(axis=1), atol=2e-3)
    chosen = probabilities[np.arange(len(labels)), index[0]]
    np.testing.assert_allclose(chosen, probabilities.max(axis=1), atol=2e-3)


def test_logistic_leaves_out_classes_without_labels() -> None:
    activations = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 1, 1]], np.float32)

    way = fit_logistic(activations, np.array([0, 0, 2, 2], np.uint8))

    assert way.classes == (0, 2)
    assert way.choose(activations[:, None], np.ones((1, 4), bool))[0].tolist() == [[0, 0, 2, 2]]


def test_logistic_of_one_class_is_refused_in_words() -> None:
    with pytest.raises(LabelError, match="of one class"):
        fit_logistic(np.zeros((2, 4), np.float32), np.zeros(4, np.uint8))
