"""A data set that workers cut is the same as one machine's, to the byte."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.cluster.cluster import Cluster
from geoseg.errors import LabelError, OutputError, RasterReadError
from geoseg.patches import blocks as blocks_module
from geoseg.patches.assembling import Assembly
from geoseg.patches.blocks import blocks_of
from geoseg.patches.handing import Desk, Handed
from geoseg.patches.job import Job
from geoseg.patches.table import PatchTable
from geoseg.patches.tile import TileResult, tile
from geoseg.raster.outputs import unfinished as unfinished_module
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

WriteRaster = Callable[..., Path]
RNG = np.random.default_rng(43)
HEIGHT, WIDTH = 150, 70


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two worker processes of two threads each."""
    with Cluster.open("local", workers=4) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 8000)
    monkeypatch.setattr(blocks_module, "_MOST_BYTES", 16000)
    monkeypatch.setattr("geoseg.patches.look._SMALL", 0)


@pytest.fixture
def scenes(write_raster: WriteRaster) -> list[Path]:
    out = []
    for name in "abc":
        pixels = RNG.integers(1, 200, (2, HEIGHT, WIDTH), dtype=np.uint16)
        pixels[:, 20:40, 5:50] = 0
        out.append(write_raster(f"{name}.tif", pixels, nodata=0, block=16))
    return out


@pytest.fixture
def labels(write_raster: WriteRaster) -> list[Path]:
    ids = RNG.choice(np.array([1, 2, 9], np.uint8), (3, HEIGHT, WIDTH), p=[0.4, 0.3, 0.3])
    return [write_raster(f"{n}_ids.tif", i, block=16) for n, i in zip("abc", ids, strict=True)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make(scenes: Any, out: Path, **options: Any) -> TileResult:
    return tile(scenes, out, **{"size": 16, "workers": 2, **options})


WAYS: dict[str, dict[str, Any]] = {
    "labels, overlapping": {"stride": 5, "labels": True},
    "geotiff": {"labels": True, "storage": "geotiff", "stride": 11},
    "region": {"labels": True, "region": "500300,3996000,501500,3999500"},
    "one colour": {"homogenise": "moments", "split": "0,1,0"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("damaged", [False, True])
def test_workers_cut_the_same_bytes(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    way: str,
    damaged: bool,
) -> None:
    options = {**WAYS[way]}
    if options.pop("labels", False):
        options |= {"labels": labels, "classes": "1=water,2=forest"}
    if damaged:
        data = scenes[1].read_bytes()
        scenes[1].write_bytes(data[: len(data) // 2])
    seen: list[int] = []
    alone = make(scenes, tmp_path / "alone", **options)
    shared = make(scenes, tmp_path / "shared", cluster=cluster, progress=seen.append, **options)
    assert files(tmp_path / "shared") == files(tmp_path / "alone")
    assert len(shared.summary["problems"]) == damaged
    assert shared.summary["dropped"] == alone.summary["dropped"]
    assert shared.summary["class_shares"] == alone.summary["class_shares"]
    if not damaged:
        assert sum(seen) == round(shared.summary["megapixels"] * 1e6)
    if "labels" in options:
        assert shared.summary["ignored_label_values"]["9"] > 1000


def test_workers_are_said_how_large_what_they_send_is(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("geoseg.patches.sharing.can_hand", lambda _writers: False)
    said: list[int] = []
    sizes: list[int] = []
    ordered = Cluster.ordered

    def looked_at(self: Cluster, *given: Any, result_bytes: int) -> Iterator[Any]:
        said.append(result_bytes)
        for result in ordered(self, *given, result_bytes=result_bytes):
            sizes.append(sum(array.nbytes for patch in result.kept for array in patch.values()))
            yield result

    monkeypatch.setattr(Cluster, "ordered", looked_at)
    options = {"labels": labels, "classes": "1=water,2=forest", "stride": 5}
    make(scenes, tmp_path / "patches", cluster=cluster, **options)
    # Patches without a reading are not sent.
    assert said[0] / 2 < max(sizes) <= said[0]


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("copies", [True, False])
def test_arrays_are_handed_over_in_files_by_workers_that_see_the_folder(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    seen: bool,
    copies: bool,
) -> None:
    handed: list[Handed] = []
    take = Desk.take

    def looked_at(self: Desk, one: Handed, *given: Any) -> None:
        handed.append(one)
        take(self, one, *given)
        assert [path.name for path in self.folder.iterdir() if path.name == one.name] == []

    monkeypatch.setattr(Desk, "take", looked_at)
    if not copies:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    options: dict[str, Any] = {"labels": labels, "classes": "1=water,2=forest", "stride": 9}
    if not seen:  # another folder of the same path, as far as the workers can tell
        beside = Desk.beside
        monkeypatch.setattr(Desk, "beside", lambda made: replace(beside(made), token="other"))
    make(scenes, tmp_path / "alone", **options)
    make(scenes, tmp_path / "shared", cluster=cluster, **options)
    assert files(tmp_path / "shared") == files(tmp_path / "alone")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"alone", "shared"}
    assert (len(handed) > 3) is seen
    if seen:
        kinds = {(split, kind) for one in handed for split, kind, _ in one.runs}
        assert kinds == {(n, kind) for n in range(3) for kind in ("images", "labels")}


@pytest.mark.parametrize("seen", [True, False])
def test_files_of_patches_are_handed_over_by_workers_that_see_the_folder(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    seen: bool,
) -> None:
    moved: list[str] = []
    move = Desk.move

    def looked_at(self: Desk, handed: Handed, number: int, *given: Any) -> None:
        moved.append(given[-1])
        move(self, handed, number, *given)

    monkeypatch.setattr(Desk, "move", looked_at)
    if not seen:
        beside = Desk.beside
        monkeypatch.setattr(Desk, "beside", lambda made: replace(beside(made), token="other"))
    options: dict[str, Any] = {"labels": labels, "classes": "1=water,2=forest", "stride": 9}
    options["storage"] = "geotiff"
    make(scenes, tmp_path / "alone", **options)
    make(scenes, tmp_path / "shared", cluster=cluster, **options)
    assert files(tmp_path / "shared") == files(tmp_path / "alone")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"alone", "shared"}
    images = [path.stem for path in (tmp_path / "shared").rglob("images/*.tif")]
    assert sorted(moved) == (sorted(images) if seen else [])


def test_patches_that_were_cut_short_on_their_way_are_one_line(
    scenes: list[Path], tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Desk.take

    def short(self: Desk, one: Handed, *given: Any) -> None:
        os.truncate(self.folder / one.name, 100)
        take(self, one, *given)

    monkeypatch.setattr(Desk, "take", short)
    with pytest.raises(OutputError, match="cut short") as told:
        make(scenes, tmp_path / "patches", cluster=cluster)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "patches").exists()


def test_statistics_of_floats_merge_in_one_order(
    write_raster: WriteRaster, tmp_path: Path, cluster: Cluster
) -> None:
    pixels = RNG.normal(5, 3000, (3, 90, 40)).astype(np.float32)
    path = write_raster("f.tif", pixels, block=16)
    make(path, tmp_path / "alone", stride=7)
    make(path, tmp_path / "shared", stride=7, cluster=cluster)
    assert files(tmp_path / "shared") == files(tmp_path / "alone")


def test_a_stopped_run_goes_on_at_workers_and_back(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unfinished_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_module, "TIMES_AS_LONG", 0)
    options: dict[str, Any] = {"labels": labels, "classes": "1=water,2=forest", "stride": 6}
    make(scenes, tmp_path / "alone", **options)
    finished = Assembly.row_finished
    rows = [0]

    def counted(self: Assembly, patches: range, read_to: int) -> None:
        if rows[0] == 0:
            raise KeyboardInterrupt
        rows[0] -= 1
        finished(self, patches, read_to)

    for number in range(6):
        rows[0] = 2
        with monkeypatch.context() as patch:
            patch.setattr(Assembly, "row_finished", counted)
            with pytest.raises(KeyboardInterrupt):
                make(
                    scenes,
                    tmp_path / "shared",
                    resume=True,
                    cluster=cluster if number % 2 else None,
                    **options,
                )
    made = make(scenes, tmp_path / "shared", resume=True, cluster=cluster, **options)
    assert made.summary["patches_before"] > 300
    assert files(tmp_path / "shared") == files(tmp_path / "alone")


def test_trouble_at_a_worker_is_one_line_here(
    scenes: list[Path], tmp_path: Path, write_raster: WriteRaster, cluster: Cluster
) -> None:
    share = np.full((HEIGHT, WIDTH), 1, np.float32)
    share[120, 5] = 1.5
    labels = write_raster("l.tif", share, block=16)
    before = sorted(os.listdir(tmp_path))
    options: dict[str, Any] = {"labels": labels, "classes": "1=water", "cluster": cluster}
    with pytest.raises(LabelError, match=r"l\.tif: holds values such as 1\.5"):
        make(scenes[:1], tmp_path / "set", **options)
    data = scenes[0].read_bytes()
    scenes[0].write_bytes(data[: len(data) // 2])
    with pytest.raises(RasterReadError, match=r"a\.tif: a part of it cannot be read"):
        make(scenes[:1], tmp_path / "set", cluster=cluster)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("damaged", [False, True])
def test_files_by_relative_paths_are_found_by_workers(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    damaged: bool,
) -> None:
    if damaged:
        data = scenes[1].read_bytes()
        scenes[1].write_bytes(data[: len(data) // 2])
    monkeypatch.chdir(tmp_path)  # the workers were started elsewhere
    given = [Path(path.name) for path in scenes]
    ids = [Path(path.name) for path in labels]
    make(given, Path("alone"), labels=ids, classes="1=water")
    make(given, Path("shared"), labels=ids, classes="1=water", cluster=cluster)
    assert files(tmp_path / "shared") == files(tmp_path / "alone")


@pytest.mark.parametrize("which", ["scene", "labels"])
def test_a_file_that_workers_do_not_see_ends_the_run_and_leaves_no_scene_out(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
) -> None:
    lost = (scenes if which == "scene" else labels)[1]
    ask = Cluster.ordered

    def asked(self: Cluster, *given: Any, **more: Any) -> Any:
        lost.rename(tmp_path / "elsewhere")
        return ask(self, *given, **more)

    monkeypatch.setattr(Cluster, "ordered", asked)
    with pytest.raises(RasterReadError, match=r"no such file.*the worker tcp.*same paths") as told:
        make(scenes, tmp_path / "set", labels=labels, classes="1=water", cluster=cluster)
    assert lost.name in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "set").exists()


def test_killed_workers_cost_their_blocks_alone(scenes: list[Path], tmp_path: Path) -> None:
    make(scenes, tmp_path / "alone", stride=4)
    done: list[int] = []
    stopped = threading.Event()

    with Cluster.open("local", workers=2) as breakable:
        pids = list(breakable._reached.client.run(os.getpid).values())

        def kill() -> None:
            for pid in pids:
                while len(done) < 3 and not stopped.is_set():
                    time.sleep(0.005)
                os.kill(pid, signal.SIGKILL)
                done.clear()

        killer = threading.Thread(target=kill)
        killer.start()
        make(scenes, tmp_path / "shared", stride=4, cluster=breakable, progress=done.append)
        stopped.set()
        killer.join()
    assert files(tmp_path / "shared") == files(tmp_path / "alone")


def test_blocks_share_out_rows_of_patches_and_of_pixels(write_raster: WriteRaster) -> None:
    path = write_raster("s.tif", np.ones((1, 100, 20), np.uint8), block=16)
    window = Window(3, 0, 90, 20)
    with Scene.open(path) as scene:
        table = PatchTable.over(window, size=10, stride=7)
        job = Job(scene=scene, window=window, table=table, name="s")
        for first, read_to in ((0, 0), (2, 0), (2, 22), (12, 93)):
            found = list(blocks_of(0, job, first=first, read_to=read_to, dtype=np.dtype(np.uint8)))
            patches = [patch for block in found for patch in block.patches]
            assert patches == list(range(first * len(table.cols), len(table)))
            counted = [row for block in found for row in range(*block.own_rows)]
            assert counted == list(range(max(read_to, table.rows[first]), window.row_stop))
            for block in found:
                top, low = block.table.rows[0], block.table.rows[-1] + table.size
                assert block.window.row == top
                assert block.window.row_stop >= max(low, block.own_rows[1])
                assert len(block.table) == len(block.patches)
