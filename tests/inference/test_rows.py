"""Rows of maps, from any row on."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.inference.blend import plan_axis
from geoseg.inference.members import make_ensemble
from geoseg.inference.rows import map_rows
from geoseg.inference.settings import PredictSettings
from geoseg.inference.stream import Crew, Work
from geoseg.raster.scene import Scene

CPU = torch.device("cpu")


def rows_from(scene, ensemble, chosen, *, first, workers):
    """Give (classes, rows, cols) with 0 where nothing is wanted, (rows, cols), and the tiles."""
    work, means, wanted = Work(), [], []
    row = first
    with (
        closing(Crew(CPU, workers)) as crew,
        closing(
            map_rows(
                scene,
                ensemble,
                chosen,
                specs=ensemble.specs,
                area=None,
                workers=workers,
                crew=crew,
                work=work,
                first=first,
            )
        ) as found,
    ):
        for part in found:
            assert part.row == row
            row += len(part.wanted)
            shape = (ensemble.classes, *part.wanted.shape)
            given = np.zeros(shape, np.float32) if part.means is None else part.means.numpy()
            means.append(np.where(part.wanted, given, 0))
            wanted.append(part.wanted.copy())
    assert row == scene.grid.height
    if not means:
        return np.zeros((ensemble.classes, 0, 0)), np.zeros((0, 0), bool), work.tiles
    return np.concatenate(means, axis=1), np.concatenate(wanted), work.tiles


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_rows_from_any_row_on_are_those_of_the_whole_to_the_bit(
    write_scene, make_bundle, tmp_path, data
):
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 30))
    tile, scale = data.draw(st.integers(2, 24)), data.draw(st.integers(1, 3))
    chosen = PredictSettings(
        tile=tile,
        stride=data.draw(st.integers(max(1, tile // 5), tile)),
        blend=data.draw(st.sampled_from(["mean", "hann", "gaussian"])),
        scale=scale,
        batch=data.draw(st.integers(1, 3)),
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    pixels = rng.integers(1, 300, (2, height, width), dtype=np.uint16)
    top = data.draw(st.integers(0, height))  # rows without anything lie somewhere
    pixels[:, top : top + data.draw(st.integers(0, 30))] = 0
    ensemble = make_ensemble([make_bundle("unet-small", widths=(2, 3))], device=CPU)
    first = data.draw(st.integers(0, height))
    with Scene.open(write_scene(pixels)) as scene:
        whole, wanted, _ = rows_from(scene, ensemble, chosen, first=0, workers=1)
        part, there, _ = rows_from(
            scene, ensemble, chosen, first=first, workers=data.draw(st.integers(1, 3))
        )
    assert part.shape[1] == height - first
    if first < height:
        np.testing.assert_array_equal(part, whole[:, first:])
        np.testing.assert_array_equal(there, wanted[first:])


@pytest.mark.parametrize(
    ("stride", "first", "rows_of_tiles"),
    [
        (32, 0, 5),
        (32, 96, 2),  # tiles end where it begins: none again
        (16, 48, 7),  # of 9 those that begin at 32, 48 … 128: one of them again
        (16, 159, 1),
        (16, 160, 0),
    ],
)
def test_no_tile_is_computed_that_rows_below_do_not_need(
    write_scene, make_bundle, stride, first, rows_of_tiles
):
    pixels = np.ones((2, 160, 64), np.uint16)
    ensemble = make_ensemble([make_bundle()], device=CPU)
    chosen = PredictSettings(tile=32, stride=stride)
    with Scene.open(write_scene(pixels)) as scene:
        *_, tiles = rows_from(scene, ensemble, chosen, first=first, workers=1)
    assert tiles == rows_of_tiles * len(plan_axis(64, 32, stride, "hann").starts)
