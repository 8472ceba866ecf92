"""Readings of another kind than those that a model learned from are told."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from geoseg.inference.readings import _begins, looked_at, strange_readings
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import tiny_scene


def card(mean):
    return pointwise_bundle(
        np.eye(2),
        bands=["red", "nir"],
        mean=mean,
        std=(1000.0, 2000.0),
        legend=parse_legend("1=a,2=b"),
        name="m",
    ).card


@pytest.fixture
def scene(tmp_path):
    def make(red, nir, dtype=np.float32):
        pixels = np.stack([np.full((90, 300), red), np.full((90, 300), nir)]).astype(dtype)
        pixels[:, :, 150:] = 0
        path = tiny_scene(tmp_path / "s.tif", pixels, bands=["red", "nir"], nodata=0)
        return Scene.open(path)

    return make


def test_reflectance_for_a_model_of_stored_numbers_is_told_of(scene):
    with scene(0.12, 0.3) as given:
        (note,) = strange_readings(given, card((10000.0, 16000.0)))
    assert note.startswith(
        "s reads about 0.12 in red, where the model 'm' learned from 10000 ± 1000: are both"
    )


def test_another_season_is_not_and_nodata_does_not_count(scene):
    with scene(13000, 9000, np.uint16) as given:
        assert strange_readings(given, card((10000.0, 16000.0))) == []


def test_a_model_that_takes_readings_as_they_are_says_nothing(scene):
    with scene(0.12, 0.3) as given:
        assert strange_readings(given, card((0.0, 0.0))) == []


def test_a_scene_without_readings_says_nothing(scene):
    with scene(0, 0, np.uint16) as given:
        assert strange_readings(given, card((10000.0, 16000.0))) == []


def test_a_look_beside_other_work_says_the_same(scene):
    with scene(0.12, 0.3) as given:
        learned = card((10000.0, 16000.0))
        with looked_at(given, learned) as strange:
            assert strange() == strange_readings(given, learned) != []


def test_a_look_that_nobody_waits_for_reads_no_more_and_fails_nobody(scene):
    with scene(0.12, 0.3) as given:
        stop = threading.Event()
        stop.set()
        assert strange_readings(given, card((10000.0, 16000.0)), stop=stop) == []
        given.close()
        with looked_at(given, card((10000.0, 16000.0))):
            pass


def test_a_look_at_a_scene_that_cannot_be_read_is_a_note(scene, tmp_path):
    with scene(0.12, 0.3) as given:
        given.close()
        path = tmp_path / "s.tif"
        path.write_bytes(path.read_bytes()[:600])
        with looked_at(given, card((10000.0, 16000.0))) as strange:
            (note,) = strange()
    assert note.startswith(
        "s: its readings were not compared with those that the model 'm' learned"
    )
    assert "s.tif: changed while it was read" in note


@pytest.mark.parametrize(
    ("length", "block", "origin", "expected"),
    [
        (4096, 512, 0, [512, 1536, 2560, 3584]),  # 504, 1512, 2520 and 3528 would lie across edges
        (4096, 512, 100, [504, 1512, 2520, 3528]),  # edges at 100 + 512 n are far from these
        (4096, 16, 0, [504, 1512, 2520, 3528]),  # lower than a window
        (90, 70, 0, [3, 6, 70 - 64, 70 - 64]),  # 9 and 22, and there is no room behind the edge
        (50, 16, 0, [0, 0, 0, 0]),
    ],
)
def test_windows_lie_in_one_block_each_where_they_can(length, block, origin, expected):
    assert _begins(length, block, origin) == expected
