"""A cluster, or several cards, make the bytes that one machine makes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from geoseg.cluster.cluster import Cluster
from geoseg.errors import ClusterError, InputError, ModelError, RasterReadError
from geoseg.inference import blocks as blocks_module
from geoseg.inference.blocks import Block, cut_blocks
from geoseg.inference.engines import OnCards, make_engine
from geoseg.inference.many import outputs_of, predict_many
from geoseg.inference.members import make_ensemble
from geoseg.inference.networks import Networks
from geoseg.inference.packing import BlockPacking, MapPacking
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.inference.unfinished import kept_rows
from geoseg.raster.cog.pyramid import Pyramid
from geoseg.raster.cog.tilepacking import TilePacking
from geoseg.raster.outputs import unfinished as unfinished_module
from geoseg.raster.outputs.seen import Mark
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region

HEIGHT, WIDTH = 150, 53
RNG = np.random.default_rng(11)
PIXELS = np.kron(RNG.integers(1, 300, (2, 22, 8), dtype=np.uint16), np.ones((1, 7, 7), np.uint16))
PIXELS = PIXELS[:, :HEIGHT, :WIDTH] + RNG.integers(0, 60, (2, HEIGHT, WIDTH), dtype=np.uint16)
PIXELS[:, 30:62] = 0  # rows without anything
PIXELS[:, 110:, 40:] = 0
TILES = PredictSettings(tile=16, stride=8)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of two threads each."""
    with Cluster.open("local", workers=4) as opened:
        yield opened


@pytest.fixture
def low_blocks(monkeypatch):
    """Blocks of a few rows of tiles, many for each worker."""
    monkeypatch.setattr(blocks_module, "TIMES_THE_EDGE", 2)
    monkeypatch.setattr(blocks_module, "TIMES_THE_EDGE_AT_LEAST", 1)


def make(path: Path, folder: Path, models: Any, settings: PredictSettings, **more: Any) -> Any:
    """Predict with probabilities and confidence; give what was done and the bytes of all files."""
    folder.mkdir(exist_ok=True)
    region, where = more.pop("region", None), more.pop("where", None)
    with Scene.open(path) as scene:
        if region is not None:
            more |= {"area": read_region(region, scene.grid), "area_name": region}
        engine = (
            None if where is None else make_engine(models, settings, device="cpu", cluster=where)
        )
        try:
            done = predict(
                scene,
                folder / "map.tif",
                models=models,
                settings=settings,
                engine=more.pop("engine", engine),
                probabilities=folder / "p.tif",
                confidence=folder / "c.tif",
                device="cpu",
                workers=2,
                **more,
            )
        finally:
            if engine is not None:
                engine.close()
    return done, {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


WAYS = {
    "plain": (TILES, {}),
    "reduced": (replace(TILES, scale=3), {}),
    "dense": (replace(TILES, stride=5, blend="gaussian", batch=3), {}),
    "symmetric": (replace(TILES, tta=True), {}),
    "cleaned": (replace(TILES, min_area=20), {"region": "500030,5598550,500410,5599800"}),
    "apart": (replace(TILES, stride=16), {}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("low_blocks")
def test_a_cluster_makes_the_same_bytes(cluster, write_scene, make_bundle, tmp_path, way):
    settings, more = WAYS[way]
    models = [make_bundle("unet-small", widths=(2, 3), seed=1)]
    if way == "symmetric":
        models.append(make_bundle("unet-small", widths=(3, 4), seed=2, fill=1.0, name="other"))
    scene = write_scene(PIXELS, tiled=True, blockxsize=16, blockysize=16)
    alone, wanted = make(scene, tmp_path / "alone", models, settings, **more)
    done, found = make(scene, tmp_path / "shared", models, settings, where=cluster, **more)
    assert found == wanted
    assert (done.pixels, done.nodata) == (alone.pixels, alone.nodata)
    assert done.tiles >= alone.tiles
    assert len(found) > 3


@pytest.mark.usefixtures("low_blocks")
def test_several_cards_make_the_same_bytes(write_scene, make_bundle, tmp_path):
    models = [make_bundle("unet-small", widths=(2, 3))]
    scene = write_scene(PIXELS)
    _, wanted = make(scene, tmp_path / "one", models, TILES)
    cards = OnCards([make_ensemble(models, device=torch.device("cpu")) for _ in range(2)])
    threads = torch.get_num_threads()
    _, found = make(scene, tmp_path / "two", models, TILES, engine=cards)
    assert found == wanted
    assert torch.get_num_threads() == threads


def test_what_goes_wrong_on_a_card_is_told_by_itself(write_scene, make_bundle, tmp_path):
    def not_a_number(net):
        next(iter(net.parameters())).fill_(float("nan"))

    models = [make_bundle("unet-small", widths=(2, 3), weights=not_a_number)]
    cards = OnCards([make_ensemble(models, device=torch.device("cpu")) for _ in range(2)])
    with pytest.raises(ModelError, match="not a number"):
        make(write_scene(PIXELS), tmp_path / "two", models, TILES, engine=cards)
    assert list((tmp_path / "two").iterdir()) == []


# -- what was begun elsewhere ------------------------------------------------------------------


def stop_after(rows: int):
    done = 0

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if done >= rows * WIDTH:
            raise KeyboardInterrupt

    return count


@pytest.mark.parametrize("cluster_first", [True, False])
@pytest.mark.usefixtures("low_blocks")
def test_a_run_goes_on_with_or_without_a_cluster(
    cluster, write_scene, make_bundle, tmp_path, monkeypatch, cluster_first
):
    monkeypatch.setattr(unfinished_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_module, "TIMES_AS_LONG", 0)
    models, scene = [make_bundle("unet-small", widths=(2, 3))], write_scene(PIXELS)
    settings = replace(TILES, min_area=9)
    _, wanted = make(scene, tmp_path / "alone", models, settings)
    ways = [cluster, None] if cluster_first else [None, cluster]
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        make(scene, out, models, settings, where=ways[0], keep=True, progress=stop_after(60))
    kept = kept_rows(out / "map.tif")
    assert 0 < kept < HEIGHT
    done, found = make(scene, out, models, settings, where=ways[1], resume=True)
    assert found == wanted
    assert done.taken_over == kept


# -- workers that are lost ---------------------------------------------------------------------


def killing(cluster: Cluster, times: int, pause: float, killed: list[int]) -> threading.Thread:
    """Kill workers in turn, as long as they come back."""

    def kill() -> None:
        for turn in range(times):
            time.sleep(pause)
            found = cluster._reached.client.run(os.getpid, on_error="ignore")
            pids = [found[address] for address in sorted(found)]
            if pids:
                pid = pids[turn % len(pids)]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("times", "height"), [(2, 400), pytest.param(5, 1500, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("low_blocks")
def test_workers_killed_in_turn_change_no_byte(write_scene, make_bundle, tmp_path, times, height):
    pixels = np.random.default_rng(3).integers(1, 300, (2, height, 90), dtype=np.uint16)
    models, scene = [make_bundle("unet-small", widths=(4, 8))], write_scene(pixels)
    settings = PredictSettings(tile=16, stride=4)
    _, wanted = make(scene, tmp_path / "alone", models, settings)
    killed: list[int] = []
    with Cluster.open("local", workers=2) as cluster:
        killer = killing(cluster, times, 0.7, killed)
        _, found = make(scene, tmp_path / "shared", models, settings, where=cluster)
        running = killer.is_alive()
        killer.join()
    assert found == wanted
    assert len(killed) >= 2
    assert not running, "all were killed while it ran"


# -- many scenes -------------------------------------------------------------------------------


def many(
    paths: list[Path], folder: Path, models: Any, settings: PredictSettings = TILES, **more: Any
) -> tuple[list[Any], dict[str, bytes]]:
    folder.mkdir(exist_ok=True)
    scenes = [Scene.open(path) for path in paths]
    outputs = outputs_of(scenes, folder, confidence=None)
    found = predict_many(
        scenes, outputs, models=models, settings=settings, device="cpu", workers=2, **more
    )
    return found, {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("scenes", [2, 5])
@pytest.mark.usefixtures("low_blocks")
def test_many_scenes_are_the_same_by_block_and_by_scene(
    cluster, write_scene, make_bundle, tmp_path, scenes
):
    models = [make_bundle("unet-small", widths=(2, 3))]
    paths = [
        write_scene(np.roll(PIXELS, 9 * k, axis=1), name=f"scene{k}.tif") for k in range(scenes)
    ]
    paths.append(write_scene(np.zeros_like(PIXELS), name="void.tif"))
    more = {"region": "500030,5598550,500410,5599800", "min_area": "5px"}
    alone, wanted = many(paths, tmp_path / "alone", models, **more)
    pixels, told = [], []
    found, files = many(
        paths,
        tmp_path / "shared",
        models,
        **more,
        cluster=cluster,
        progress=pixels.append,
        told=lambda one: told.append(one.scene),
    )
    assert files == wanted
    assert (
        [one.state for one in found]
        == [one.state for one in alone]
        == ["made"] * scenes + ["failed"]
    )
    assert [p.pixels for one in found if (p := one.prediction)] == [
        p.pixels for one in alone if (p := one.prediction)
    ]
    assert told == [one.scene for one in alone]
    assert sum(pixels) == (scenes + 1) * HEIGHT * WIDTH
    assert found[0].outputs == (tmp_path / "shared" / "scene0.tif",)
    by_scene = "so says the worker" in str(found[-1].problem)
    assert by_scene == (scenes == 5)
    # What is there is left alone, and what is not is made.
    (tmp_path / "shared" / "scene1.tif").unlink()
    found, files = many(
        paths[:-1], tmp_path / "shared", models, **more, cluster=cluster, resume=True
    )
    assert files == wanted
    assert [one.state for one in found] == ["there", "made", *["there"] * (scenes - 2)]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.usefixtures("low_blocks")
def test_maps_come_here_where_workers_see_another_folder_of_that_path(
    cluster, write_scene, make_bundle, tmp_path, monkeypatch, ours
):
    def other(self: Mark) -> tuple[type[Mark], tuple[tuple[Path, ...]]]:
        return Mark, (tuple(place / "not here" for place in self.places),)

    if not ours:
        monkeypatch.setattr(Mark, "__reduce__", other, raising=False)
    models = [make_bundle("unet-small", widths=(2, 3))]
    paths = [write_scene(np.roll(PIXELS, 9 * k, axis=1), name=f"{k}.tif") for k in range(5)]
    paths.append(write_scene(np.zeros_like(PIXELS), name="void.tif"))
    _, wanted = many(paths, tmp_path / "alone", models)
    pixels: list[int] = []
    found, files = many(paths, tmp_path / "shared", models, cluster=cluster, progress=pixels.append)
    assert files == wanted
    assert [one.state for one in found] == ["made"] * 5 + ["failed"]
    assert sum(pixels) == 6 * HEIGHT * WIDTH
    assert ("so says the worker" in str(found[-1].problem)) is ours


def test_scenes_by_relative_paths_are_found_by_workers(
    cluster, write_scene, make_bundle, tmp_path, monkeypatch
):
    write_scene(PIXELS)
    monkeypatch.chdir(tmp_path)  # the workers were started elsewhere
    models = [make_bundle()]
    _, wanted = make(Path("scene.tif"), Path("alone"), models, TILES)
    _, found = make(Path("scene.tif"), Path("shared"), models, TILES, where=cluster)
    assert found == wanted
    (tmp_path / "more").mkdir()
    paths = [Path("more") / f"{k}.tif" for k in range(4)]
    for path in paths:
        path.write_bytes((tmp_path / "scene.tif").read_bytes())
    assert many(paths, Path("c"), models, cluster=cluster)[1] == many(paths, Path("d"), models)[1]


def test_a_scene_that_workers_do_not_see_is_one_line_that_names_one(
    cluster, write_scene, make_bundle, tmp_path, monkeypatch
):
    elsewhere = blocks_module.absolute

    def lost(scene):
        (tmp_path / "scene.tif").rename(tmp_path / "gone.tif")
        scene.close()
        return elsewhere(scene)

    monkeypatch.setattr(blocks_module, "absolute", lost)
    with pytest.raises(
        RasterReadError, match=r"scene\.tif.*the worker tcp://127.0.0.1:\d+ on"
    ) as told:
        make(write_scene(PIXELS), tmp_path / "out", [make_bundle()], TILES, where=cluster)
    assert "\n" not in str(told.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_scene_without_anything_is_told_as_ever(cluster, write_scene, make_bundle, tmp_path):
    with pytest.raises(InputError, match="every pixel is nodata"):
        make(
            write_scene(np.zeros_like(PIXELS)),
            tmp_path / "out",
            [make_bundle()],
            TILES,
            where=cluster,
        )


def test_workers_pack_the_tiles_that_lie_in_their_blocks(
    cluster, write_scene, make_bundle, tmp_path, monkeypatch
):
    given: dict[int, int] = {}
    add_row = Pyramid.add_row

    def seen(self: Pyramid, tile_row: int, read: Any, packed: Any = None) -> None:
        if packed is not None:
            given[tile_row] = len(packed)
        add_row(self, tile_row, read, packed)

    monkeypatch.setattr(Pyramid, "add_row", seen)
    settings = PredictSettings(tile=256)
    scene = write_scene(np.kron(PIXELS, np.ones((1, 16, 10), np.uint16))[:, :2300])
    models = [make_bundle("unet-small", widths=(2, 3))]
    found = []
    for name, where in (("alone", None), ("shared", cluster)):
        folder = tmp_path / name
        folder.mkdir()
        with Scene.open(scene) as opened:
            engine = make_engine(models, settings, device="cpu", cluster=where)
            with closing(engine):
                predict(opened, folder / "m.tif", models=models, settings=settings, engine=engine)
        found.append((folder / "m.tif").read_bytes())
        assert given == ({} if where is None else PACKED)
    assert found[0] == found[1]


PACKED = {0: 2, 1: 2, 3: 2, 4: 2}
"""Tiles by their rows, but for the row in which one block ends and another begins: 1152 of 2300."""


@pytest.mark.parametrize(
    ("first", "rows", "height", "expected"),
    [
        (0, 48, 100, {0: 8, 1: 8, 2: 8}),
        (1, 47, 100, {1: 8, 2: 8}),
        (32, 67, 99, {2: 8, 3: 8, 4: 8, 5: 8, 6: 2}),
        (33, 14, 100, {}),
        (0, 0, 100, {}),
    ],
)
def test_rows_of_tiles_are_packed_that_are_there_whole(first, rows, height, expected):
    tiles = TilePacking(
        target="m.tif", dtype=np.dtype(np.uint8), nodata=255, side=16, predictor=1, how="mode"
    )
    ids = np.arange(256, dtype=np.uint8)[::-1].copy()
    index = np.random.default_rng(3).integers(0, 7, (rows, 21), dtype=np.uint8)
    how = MapPacking(tiles=tiles, ids=ids, height=height)
    with BlockPacking(how, first, index, 2) as packing:
        for some in range(rows + 1):
            packing.there(some)
        found = packing.packed()
    assert {row: one[0].shape[1] for row, one in found.items()} == expected
    for row, (left, right) in found.items():
        part = index[row * 16 - first : row * 16 - first + 16]
        for one, pixels in ((left, part[:, :16]), (right, part[:, 16:])):
            wanted = tiles.pack((255 - pixels)[np.newaxis])
            assert (one.content, one.shape) == (wanted.content, wanted.shape)
            np.testing.assert_array_equal(one.half, wanted.half)


def test_workers_of_another_device_are_refused(cluster, write_scene, make_bundle, tmp_path):
    models = [make_bundle()]
    networks = Networks(models, TILES, device="cpu", kind="cuda")
    work = blocks_module.BlockWork(
        scene=Scene.open(write_scene(PIXELS)),
        settings=replace(TILES, scale=1),
        area=None,
        confidence=False,
        probabilities=False,
    )
    with (
        closing(
            blocks_module.by_cluster(
                cluster, cluster.keep(networks), work, [Block(0, 9)], row_bytes=1
            )
        ) as found,
        pytest.raises(ClusterError, match="would compute on cpu, others on cuda"),
    ):
        next(found)


# -- blocks ------------------------------------------------------------------------------------


@hypothesis_settings(deadline=None)
@given(data=st.data())
def test_blocks_cover_all_rows_once_and_begin_with_a_row_of_tiles(data):
    height = data.draw(st.integers(1, 5000))
    first = data.draw(st.integers(0, height - 1))
    tile = data.draw(st.integers(1, 300))
    settings = PredictSettings(
        tile=tile, stride=data.draw(st.integers(1, tile)), scale=data.draw(st.integers(1, 4))
    )
    found = cut_blocks(
        height,
        settings,
        first=first,
        at_once=data.draw(st.integers(1, 50)),
        row_bytes=data.draw(st.integers(1, 1 << 30)),
    )
    assert (found[0].first, found[-1].stop) == (first, height)
    assert all(block.first < block.stop for block in found)
    assert all(a.stop == b.first for a, b in pairwise(found))
    assert all(block.first % (settings.steps * settings.scale) == 0 for block in found[1:])


def test_blocks_whose_tiles_come_packed_are_as_few_as_keep_all_busy():
    settings = PredictSettings()
    for packed, expected in ((True, [14, 14]), (False, [7, 7, 7, 7])):
        blocks = cut_blocks(144 * 28, settings, first=0, at_once=2, row_bytes=4096, packed=packed)
        assert [(block.stop - block.first) // 144 for block in blocks] == expected


@pytest.mark.parametrize(
    ("height", "at_once", "row_bytes", "expected"),
    [
        (144 * 20, 2, 4096, [10, 10]),  # as few as keep both busy
        (144 * 28, 2, 4096, [7, 7, 7, 7]),  # two for each where they stay high enough
        (144 * 160, 2, 4096, [16] * 10),  # no higher than 16
        (144 * 28, 100, 4096, [2] * 14),  # no lower than 2
        (144 * 28, 2, 1 << 18, [7, 7, 7, 7]),  # 256 MB are 7 rows of tiles
        (144 * 28, 2, 1 << 24, [2] * 14),
        (100, 4, 4096, [1]),
    ],
)
def test_blocks_are_as_high_as_said(height, at_once, row_bytes, expected):
    blocks = cut_blocks(height, PredictSettings(), first=0, at_once=at_once, row_bytes=row_bytes)
    heights = [-(-(block.stop - block.first) // 144) for block in blocks]
    assert sorted(heights) == sorted(expected)
