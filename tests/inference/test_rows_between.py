"""Rows of maps from one row to another are those of the whole, and cost no more than they must."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.inference import source
from geoseg.inference.members import make_ensemble
from geoseg.inference.rows import map_rows
from geoseg.inference.settings import PredictSettings
from geoseg.inference.stream import Crew, Work
from geoseg.raster.scene import Scene

CPU = torch.device("cpu")


def rows_between(scene, ensemble, chosen, *, first, stop, workers=1):
    """Give (classes, rows, cols) with 0 where nothing is wanted, (rows, cols), and the tiles."""
    work, means, wanted = Work(), [], []
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
                stop=stop,
            )
        ) as found,
    ):
        row = first
        for part in found:
            assert part.row == row
            row += len(part.wanted)
            shape = (ensemble.classes, *part.wanted.shape)
            given = np.zeros(shape, np.float32) if part.means is None else part.means.numpy()
            means.append(np.where(part.wanted, given, 0))
            wanted.append(part.wanted.copy())
    assert row == stop
    return np.concatenate(means, axis=1), np.concatenate(wanted), work.tiles


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_rows_between_two_are_those_of_the_whole_to_the_bit(write_scene, make_bundle, data):
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
    first = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(first + 1, height))
    with Scene.open(write_scene(pixels)) as scene:
        whole, wanted, _ = rows_between(scene, ensemble, chosen, first=0, stop=height)
        part, there, _ = rows_between(scene, ensemble, chosen, first=first, stop=stop, workers=2)
    np.testing.assert_array_equal(there, wanted[first:stop])
    np.testing.assert_array_equal(part, whole[:, first:stop])


@pytest.mark.parametrize(
    ("first", "stop", "tile_rows"),
    [
        (0, 40, 10),  # tiles at 0, 4 … 32 and one whose first row is 36 − 4
        (8, 16, 3),  # those at 4, 8 and 12
        (8, 17, 4),
        (7, 8, 2),  # those at 0 and 4
        (0, 4, 1),
    ],
)
def test_no_tile_is_computed_that_no_row_needs(write_scene, make_bundle, first, stop, tile_rows):
    pixels = np.full((2, 40, 8), 9, np.uint16)
    ensemble = make_ensemble([make_bundle()], device=CPU)
    with Scene.open(write_scene(pixels)) as scene:
        *_, tiles = rows_between(
            scene, ensemble, PredictSettings(tile=8, stride=4), first=first, stop=stop
        )
    assert tiles == min(tile_rows, 9)


def test_no_row_is_read_that_no_tile_needs(write_scene, make_bundle, monkeypatch):
    read = []

    def noted(scenes, *, window, **words):
        read.append((window.row, window.row + window.height))
        return source_read(scenes, window=window, **words)

    source_read = source.read_strips
    monkeypatch.setattr(source, "read_strips", noted)
    ensemble = make_ensemble([make_bundle()], device=CPU)
    with Scene.open(write_scene(np.full((2, 400, 8), 9, np.uint16))) as scene:
        for scale in (1, 2):
            chosen = PredictSettings(tile=8, stride=4, scale=scale)
            rows_between(scene, ensemble, chosen, first=200, stop=216)
    assert read == [(196, 220), (182, 234)]
