"""A prediction that was stopped goes on to the same bytes, and is refused where it is another."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import InputError, ModelError, OutputError, RasterReadError
from geoseg.inference import engines as engines_module
from geoseg.inference import outputs as outputs_module
from geoseg.inference import plan as plan_module
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.inference.unfinished import LeftoverError, kept_rows
from geoseg.raster import unfinished as unfinished_module
from geoseg.raster.kept import KEPT_ROWS, KeptFolder, kept_folder_of
from geoseg.raster.output import TemporaryFolder
from geoseg.raster.scene import Scene
from geoseg.raster.spool import Spool
from geoseg.raster.vector import read_region
from geoseg.raster.writer import RasterWriter

HEIGHT, WIDTH = 100, 53
RNG = np.random.default_rng(11)
# Fields of 7 × 7 with speckles, so that some components are small and others are not.
PIXELS = np.kron(RNG.integers(1, 300, (2, 15, 8), dtype=np.uint16), np.ones((1, 7, 7), np.uint16))
PIXELS = PIXELS[:, :HEIGHT, :WIDTH] + RNG.integers(0, 60, (2, HEIGHT, WIDTH), dtype=np.uint16)
PIXELS[:, 30:52] = 0  # rows without anything
PIXELS[:, 70:, 40:] = 0


@pytest.fixture(autouse=True)
def _note_all_rows(monkeypatch):
    monkeypatch.setattr(unfinished_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_module, "TIMES_AS_LONG", 0)


@pytest.fixture
def scene(write_scene):
    return write_scene(PIXELS, tiled=True, blockxsize=16, blockysize=16)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "stopped"
    folder.mkdir()
    return folder / "map.tif"


def make(path: Path, out: Path, models: Any, *, also: bool = True, **more: Any) -> Any:
    """Predict; by default with probabilities and confidence beside the map."""
    names = {"tile", "stride", "blend", "tta", "scale", "min_area", "batch"}
    chosen = {"tile": 16, "stride": 8} | {k: v for k, v in more.items() if k in names}
    others: dict[str, Any] = {k: v for k, v in more.items() if k not in names}
    if also:
        others = {
            "probabilities": out.with_name("p.tif"),
            "confidence": out.with_name("c.tif"),
        } | others
    region, band_names = others.pop("region", None), others.pop("band_names", None)
    with Scene.open(path, band_names=band_names) as scene:
        if region is not None:
            others |= {"area": read_region(region, scene.grid), "area_name": region}
        return predict(
            scene, out, models=models, settings=PredictSettings(**chosen), device="cpu", **others
        )


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stop_at(
    monkeypatch: pytest.MonkeyPatch, writes: int, error: BaseException | None = None
) -> None:
    """Raise an error (of Ctrl-C) when so many rows of tiles have been written."""
    left = [writes]
    write = outputs_module.Maps.write

    def counted(self, row, index, confidence, probabilities):
        if left[0] == 0:
            raise error or KeyboardInterrupt
        left[0] -= 1
        write(self, row, index, confidence, probabilities)

    monkeypatch.setattr(outputs_module.Maps, "write", counted)


def stop(path, out, models, *, writes=3, error=None, **more):
    """Run until so many rows of tiles have been written."""
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, writes, error)
        with pytest.raises(type(error) if error else KeyboardInterrupt):
            make(path, out, models, **{"keep": True, **more})


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"tile": 32, "stride": 7, "blend": "gaussian", "batch": 3},
        {"stride": 12, "min_area": 6},
        {"tile": 24, "stride": 9, "scale": 2, "min_area": 6, "tta": True},
        {"tile": 150, "stride": 100, "also": False},
    ],
    ids=["usual", "much overlap", "cleaned", "reduced", "one tile"],
)
def test_a_run_stopped_again_and_again_gives_the_same_bytes(scene, out, make_bundle, tmp_path, way):
    models = [make_bundle("unet-small", widths=(2, 4), seed=s, name=f"n{s}") for s in (0, 1)]
    whole, nothing = tmp_path / "whole" / "map.tif", {"min_area": 0}
    whole.parent.mkdir()
    expected = make(scene, whole, models, workers=2, **way)
    assert sum(number > 0 for number in expected.pixels.values()) > 1
    if "min_area" in way:
        assert expected.pixels != make(scene, whole, models, overwrite=True, **way | nothing).pixels
        make(scene, whole, models, overwrite=True, **way)
    for number, writes in enumerate((1, 0, 2)):
        if way.get("tile") == 150:
            writes = 0  # noqa: PLW2901 - there is but one row of tiles
        stop(scene, out, models, writes=writes, resume=number > 0, workers=1 + number, **way)
    made = make(scene, out, models, resume=True, **way)
    assert files(out.parent) == files(whole.parent)
    assert (made.pixels, made.nodata) == (expected.pixels, expected.nodata)
    assert (made.taken_over > 0) == (way.get("tile") != 150)


def test_what_was_written_but_not_noted_is_computed_again(scene, out, make_bundle, tmp_path):
    whole = tmp_path / "whole" / "map.tif"
    whole.parent.mkdir()
    model = make_bundle()
    make(scene, whole, [model], also=False)
    stop(scene, out, [model], writes=2, also=False)
    kept = kept_folder_of(out)
    noted = (kept / "done.json").read_bytes()
    stop(scene, out, [model], writes=3, also=False, resume=True)
    (kept / "done.json").write_bytes(noted)
    rows = json.loads(noted)["rows"]
    torn = bytearray((kept / KEPT_ROWS).read_bytes())
    torn[rows * WIDTH :] = bytes([77]) * (len(torn) - rows * WIDTH)
    (kept / KEPT_ROWS).write_bytes(torn)
    assert make(scene, out, [model], also=False, resume=True).taken_over == rows == 16
    assert files(out.parent) == files(whole.parent)


def test_finished_rows_are_not_computed_again(write_scene, out, make_bundle):
    scene, model = write_scene(np.ones((2, 96, 16), np.uint16)), make_bundle()
    stop(scene, out, [model], writes=4, stride=16)
    result = make(scene, out, [model], stride=16, resume=True)
    assert (result.taken_over, result.tiles) == (64, 2)


def test_rows_are_noted_when_they_are_on_the_disk_itself(scene, out, make_bundle, monkeypatch):
    events: list[tuple[str, Any]] = []

    def heard(kind, name, of):
        call = getattr(kind, name)

        def told(self, *args):
            what = of(self, args)
            if what is not None:
                events.append((name, what))
            return call(self, *args)

        monkeypatch.setattr(kind, name, told)

    def rows_of(spool, _):
        return spool.path if spool.path.name == KEPT_ROWS else None

    heard(Spool, "write_at", rows_of)
    heard(Spool, "flush", rows_of)
    heard(KeptFolder, "note", lambda _, args: json.loads(args[1]).get("rows"))
    make(scene, out, [make_bundle()], keep=True, workers=1)
    written: set[Path] = set()
    notes = 0
    for name, what in events:
        if name == "write_at":
            written.add(what)
        elif name == "flush":
            written.discard(what)
        else:
            notes += 1
            assert not written
    assert notes > 5


def test_other_rows_than_those_of_the_same_run_are_refused(
    scene, out, make_bundle, write_scene, monkeypatch, tmp_path
):
    model = make_bundle()
    box = "500050,5599100,500400,5599900"
    stop(scene, out, [model], region=box)
    before = files(out.parent)

    def refused(*words, path=scene, models=(model,), region=box, **more):
        with pytest.raises(LeftoverError) as told:
            make(path, out, list(models), resume=True, region=region, **more)
        for word in (*words, "--overwrite", ".map.tif.part"):
            assert word in str(told.value)
        assert "\n" not in str(told.value)
        assert files(out.parent) == before

    changed = PIXELS.copy()
    changed[0, 99, 52] += 1
    refused("scene: scene then, other now", path=write_scene(changed, name="other.tif"))
    (tmp_path / "moved").mkdir()
    refused(
        "the scene's files are not the same",
        path=write_scene(changed, name="moved/scene.tif"),
    )
    refused("models: tiny then, tiny, tiny now", models=(model, model))
    weights = replace(model.card, hash="other")
    refused("the models' weights are not the same", models=(replace(model, card=weights),))
    refused("--tile: 16 then, 17 now", "--scale: 1:1 then, 1:2 now", tile=17, scale=2)
    refused("--min-area: 0px then, 9px now", min_area=9)
    refused("--batch-size: nothing then, 2 now", batch=2)
    refused(f"--region: {box} then, nothing now", region=None)
    refused("--confidence: c.tif then, nothing now", confidence=None)
    with monkeypatch.context() as patch:
        patch.setattr(plan_module, "versions", lambda: {"torch": "1.0"})
        refused("torch: ", " then, 1.0 now")


def test_bands_by_the_same_names_may_be_others(write_scene, out, make_bundle):
    scene = write_scene(PIXELS, band_names=None)
    stop(scene, out, [make_bundle()], band_names=["red", "nir"])
    with pytest.raises(LeftoverError, match=r"red \(band 1\), nir \(band 2\) then, nir \(band 1\)"):
        make(scene, out, [make_bundle()], band_names=["nir", "red"], resume=True)


def test_without_resume_rows_of_a_stopped_run_are_not_lost(scene, out, make_bundle, tmp_path):
    stop(scene, out, [make_bundle()])
    with pytest.raises(LeftoverError, match="--resume, or begin anew with --overwrite"):
        make(scene, out, [make_bundle()], keep=True)
    for name in ("p.tif", "c.tif"):  # nor those beside it, by another map
        with pytest.raises(LeftoverError, match=name):
            make(
                scene,
                tmp_path / "other.tif",
                [make_bundle()],
                also=False,
                keep=True,
                confidence=out.with_name(name),
            )
    assert not (tmp_path / ".other.tif.part").exists()
    result = make(scene, out, [make_bundle()], keep=True, overwrite=True)
    assert result.taken_over == 0
    assert not any(name.startswith(".") for name in os.listdir(out.parent))


def test_rows_that_another_map_took_away_are_missed(scene, out, make_bundle, tmp_path):
    stop(scene, out, [make_bundle()])
    other = out.with_name("other.tif")
    stop(
        *(scene, other, [make_bundle()]),
        also=False,
        confidence=out.with_name("c.tif"),
        overwrite=True,
    )
    with pytest.raises(LeftoverError, match=r"no longer holds the rows of c\.tif"):
        make(scene, out, [make_bundle()], resume=True)


def test_with_nothing_to_go_on_from_all_is_computed(scene, out, make_bundle):
    stop(scene, out, [make_bundle()], writes=0)
    assert list(out.parent.iterdir()) == []
    assert make(scene, out, [make_bundle()], resume=True).taken_over == 0
    assert out.exists()


def test_a_map_that_is_whole_is_not_made_again(scene, out, make_bundle, monkeypatch):
    first = make(scene, out, [make_bundle()], keep=True, min_area=20)
    before = {p: p.stat().st_mtime_ns for p in out.parent.iterdir()}
    again = make(scene, out, [make_bundle()], resume=True, min_area=20)
    assert (again.tiles, again.taken_over) == (0, HEIGHT)
    assert (again.pixels, again.hectares, again.nodata) == (
        first.pixels,
        first.hectares,
        first.nodata,
    )
    assert {p: p.stat().st_mtime_ns for p in out.parent.iterdir()} == before
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [make_bundle()], resume=True, min_area=21)
    out.with_name("c.tif").unlink()
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [make_bundle()], resume=True, min_area=20)
    assert {p for p in before if p.exists()} == set(out.parent.iterdir())


@pytest.mark.parametrize("renames", [0, 1, 2])
@pytest.mark.parametrize("min_area", [0, 30])
def test_a_run_stopped_while_outputs_get_their_names_gives_them_again(
    scene, out, make_bundle, tmp_path, renames, min_area
):
    whole = tmp_path / "whole" / "map.tif"
    whole.parent.mkdir()
    make(scene, whole, [make_bundle()], min_area=min_area)
    publish, left = TemporaryFolder.publish, [renames]

    def counted(self, *args, **more):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        publish(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish", counted)
        with pytest.raises(KeyboardInterrupt):
            make(scene, out, [make_bundle()], keep=True, min_area=min_area)
    assert sum(p.suffix == ".tif" for p in out.parent.iterdir()) == renames
    assert make(scene, out, [make_bundle()], resume=True, min_area=min_area).tiles == 0
    assert files(out.parent) == files(whole.parent)


def test_a_file_that_is_not_ours_is_not_replaced(scene, out, make_bundle):
    stop(scene, out, [make_bundle()])
    out.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [make_bundle()], resume=True)
    assert out.read_text() == "mine"
    assert make(scene, out, [make_bundle()], resume=True, overwrite=True).taken_over > 0


def test_a_disk_that_was_full_for_a_moment_costs_no_row_and_loses_none(
    scene, out, make_bundle, tmp_path
):
    whole = tmp_path / "whole" / "map.tif"
    whole.parent.mkdir()
    expected = make(scene, whole, [make_bundle()])
    write, left = RasterWriter.write_rows, [8]

    def full(self, row, data):
        left[0] -= 1
        if left[0] == -1:  # there is room again for the rows below
            raise OutputError("no space left") from OSError(errno.ENOSPC, "full")
        write(self, row, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RasterWriter, "write_rows", full)
        with pytest.raises(OutputError, match="no space left"):
            make(scene, out, [make_bundle()], keep=True)
    # Three rasters a row of tiles: two rows of tiles are whole.
    assert kept_rows(out) == 16
    made = make(scene, out, [make_bundle()], resume=True)
    assert (made.taken_over, made.pixels) == (16, expected.pixels)
    assert files(out.parent) == files(whole.parent)


@pytest.mark.parametrize(
    "error", [RasterReadError("gone"), ModelError("no memory"), MemoryError(), SystemExit(143)]
)
def test_what_stops_a_run_does_not_cost_what_was_finished(scene, out, make_bundle, error):
    stop(scene, out, [make_bundle()], error=error)
    assert kept_rows(out) > 0


def test_a_scene_without_anything_leaves_nothing(write_scene, out, make_bundle):
    empty = write_scene(np.zeros((2, 60, 20), np.uint16))
    with pytest.raises(InputError, match="every pixel is nodata"):
        make(empty, out, [make_bundle()], keep=True)
    assert list(out.parent.iterdir()) == []


def test_what_nobody_can_go_on_from_is_removed(scene, out, make_bundle):
    stop(scene, out, [make_bundle()])
    remains = {p: p.read_bytes() for p in out.parent.rglob("*") if p.is_file()}
    make(scene, out, [make_bundle()], resume=True)
    whole = set(out.parent.iterdir())
    # As of a run that was killed while it removed what it had kept: its plan goes first.
    for path, content in remains.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (kept_folder_of(out) / "plan.json").unlink()
    assert make(scene, out, [make_bundle()], resume=True).whole
    assert set(out.parent.iterdir()) == whole


def test_a_run_whose_rows_nobody_wants_keeps_none(scene, out, make_bundle):
    stop(scene, out, [make_bundle()], writes=0)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            make(scene, out, [make_bundle()])
    assert list(out.parent.iterdir()) == []


def test_two_runs_do_not_make_one_map(scene, out, make_bundle, monkeypatch):
    def meanwhile(*args, **more):
        monkeypatch.undo()
        with pytest.raises(OutputError, match="another run is making it"):
            make(scene, out, [make_bundle()], keep=True, overwrite=True)
        return rows(*args, **more)

    rows = engines_module.map_rows
    monkeypatch.setattr(engines_module, "map_rows", meanwhile)
    make(scene, out, [make_bundle()], keep=True)
    assert out.exists()


@pytest.mark.parametrize("resume", [False, True])
def test_what_another_command_keeps_there_is_left_alone(scene, out, make_bundle, resume):
    folder = kept_folder_of(out)
    folder.mkdir()
    (folder / "plan.json").write_text('{"--earth-engine": "landsat"}')
    (folder / "composite-0-0.npy").write_text("pixels")
    with pytest.raises(LeftoverError, match="something else than a prediction"):
        make(scene, out, [make_bundle()], keep=True, resume=resume)
    assert (folder / "composite-0-0.npy").exists()


def test_rows_that_are_damaged_are_told(scene, out, make_bundle):
    stop(scene, out, [make_bundle()])
    (kept_folder_of(out) / KEPT_ROWS).write_bytes(b"short")
    with pytest.raises(OutputError, match="cut short"):
        make(scene, out, [make_bundle()], resume=True)
