"""Scenes that are predicted in the colour that models learned in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from geoseg.compositing.homogenise.standard import COLOUR_TAG, ImageLine
from geoseg.errors import BandError, ColourError, ModelError, OutputError
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.models.bundle import ModelBundle
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region
from geoseg.testing.colours import even_standard

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(1, 300, (2, 70, 90), dtype=np.uint16)
PIXELS[:, 30:40, :20] = 0
VALID = (PIXELS != 0).all(axis=0)
CAST = np.where(VALID, PIXELS * np.array([[[3]], [[2]]], np.uint16) + 77, 0).astype(np.uint16)
COLOUR = even_standard(
    {
        name: (float(band[VALID].mean()), float(band[VALID].std()))
        for name, band in zip(("red", "nir"), PIXELS, strict=True)
    }
)


def run(path, out, models, *, area=None, **settings):
    with Scene.open(path) as scene:
        return predict(
            scene,
            out,
            models=models,
            settings=PredictSettings(tile=32, **settings),
            area=area,
            area_name=None if area is None else "region.gpkg",
            device="cpu",
            overwrite=True,
        )


def classes(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def tags(path):
    with rasterio.open(path) as dataset:
        return dataset.tags()


def coloured(bundle, colour=COLOUR, **changes):
    return ModelBundle(bundle.network, replace(bundle.card, colour=colour, **changes))


@pytest.fixture
def model(make_bundle):
    return coloured(make_bundle(seed=3))


def test_a_scene_with_a_cast_is_predicted_as_the_one_that_was_learned_from(
    write_scene, model, tmp_path
):
    whole, cast, bare = (tmp_path / name for name in ("whole.tif", "cast.tif", "bare.tif"))
    run(write_scene(PIXELS), whole, [model])
    result = run(write_scene(CAST, name="other.tif"), cast, [model])
    told = "colours of other are brought to those of the training by mean and deviation"
    assert told in result.notes
    np.testing.assert_array_equal(classes(cast), classes(whole))
    result = run(tmp_path / "other.tif", bare, [model], homogenise="none")
    assert any("taken as it is" in note for note in result.notes)
    assert (classes(bare) != classes(whole))[VALID].mean() > 0.2
    plain = run(tmp_path / "other.tif", tmp_path / "p.tif", [coloured(model, None)])
    assert not [note for note in plain.notes if "colour" in note]
    np.testing.assert_array_equal(classes(tmp_path / "p.tif"), classes(bare))


def test_metadata_say_the_colour_where_it_is_not_the_usual_one(write_scene, model, tmp_path):
    scene, out = write_scene(CAST), tmp_path / "map.tif"
    run(scene, out, [model])
    assert "--homogenise" not in tags(out)["GEOSEG_COMMAND"]
    assert "homogenise" not in json.loads(tags(out)["GEOSEG_OPTIONS"])
    run(scene, out, [model], homogenise="none")
    assert "--homogenise none" in tags(out)["GEOSEG_COMMAND"]
    saved = tmp_path / "colour.json"
    saved.write_text(json.dumps(COLOUR.to_json()))
    run(scene, out, [coloured(model, None)], homogenise=str(saved))
    assert "--homogenise colour.json" in tags(out)["GEOSEG_COMMAND"]
    assert json.loads(tags(out)["GEOSEG_INPUTS"])["colour.json"] == COLOUR.digest


def test_a_saved_colour_does_what_the_models_own_would(write_scene, model, tmp_path):
    scene = write_scene(CAST)
    own, saved = tmp_path / "own.tif", tmp_path / "saved.tif"
    run(scene, own, [model])
    # Bands in another order, and one more than the model has.
    colour = COLOUR.select(["nir", "red"])
    more = even_standard({"blue": (9.0, 1.0)}).bands
    file = tmp_path / "colour.json"
    file.write_text(json.dumps(replace(colour, bands=(*more, *colour.bands)).to_json()))
    result = run(scene, saved, [coloured(model, None)], homogenise=str(file))
    assert any("those of colour.json by mean and deviation" in note for note in result.notes)
    np.testing.assert_array_equal(classes(saved), classes(own))
    with pytest.raises(OutputError, match=r"colour\.json"):
        run(scene, file, [model], homogenise=str(file))


def test_what_is_no_colour_is_refused_before_anything_is_written(write_scene, model, tmp_path):
    scene, out = write_scene(CAST), tmp_path / "map.tif"
    with pytest.raises(ColourError, match=r"gone\.json: cannot be read"):
        run(scene, out, [model], homogenise=str(tmp_path / "gone.json"))
    with pytest.raises(ColourError, match="is no JSON"):
        run(scene, out, [model], homogenise=str(scene))
    other = tmp_path / "other.json"
    other.write_text(json.dumps(even_standard({"blue": (9.0, 1.0)}).to_json()))
    with pytest.raises(BandError, match="no band “red”; there are: blue"):
        run(scene, out, [model], homogenise=str(other))
    assert not out.exists()


def test_a_scene_that_has_the_colour_already_is_not_brought_there_again(
    write_scene, model, tmp_path
):
    scene, out, bare = write_scene(CAST), tmp_path / "map.tif", tmp_path / "bare.tif"
    with rasterio.open(scene, "r+") as dataset:
        dataset.update_tags(**{COLOUR_TAG: COLOUR.digest})
    # Of some bands of it, in another order, it is the same colour.
    turned = coloured(
        model,
        COLOUR.select(["nir", "red"]),
        bands=("nir", "red"),
    )
    assert turned.card.colour.digest == COLOUR.digest
    result = run(scene, out, [turned])
    assert "scene has the colours of the training already" in result.notes
    run(scene, bare, [coloured(turned, None)])
    np.testing.assert_array_equal(classes(out), classes(bare))
    with rasterio.open(scene, "r+") as dataset:
        dataset.update_tags(**{COLOUR_TAG: "0123"})
    assert any("are brought to those of" in note for note in run(scene, out, [model]).notes)


def test_a_scene_of_the_training_gets_what_was_found_for_it_then(write_scene, model, tmp_path):
    scene = write_scene(CAST)
    line = ImageLine(
        name="scene",
        fingerprint=Scene.open(scene).fingerprint(),
        gains=(1 / 3, 0.5),
        offsets=(-77 / 3, -38.5),
    )
    # Targets that would lead elsewhere: they are not asked.
    far = even_standard({"red": (9.0, 1.0), "nir": (9.0, 1.0)}, images=[line])
    result = run(scene, tmp_path / "map.tif", [coloured(model, far)])
    assert any("what was found for it then" in note for note in result.notes)
    run(write_scene(PIXELS, name="first.tif"), tmp_path / "first.tif.map.tif", [model])
    np.testing.assert_array_equal(
        classes(tmp_path / "map.tif"), classes(tmp_path / "first.tif.map.tif")
    )


def test_a_region_is_predicted_as_in_the_whole(write_scene, model, tmp_path):
    scene = write_scene(CAST)
    run(scene, tmp_path / "whole.tif", [model])
    with Scene.open(scene) as opened:
        area = read_region("500100,5599500,500500,5599900", opened.grid)
    run(scene, tmp_path / "part.tif", [model], area=area)
    part = classes(tmp_path / "part.tif")
    assert 0 < (part != 255).sum() < VALID.sum()
    np.testing.assert_array_equal(part[part != 255], classes(tmp_path / "whole.tif")[part != 255])


def test_an_ensemble_is_of_one_colour(write_scene, make_bundle, model, tmp_path):
    scene, out = write_scene(CAST), tmp_path / "map.tif"
    turned = coloured(
        make_bundle(seed=4, bands=("nir", "red"), name="turned"), COLOUR.select(["nir", "red"])
    )
    assert run(scene, out, [model, turned]).notes
    bare = make_bundle(seed=4, name="bare")
    with pytest.raises(ModelError, match="'tiny' learned from homogenised scenes, 'bare' from"):
        run(scene, out, [model, bare])
    with pytest.raises(ModelError, match="'tiny' learned from homogenised scenes, 'bare' from"):
        run(scene, out, [bare, model])
    other = coloured(bare, even_standard({"red": (9.0, 1.0), "nir": (9.0, 1.0)}))
    with pytest.raises(ModelError, match="of different colours; say with --homogenise"):
        run(scene, out, [model, other])
    saved = tmp_path / "colour.json"
    saved.write_text(json.dumps(COLOUR.to_json()))
    for told in ("none", str(saved)):
        run(scene, out, [model, other, bare], homogenise=told)


def test_workers_change_no_byte(write_scene, model, tmp_path):
    path = write_scene(CAST)
    made = []
    for workers in (1, 3):
        out = tmp_path / f"{workers}" / "map.tif"
        out.parent.mkdir()
        with Scene.open(path) as scene:
            predict(scene, out, models=[model], device="cpu", workers=workers)
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_a_scene_that_the_colour_was_not_made_from_is_told(write_scene, model, tmp_path):
    line = ImageLine(name="x", fingerprint="00", gains=(1.0, 1.0), offsets=(0.0, 0.0))
    file = tmp_path / "colour.json"
    file.write_text(json.dumps(replace(COLOUR, images=(line,)).to_json()))
    result = run(write_scene(CAST), tmp_path / "o.tif", [model], homogenise=str(file))
    (said,) = (note for note in result.notes if "are brought to those of colour.json" in note)
    assert "which takes other ground for another colour" in said
    assert said.endswith("it is none of the images that they were made from")
