"""Row by row against torch's own interpolation of the whole."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from geoseg.inference.upsample import RowUpsampler


def upsample(reduced, factor, height, width, cuts):
    up = RowUpsampler(factor=factor, height=height, width=width)
    out = torch.full((reduced.shape[0], height, width), torch.nan)
    bounds = [0, *cuts, reduced.shape[1]]
    following = 0
    for first, stop in pairwise(bounds):
        if stop > first:
            for row, rows in up.push(reduced[:, first:stop]):
                assert row == following
                following = row + rows.shape[1]
                out[:, row:following] = rows
    assert following == height
    return out


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(2, 8), st.data())
def test_rows_in_pieces_equal_the_whole_interpolated(height, width, factor, data):
    reduced_height, reduced_width = -(-height // factor), -(-width // factor)
    cuts = sorted(data.draw(st.lists(st.integers(0, reduced_height), max_size=4)))
    reduced = torch.rand(2, reduced_height, reduced_width)
    whole = functional.interpolate(
        reduced[None], scale_factor=factor, mode="bilinear", align_corners=False
    )[0, :, :height, :width]
    torch.testing.assert_close(
        upsample(reduced, factor, height, width, cuts), whole, rtol=0, atol=1e-6
    )


def test_a_constant_stays_constant_to_the_bit():
    reduced = torch.full((1, 7, 5), 0.3)
    assert (upsample(reduced, 3, 20, 14, [2, 3]) == reduced[0, 0, 0]).all()
