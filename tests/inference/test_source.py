"""Rows that roll, and what of a scene a network is fed."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference.members import InputSpec
from geoseg.inference.source import InputRows, RollingRows
from geoseg.raster.scene import Scene

CPU = torch.device("cpu")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=20))
def test_rolling_rows_keep_what_was_not_discarded(steps):
    rolling = RollingRows(2, 3, dtype=torch.float32, device=CPU)
    every = torch.empty(2, 0, 3)
    for count, before in steps:
        new = torch.rand(2, count, 3)
        rolling.append(new)
        every = torch.cat([every, new], dim=1)
        rolling.discard(before)
        assert rolling.stop == every.shape[1]
        assert rolling.first <= min(before, rolling.stop) or rolling.first > before
        assert torch.equal(rolling.rows(rolling.first, rolling.stop), every[:, rolling.first :])


def test_rolling_rows_hold_no_more_than_lives_at_once():
    rolling = RollingRows(1, 1, dtype=torch.float32, device=CPU)
    for row in range(0, 1000, 10):
        rolling.append(torch.zeros(1, 10, 1))
        rolling.discard(row)
    assert rolling.capacity <= 30


def test_an_invalid_pixel_is_filled_in_every_band(write_scene):
    pixels = np.full((2, 4, 4), 150, np.uint16)
    pixels[0, 1, 2] = 0
    specs = [
        InputSpec(("red", "nir"), (100.0, 50.0), (50.0, 100.0), fill=200.0),
        InputSpec(("nir",), (0.0,), (1.0,), fill=7.0),
    ]
    with Scene.open(write_scene(pixels)) as scene:
        source = InputRows(scene, specs, area=None, scale=1, workers=2, device=CPU)
        source.load(4)
        first, second = source.tiles(0, 4, [0, 1], 3)
        assert first[0, :, 0, 0].tolist() == [1.0, 1.0]
        assert first[0, :, 1, 2].tolist() == [2.0, 1.5]
        assert first[1, :, 1, 1].tolist() == [2.0, 1.5]
        assert second[0, 0, 0, 0] == 150
        assert second[0, 0, 1, 2] == 7
        assert source.wanted(0, 4).sum() == 15
        source.close()
