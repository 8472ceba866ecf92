"""What a stopped prediction left is refused where it is of another, and is never lost."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from resuming import PIXELS, files, make, stop, stop_at

from geoseg.errors import OutputError
from geoseg.inference import blocks as blocks_module
from geoseg.inference import plan as plan_module
from geoseg.inference.unfinished import LeftoverError
from geoseg.raster.outputs.kept import KEPT_ROWS, kept_folder_of
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.unfinished import DONE


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
        patch.setattr(plan_module, "versions", lambda _also: {"torch": "1.0"})
        refused("torch: ", " then, 1.0 now")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("<NoDataValue>7</NoDataValue>", r"readings: red: nodata 0\.0, .* then, red: nodata 7\.0"),
        ("<Scale>0.1</Scale>", r"readings: red: .*scale 1\.0.* then, .*scale 0\.1.* now"),
        ("<ColorInterp>Gray</ColorInterp>", "the scene's files are not the same"),
    ],
)
def test_a_file_beside_the_scene_that_changed_is_refused(scene, out, make_bundle, said, told):
    model, beside = make_bundle(), Path(f"{scene}.aux.xml")
    stop(scene, out, [model])
    text = f'<PAMDataset><PAMRasterBand band="1">{said}</PAMRasterBand></PAMDataset>'
    beside.write_text(text)
    with pytest.raises(LeftoverError, match=told):
        make(scene, out, [model], resume=True)
    beside.write_text("<PAMDataset/>")  # as of a program that looked at it
    assert make(scene, out, [model], resume=True).taken_over > 0
    assert make(scene, out, [model], resume=True).whole
    beside.write_text(text)
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [model], resume=True)


def test_a_file_of_others_that_appears_while_outputs_are_made_stays(
    scene, out, make_bundle, monkeypatch
):
    model, publish = make_bundle(), TemporaryFolder.publish

    def interrupted(self, *args, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(scene, out, [model], keep=True)
    assert not out.exists()

    def late(self, *args, **more):
        if not out.exists():
            out.write_text("mine")
        publish(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish", late)
        with pytest.raises(OutputError, match="appeared while"):
            make(scene, out, [model], resume=True)
    assert out.read_text() == "mine"


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


def test_a_file_that_is_not_ours_is_not_replaced(scene, out, make_bundle):
    stop(scene, out, [make_bundle()])
    out.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [make_bundle()], resume=True)
    assert out.read_text() == "mine"
    assert make(scene, out, [make_bundle()], resume=True, overwrite=True).taken_over > 0


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

    rows = blocks_module.map_rows
    monkeypatch.setattr(blocks_module, "map_rows", meanwhile)
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


def test_a_run_that_finished_no_row_does_not_bind_other_settings(scene, out, make_bundle):
    stop(scene, out, [make_bundle()])
    (kept_folder_of(out) / DONE).unlink()
    make(scene, out, [make_bundle()], resume=True, tile=17)
    assert out.exists()
    assert not kept_folder_of(out).exists()
