"""A data set that was stopped goes on to the same bytes, and is refused where it is another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import OutputError
from geoseg.patches import unfinished as described_module
from geoseg.patches.assembling import Assembly
from geoseg.patches.cutting import SceneCutter
from geoseg.patches.storage import ArrayFile
from geoseg.patches.tile import TileResult, tile
from geoseg.patches.unfinished import MADE, packed, unpacked
from geoseg.raster.cog.spool import Spool
from geoseg.raster.outputs import unfinished as unfinished_module
from geoseg.raster.outputs.kept import KeptFolder, kept_folder_of
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.unfinished import LeftoverError
from geoseg.raster.statistics import statistics_for

WriteRaster = Callable[..., Path]
RNG = np.random.default_rng(41)
HEIGHT, WIDTH = 150, 70


@pytest.fixture(autouse=True)
def _note_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_module, "TIMES_AS_LONG", 0)
    # As of scenes too large to be looked at beforehand: damage is found while cutting.
    monkeypatch.setattr("geoseg.patches.look._SMALL", 0)


def readings(dtype: str = "uint16") -> np.ndarray:
    pixels = RNG.integers(1, 200, (2, HEIGHT, WIDTH)).astype(dtype)
    pixels[:, 20:40, 5:50] = 0
    return pixels


@pytest.fixture
def scenes(write_raster: WriteRaster) -> list[Path]:
    return [write_raster(f"{name}.tif", readings(), nodata=0, block=16) for name in "abc"]


@pytest.fixture
def labels(write_raster: WriteRaster) -> list[Path]:
    """Classes 1 and 2, and 9 on many rows, which means nothing."""
    ids = RNG.choice(np.array([1, 2, 9], np.uint8), (3, HEIGHT, WIDTH), p=[0.4, 0.3, 0.3])
    return [write_raster(f"{n}_ids.tif", i, block=16) for n, i in zip("abc", ids, strict=True)]


@pytest.fixture
def sure(write_raster: WriteRaster) -> list[Path]:
    shares = RNG.random((3, HEIGHT, WIDTH)).astype(np.float32)
    return [write_raster(f"{n}_s.tif", s) for n, s in zip("abc", shares, strict=True)]


def damage(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make(scenes: Any, out: Path, **options: Any) -> TileResult:
    return tile(scenes, out, **{"size": 16, "workers": 2, **options})


def stop(
    scenes: Any, out: Path, *, rows: int, error: BaseException | None = None, **options: Any
) -> None:
    """Run until so many rows of patches are cut, the last of them not yet noted."""
    left = [rows]
    finished = Assembly.row_finished

    def counted(self: Assembly, patches: range, read_to: int) -> None:
        if left[0] == 0:
            raise error or KeyboardInterrupt
        left[0] -= 1
        finished(self, patches, read_to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "row_finished", counted)
        with pytest.raises(type(error) if error else KeyboardInterrupt):
            make(scenes, out, **{"keep": True, **options})


def stops(total: int) -> Iterator[int]:
    """Rows after which runs are stopped, one after the other, fewer than there are."""
    while total > 0:
        step = int(RNG.integers(1, 7))
        yield min(step, total - 1)
        total -= step


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "labels, overlapping": {"stride": 5, "labels": True},
    "geotiff": {"labels": True, "confidence": True, "storage": "geotiff"},
    "confidence": {"stride": 9, "labels": True, "confidence": True, "min_confidence": 0.3},
    "region": {"labels": True, "region": "500300,3996000,501500,3999500"},
    "one split": {"split": "0,1,0", "stride": 12},
    "few labels": {"labels": True, "min_labelled": 0.7, "max_nodata": 0.1},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_stopped_again_and_again_gives_the_same_bytes(
    scenes: list[Path],
    labels: list[Path],
    sure: list[Path],
    tmp_path: Path,
    way: str,
    damaged: bool,
) -> None:
    options = {**WAYS[way]}
    for name, paths in (("labels", labels), ("confidence", sure)):
        if options.pop(name, False):
            options[name] = paths
    if "labels" in options:
        options["classes"] = "1=water,2=forest"
    if damaged:
        damage(scenes[1])
    (tmp_path / "whole").mkdir()
    whole = make(scenes, tmp_path / "whole" / "set", **options)
    assert len(whole.summary["problems"]) == damaged
    assert ("labels" not in options) or whole.summary["ignored_label_values"]["9"] > 1000
    (tmp_path / "stopped").mkdir()
    out = tmp_path / "stopped" / "set"
    for number, rows in enumerate(stops(20)):
        more = {**options, "workers": 1 + number % 3}
        stop(scenes, out, rows=rows, resume=number > 0, **more)
    made = make(scenes, out, resume=True, **options)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    assert made.summary["patches_before"] > 0
    told = {"seconds", "output", "patches_before", "megapixels_per_second"}
    assert {k: v for k, v in made.summary.items() if k not in told} == {
        k: v for k, v in whole.summary.items() if k not in told
    }


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "int32"])
def test_statistics_of_all_types_go_on_bit_for_bit(
    write_raster: WriteRaster, tmp_path: Path, dtype: str
) -> None:
    paths = []
    for name in "ab":
        pixels = RNG.normal(60, 30, (3, 90, 40)).astype(dtype)
        paths.append(write_raster(f"{name}.tif", pixels, block=16))
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    make(paths, tmp_path / "whole" / "set", stride=7)
    out = tmp_path / "stopped" / "set"
    for number, rows in enumerate((4, 1, 9, 3)):
        stop(paths, out, rows=rows, resume=number > 0, stride=7)
    make(paths, out, stride=7, resume=True)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_what_is_noted_of_statistics_is_all_of_them(dtype: str) -> None:
    parts = [RNG.normal(0, 900, (2, 50)).astype(dtype) for _ in range(6)]
    valid = RNG.random((6, 50)) < 0.8
    one, other = (statistics_for(np.dtype(dtype), 2) for _ in range(2))
    for part, there in zip(parts[:3], valid, strict=False):
        one.add([one.measure(part, there)])
    other.add_counts(unpacked(packed(one.counts())))
    if one.moments is not None:
        other.moments = unpacked(packed(one.moments))
    for part, there in zip(parts[3:], valid[3:], strict=True):
        for statistics in (one, other):
            statistics.add([statistics.measure(part, there)])
    assert one.results(["x", "y"]) == other.results(["x", "y"])


def test_finished_patches_are_not_cut_again(
    scenes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop(scenes, tmp_path / "set", rows=13)  # ten rows a scene
    cut: list[tuple[str, int]] = []
    cut_row = SceneCutter._cut_row

    def heard(self: SceneCutter, patches: range) -> None:
        cut.append((self.job.name, patches.start // len(self.job.table.cols)))
        cut_row(self, patches)

    monkeypatch.setattr(SceneCutter, "_cut_row", heard)
    result = make(scenes, tmp_path / "set", resume=True)
    # The last row that was cut was not noted.
    assert cut == [("b", r) for r in range(3, 10)] + [("c", r) for r in range(10)]
    assert result.summary["patches_before"] == 13 * 5
    assert "gone on with: 65 patches" in result.text


@pytest.mark.parametrize("storage", ["npy", "geotiff"])
def test_what_was_stored_but_not_noted_is_stored_again(
    scenes: list[Path], tmp_path: Path, storage: str
) -> None:
    (tmp_path / "whole").mkdir()
    make(scenes, tmp_path / "whole" / "set", storage=storage)
    (tmp_path / "stopped").mkdir()
    out = tmp_path / "stopped" / "set"
    stop(scenes, out, rows=5, storage=storage)
    kept = kept_folder_of(out)
    noted = (kept / "done.json").read_bytes()
    stop(scenes, out, rows=8, storage=storage, resume=True)
    (kept / "done.json").write_bytes(noted)
    if storage == "npy":
        with (kept / MADE / "train" / "images.npy").open("r+b") as file:
            file.seek(-700, os.SEEK_END)
            file.write(bytes([77]) * 700)
    result = make(scenes, out, storage=storage, resume=True)
    assert result.summary["patches_before"] == json.loads(noted)["patches"] == 25
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_patches_are_noted_when_they_are_on_the_disk_itself(
    scenes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, Any]] = []

    def heard(kind: type, name: str, of: Callable[..., Any]) -> None:
        call = getattr(kind, name)

        def told(self: Any, *args: Any) -> Any:
            events.append((name, of(self, args)))
            return call(self, *args)

        monkeypatch.setattr(kind, name, told)

    heard(ArrayFile, "write", lambda file, _: id(file))
    heard(ArrayFile, "flush", lambda file, _: id(file))
    heard(Spool, "write_at", lambda spool, _: id(spool))
    heard(KeptFolder, "note", lambda _, args: args[0])
    flush = Spool.flush

    def flushed(self: Spool) -> None:
        events.append(("flush", id(self)))
        flush(self)

    monkeypatch.setattr(Spool, "flush", flushed)
    make(scenes[:1], tmp_path / "set", keep=True, workers=1)
    waiting: set[int] = set()
    notes = 0
    for name, what in events:
        if name in ("write", "write_at"):
            waiting.add(what)
        elif name == "flush":
            waiting.discard(what)
        elif what == "done.json":
            notes += 1
            assert not waiting
    assert notes >= 10


def test_patches_of_another_run_are_refused_in_words(
    scenes: list[Path],
    labels: list[Path],
    tmp_path: Path,
    write_raster: WriteRaster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "set"
    options: dict[str, Any] = {"labels": labels, "classes": "1=water,2=forest"}
    stop(scenes, out, rows=4, **options)
    before = files(tmp_path)

    def refused(words: str, given: Any = scenes, **more: Any) -> None:
        with pytest.raises(LeftoverError, match=words) as caught:
            make(given, out, resume=True, **{**options, **more})
        assert "\n" not in str(caught.value)
        assert "begin anew with --overwrite" in str(caught.value)

    refused(r"--stride: 16 then, 8 now", stride=8)
    refused(r"--fill: 0.0 then, 3.0 now", fill=3)
    refused(r"--seed: 0 then, 5 now", seed=5)
    refused(r"--format: npy then, geotiff now", storage="geotiff")
    refused(r"--split: 0.8, 0.1, 0.1 then, 0.5, 0.5, 0.0 now", split="0.5,0.5")
    refused(r"--region: nothing then, ", region="500300,3996000,501500,3999500")
    refused("scenes: a, b, c then, a, b now", scenes[:2], labels=labels[:2])
    refused("labels: ", labels=labels[::-1])
    assert files(tmp_path) == before
    old = labels[1].read_bytes()
    write_raster("b_ids.tif", np.full((HEIGHT, WIDTH), 2, np.uint8), block=16)
    refused("the files of the labels are not the same")
    labels[1].write_bytes(old)
    old = scenes[0].read_bytes()
    write_raster("a.tif", readings(), nodata=0, block=16)
    refused("the files of the scenes are not the same")
    scenes[0].write_bytes(old)
    with monkeypatch.context() as patch:
        patch.setattr(described_module, "versions", lambda: {"numpy": "9"})
        refused("numpy: [0-9.]+ then, 9 now")
    make(scenes, out, resume=True, **options)


def test_without_resume_patches_of_a_stopped_run_are_not_lost(
    scenes: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "set"
    stop(scenes, out, rows=4)
    for keep in (False, True):
        with pytest.raises(LeftoverError, match="--resume, or begin anew with --overwrite"):
            make(scenes, out, keep=keep)
    result = make(scenes, out, keep=True, overwrite=True)
    assert result.summary["patches_before"] == 0
    assert not kept_folder_of(out).exists()


def test_with_nothing_to_go_on_from_all_is_cut(scenes: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "set"
    stop(scenes, out, rows=0)
    assert list((tmp_path / "out").iterdir()) == []
    assert make(scenes, out, resume=True).summary["patches_before"] == 0


def test_a_set_that_is_there_is_not_made_again(scenes: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "set"
    damage(scenes[1])
    first = make(scenes, out, keep=True)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    again = make(scenes, out, resume=True)
    assert again.summary["patches"] == first.summary["patches"]
    assert "is there already" in again.text
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    for given, other in ((scenes, {"seed": 3}), (scenes[:2], {}), ([*scenes[:1], scenes[2]], {})):
        with pytest.raises(OutputError, match="is there already, of other inputs"):
            make(given, out, resume=True, **other)
    with pytest.raises(OutputError, match="replace it with --overwrite"):
        make(scenes, out)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("replacing", [True, False])
def test_a_run_stopped_while_the_set_gets_its_name_gives_it_again(
    scenes: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    noted: bool,
    replacing: bool,
) -> None:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    make(scenes, tmp_path / "whole" / "set")
    out = tmp_path / "stopped" / "set"
    if replacing:
        make(scenes, out, seed=7)
    publish = TemporaryFolder.publish_folder

    def killed(self: TemporaryFolder, made: Path) -> None:
        if when == "after":
            publish(self, made)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish_folder", killed)
        if not noted:
            patch.setattr(unfinished_module, "EVERY_SECONDS", 1e9)
        # Killed outright: nobody tidies up.
        patch.setattr(unfinished_module.Unfinished, "remove", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            make(scenes, out, keep=True, overwrite=replacing)
    # Whoever began with --overwrite goes on with it, but where it is done.
    make(scenes, out, resume=True, overwrite=replacing and when == "before")
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
