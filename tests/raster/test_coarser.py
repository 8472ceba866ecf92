"""Scenes at 1:n: by hand, and against loops."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geoseg.raster.coarser import coarser
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window
from geoseg.testing.scenes import tiny_scene


def plain(path: Path, array: np.ndarray, nodata: float | None = None) -> Scene:
    return Scene.open(tiny_scene(path, array, nodata=nodata))


def test_four_pixels_become_their_mean_in_the_type_of_the_scene(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1, 2, 9, 9], [3, 5, 9, 8]], np.uint8)).save(tmp_path / "a.png")
    with Scene.open(tmp_path / "a.png") as scene:
        small = coarser(scene, 2)
        assert (small.grid.height, small.grid.width) == (1, 2)
        assert small.photograph
        assert small.paths == scene.paths
        assert not small.grid.is_georeferenced
        pixels = small.read(small.grid.window)
        assert pixels.data.dtype == np.uint8
        assert pixels.data.tolist() == [[[3, 9]]]  # 2.75 and 8.75
        assert pixels.valid.all()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_means_are_those_of_valid_readings(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    n, rows, cols = (data.draw(st.integers(1, 3)) for _ in range(3))
    cells = st.lists(
        st.integers(0, 5), min_size=rows * cols * n * n * 2, max_size=rows * cols * n * n * 2
    )
    array = np.array(data.draw(cells), np.float32).reshape(2, rows * n, cols * n)
    with plain(tmp_path_factory.mktemp("means") / "a.tif", array, nodata=0) as scene:
        small = coarser(scene, n)
        pixels = small.read(small.grid.window)
        valid = (array != 0).all(axis=0)
        for row in range(rows):
            for col in range(cols):
                at = np.s_[row * n : row * n + n, col * n : col * n + n]
                some = array[(slice(None), *at)][:, valid[at]]
                assert pixels.valid[row, col] == bool(some.size)
                if some.size:
                    assert pixels.data[:, row, col].tolist() == pytest.approx(some.mean(axis=1))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_majorities_are_those_of_a_count(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    n, rows, cols = data.draw(st.integers(2, 3)), 2, 2
    cells = st.lists(st.sampled_from([1, 2, 3, 255]), min_size=4 * n * n, max_size=4 * n * n)
    array = np.array(data.draw(cells), np.uint8).reshape(rows * n, cols * n)
    with plain(tmp_path_factory.mktemp("most") / "a.tif", array, nodata=255) as scene:
        small = coarser(scene, n, how="majority")
        pixels = small.read(small.grid.window)
        for row in range(rows):
            for col in range(cols):
                ids = array[row * n : row * n + n, col * n : col * n + n].ravel().tolist()
                known = [i for i in ids if i != 255]
                there = 2 * len(known) >= n * n
                assert pixels.valid[row, col] == there
                if there:  # a Counter keeps the order in which it saw them
                    assert pixels.data[0, row, col] == Counter(known).most_common(1)[0][0]


def test_any_window_bands_and_threads_give_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (3, 90, 60)).astype(np.uint8)
    with plain(tmp_path / "a.tif", array) as scene:
        small = coarser(scene, 3)
        whole = small.read(small.grid.window).data
        assert (small.read(Window(7, 3, 11, 9)).data == whole[:, 7:18, 3:12]).all()
        second = small.select(["green"])
        assert (second.read(second.grid.window).data == whole[1:2]).all()
        again = pickle.loads(pickle.dumps(small))
        assert (again.read(again.grid.window).data == whole).all()
        strips = [strip.arrays[0] for strip in read_strips([small], target_rows=8, workers=3)]
        assert (np.concatenate(strips, axis=1) == whole).all()
        assert small.read_overview(10) is None
        assert small.grid == scene.grid.coarsen(3)


def test_sides_that_are_no_multiples_are_refused(tmp_path: Path) -> None:
    with plain(tmp_path / "a.tif", np.ones((4, 5), np.uint8)) as scene:
        assert coarser(scene, 1) is scene
        with pytest.raises(ValueError, match="cannot be seen at 1:2"):
            coarser(scene, 2)
