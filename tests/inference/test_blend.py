"""Blending against sums in float64, and the promises that a running mean makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.inference.blend import (
    BLEND_NAMES,
    Blender,
    axis_weights,
    best_class,
    plan_axis,
    running_mean,
)


def blend_all(tiles, rows, cols, classes, *, left_out=frozenset(), parts=1):
    """Blend tiles[(i, j)] (classes, tile rows, tile cols) and return the whole scene.

    Columns are joined as soon as `parts` tiles, that no later one reaches back to, are added.
    """
    blender = Blender(rows=rows, cols=cols, classes=classes)
    out = torch.zeros(classes, rows.length, cols.length)
    for i, start in enumerate(rows.starts):
        chosen = [j for j in range(len(cols.starts)) if (i, j) not in left_out]
        done = 0
        for n, j in enumerate(chosen, start=1):
            blender.add(j, tiles[i, j])
            if n % parts == 0 and n < len(chosen):
                blender.finish(i, slice(done, cols.starts[chosen[n]]))
                done = cols.starts[chosen[n]]
        if chosen:
            blender.finish(i, slice(done, None))
        done = rows.finished(i)
        if chosen:
            out[:, start : start + done] = blender.means[:, :done]
            blender.advance(i)
    return out


def oracle(tiles, rows, cols, classes, blend, *, left_out=frozenset()):
    """Weighted sums and sums of weights, in float64."""
    total = np.zeros((classes, rows.length, cols.length))
    weight = np.zeros((rows.length, cols.length))
    w = np.outer(axis_weights(blend, rows.size), axis_weights(blend, cols.size))
    for i, y in enumerate(rows.starts):
        for j, x in enumerate(cols.starts):
            if (i, j) in left_out:
                continue
            total[:, y : y + rows.size, x : x + cols.size] += w * tiles[i, j].numpy()
            weight[y : y + rows.size, x : x + cols.size] += w
    with np.errstate(invalid="ignore"):
        return total / weight, weight


sizes = st.integers(1, 40)
tilings = st.tuples(sizes, sizes, st.integers(1, 16), st.integers(1, 16)).map(
    lambda t: (t[0], t[1], t[2], min(t[3], t[2]))
)


@settings(max_examples=80, deadline=None)
@given(tilings, st.sampled_from(BLEND_NAMES), st.integers(1, 3), st.integers(0, 2**31))
def test_blend_is_the_weighted_mean_of_all_tiles(tiling, blend, parts, seed):
    height, width, size, stride = tiling
    rows, cols = plan_axis(height, size, stride, blend), plan_axis(width, size, stride, blend)
    generator = torch.Generator().manual_seed(seed)
    tiles = {
        (i, j): torch.rand(2, rows.size, cols.size, generator=generator)
        for i in range(len(rows.starts))
        for j in range(len(cols.starts))
    }
    got = blend_all(tiles, rows, cols, 2, parts=parts).numpy()
    expected, weight = oracle(tiles, rows, cols, 2, blend)
    assert (weight > 0).all()
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(tilings, st.sampled_from(BLEND_NAMES), st.floats(0, 1, width=32))
def test_equal_tiles_give_their_value_to_the_bit(tiling, blend, value):
    height, width, size, stride = tiling
    rows, cols = plan_axis(height, size, stride, blend), plan_axis(width, size, stride, blend)
    tile = torch.full((1, rows.size, cols.size), value)
    tiles = {(i, j): tile for i in range(len(rows.starts)) for j in range(len(cols.starts))}
    got = blend_all(tiles, rows, cols, 1)
    assert (got.numpy() == np.float32(value)).all()


@settings(max_examples=60, deadline=None)
@given(tilings, st.sampled_from(BLEND_NAMES), st.data())
def test_left_out_tiles_spoil_no_pixel_outside_them(tiling, blend, data):
    height, width, size, stride = tiling
    rows, cols = plan_axis(height, size, stride, blend), plan_axis(width, size, stride, blend)
    places = [(i, j) for i in range(len(rows.starts)) for j in range(len(cols.starts))]
    left_out = frozenset(data.draw(st.sets(st.sampled_from(places))))
    generator = torch.Generator().manual_seed(1)
    tiles = {p: torch.rand(2, rows.size, cols.size, generator=generator) for p in places}
    got = blend_all(tiles, rows, cols, 2, left_out=left_out).numpy()
    expected, _ = oracle(tiles, rows, cols, 2, blend)
    inside = np.zeros((height, width), bool)
    for i, j in left_out:
        y, x = rows.starts[i], cols.starts[j]
        inside[y : y + rows.size, x : x + cols.size] = True
    np.testing.assert_allclose(got[:, ~inside], expected[:, ~inside], rtol=0, atol=2e-6)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("blend", BLEND_NAMES)
@pytest.mark.parametrize("size", [1, 2, 57, 288])
def test_no_pixel_weighs_nothing(blend, size):
    weights = axis_weights(blend, size)
    assert (weights > 0).all()
    np.testing.assert_array_equal(weights, weights[::-1])


def test_a_gaussian_corner_weighs_e_to_the_minus_four_of_the_centre():
    weights = axis_weights("gaussian", 4000)
    assert weights[0] ** 2 / weights[1999] ** 2 == pytest.approx(np.exp(-4), rel=5e-3)


def test_a_dense_stride_hits_a_pixel_often_and_overflows_nothing():
    axis = plan_axis(3000, 288, 1, "mean")
    hits = np.zeros(3000, int)
    for start in axis.starts:
        hits[start : start + 288] += 1
    assert hits.max() == 288
    assert axis.shares[1000, 0] == np.float32(1 / 288)
    assert (axis.shares > 0).all()


def test_the_last_tile_is_flush_with_the_border():
    axis = plan_axis(100, 30, 20, "mean")
    assert axis.starts == (0, 20, 40, 60, 70)
    assert [axis.overlap(k) for k in range(5)] == [0, 10, 10, 10, 20]
    assert [axis.finished(k) for k in range(5)] == [20, 20, 20, 10, 30]


def test_a_scene_smaller_than_a_tile_is_one_tile_of_its_size():
    axis = plan_axis(13, 288, 144, "hann")
    assert (axis.size, axis.starts) == (13, (0,))


def test_an_unknown_blend_is_refused_with_the_names_that_there_are():
    with pytest.raises(OptionError, match="mean, hann, gaussian"):
        axis_weights("cosine", 8)


def test_running_mean_is_the_mean_and_keeps_equal_values():
    parts = [torch.tensor([0.25, value]) for value in (0.1, 0.4, 0.7)]
    mean = running_mean(parts)
    assert mean[0] == 0.25
    assert mean[1].item() == pytest.approx(0.4)


def test_the_lowest_class_wins_a_tie():
    means = torch.tensor([[[0.2, 0.5]], [[0.4, 0.5]], [[0.4, 0.0]]])
    index, best = best_class(means)
    assert index.tolist() == [[1, 0]]
    assert best.tolist() == [[pytest.approx(0.4), 0.5]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 5), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_each_pixel_gets_the_first_of_its_most_probable_classes(classes, rows, cols, cut, seed):
    random = np.random.default_rng(seed)
    means = random.integers(0, 4, (classes, rows, cols)).astype(np.float32) / 4
    means[:, random.random((rows, cols)) < 0.2] = np.nan
    given = torch.from_numpy(means)
    if cut:  # as a part of larger rows
        given = torch.from_numpy(np.pad(means, ((0, 0), (2, 1), (0, 0))))[:, 2 : 2 + rows]
    index, best = best_class(given)
    assert (index.dtype, best.dtype) == (torch.uint8, torch.float32)
    for row in range(rows):
        for col in range(cols):
            values = means[:, row, col].tolist()
            if values[0] != values[0]:
                assert best[row, col].isnan()
                continue
            assert best[row, col].item() == max(values)
            assert index[row, col].item() == values.index(max(values))


def test_a_class_that_is_no_number_is_not_hidden():
    _, best = best_class(torch.tensor([[[0.5]], [[float("nan")]]]))
    assert best.isnan().all()
