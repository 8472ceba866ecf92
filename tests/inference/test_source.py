"""Rows that roll, and what of a scene a network is fed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference import source as source_module
from geoseg.inference.members import InputSpec
from geoseg.inference.source import HeldRows, InputRows
from geoseg.raster.scene import Scene

CPU = torch.device("cpu")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=20))
def test_held_rows_are_those_that_came_and_were_not_discarded(steps):
    held = HeldRows(first=5)
    every, discarded = torch.empty(2, 5, 3), 5
    for count, before in steps:
        new = torch.rand(2, count, 3)
        held.append(new)
        every = torch.cat([every, new], dim=1)
        held.discard(before)
        discarded = max(discarded, min(before, held.stop))
        assert held.stop == every.shape[1]
        assert held.first <= discarded
        for first in range(discarded, held.stop):
            assert torch.equal(held.rows(first, held.stop), every[:, first:])
            assert torch.equal(held.rows(discarded, first + 1), every[:, discarded : first + 1])


def test_rows_are_held_as_they_came_and_no_longer_than_needed():
    held = HeldRows()
    strips = [torch.zeros(1, 10, 1) for _ in range(100)]
    for strip in strips:
        held.append(strip)
        held.discard(held.stop - 15)
        assert held.first == max(held.stop - 20, 0)
    assert held.rows(985, 989).data_ptr() == strips[98][:, 5:].data_ptr()


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
        assert (source.wanted_cols(1, 2) == [True, True, False, True]).all()
        first, second = source.tiles(0, 4, [0, 1], 3)
        assert first[0, :, 0, 0].tolist() == [1.0, 1.0]
        assert first[0, :, 1, 2].tolist() == [2.0, 1.5]
        assert first[1, :, 1, 1].tolist() == [2.0, 1.5]
        assert second[0, 0, 0, 0] == 150
        assert second[0, 0, 1, 2] == 7
        assert source.full_wanted(0, 4).sum() == 15
        source.close()


@pytest.mark.parametrize("fill", [200.0, 0.5, -1.0, 70000.0, 1e30])
@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_cut_across_strips_are_the_scene_filled_and_normalised(
    write_scene, monkeypatch, fill, scale
):
    monkeypatch.setattr(source_module, "STRIP_ROWS", 4)
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 4, (2, 38, 20)).astype(np.uint16)
    spec = InputSpec(("red", "nir"), (1.0, 2.0), (0.5, 3.0), fill=fill)
    valid = (pixels != 0).all(axis=0)
    whole = pixels.astype(np.float32)
    if scale == 2:
        count = valid.reshape(19, 2, 10, 2).sum(axis=(1, 3))
        total = np.where(valid, whole, 0).reshape(2, 19, 2, 10, 2).sum(axis=(2, 4))
        whole, valid = total / np.maximum(count, 1).astype(np.float32), count > 0
    mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (spec.mean, spec.std))
    expected = (np.where(valid, whole, np.float32(fill)) - mean) / std
    with Scene.open(write_scene(pixels, tiled=True, blockxsize=16, blockysize=16)) as scene:
        source = InputRows(scene, [spec], area=None, scale=scale, workers=2, device=CPU)
        source.load(source.height)
        for row, cols in ((0, [0, 3]), (3, [1]), (7, [0, 1, 2])):
            (tiles,) = source.tiles(row, 12, cols, 7)
            for tile, col in zip(tiles, cols, strict=True):
                wanted = expected[:, row : row + 12, col : col + 7]
                np.testing.assert_array_equal(tile.numpy(), wanted)
        source.close()
