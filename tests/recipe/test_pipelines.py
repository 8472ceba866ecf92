"""The recipes of the project: each fits the commands, and one runs from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rasterio

from geoseg.cli import _run
from geoseg.recipe.reading import read_recipe
from geoseg.testing.scenes import made_scene

PIPELINES = Path(__file__).parents[2] / "pipelines"
RECIPES = sorted(path.parent.name for path in PIPELINES.glob("*/recipe.toml"))
PAPERS = ["agde", "alpine", "cropland-cam", "deepglobe", "sugarcane"]


def test_there_is_a_recipe_of_each_paper_and_of_the_built_in_model():
    assert sorted([*PAPERS, "landsat-zion"]) == RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_the_commands_and_says_what_is_missing(name, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    words = ["run", str(PIPELINES / name / "recipe.toml"), "--data", str(tmp_path / "data")]
    out = tmp_path / "out"
    assert _run([*words, "-o", str(out), "--dry-run", "--json"]) == 0
    streams = capsys.readouterr()
    steps = json.loads(streams.out)["steps"]
    assert {step["action"] for step in steps} == {"run"}
    assert f"Missing: step {steps[0]['name']} reads {tmp_path / 'data'}" in streams.err
    assert _run([*words, "-o", str(out)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_of_a_paper_says_what_a_reader_needs(name):
    recipe = read_recipe(PIPELINES / name / "recipe.toml")
    assert recipe.header.keys() >= {"paper", "command", "hardware", "time"}
    assert f"pipelines/{name}/recipe.toml" in recipe.header["command"]
    assert recipe.data.keys() >= {"source", "layout", "licence", "prepare"}
    assert recipe.decisions
    assert any(one.published is not None for one in recipe.expected)
    assert any(one.headline for one in recipe.expected)
    assert (PIPELINES / name / "README.md").is_file()


def test_the_steps_that_made_the_built_in_model_are_as_they_were():
    first, second = read_recipe(PIPELINES / "landsat-zion" / "recipe.toml").steps
    assert first.words()[1:] == (
        *("--labels", "{data}/nlcd_simplified_on_landsat_grid.tif", "--classes"),
        "1=water,2=developed,3=barren,4=forest,5=shrub,6=herbaceous,7=cultivated,8=wetland",
        *("--size", "128", "--stride", "64", "--split", "1,0,0", "--output", "{out}/patches"),
    )
    assert second.words()[:13] == (
        *("{out}/patches", "--model", "unet-small", "--model-option", "widths=16,32,64,128"),
        *("--epochs", "40", "--loss", "0.8*ce + 0.2*weighted-ce", "--seed", "1"),
        *("--augment", "flips,rot90,noise(sigma=0.1)"),
    )


def test_a_recipe_runs_from_end_to_end_and_is_done_then(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    made = tmp_path / "made.tif"
    made_scene(data / "composite.tif", height=160, width=160, seed=3, labels=made, nodata_share=0)
    with rasterio.open(made) as source:
        profile = {key: source.profile[key] for key in ("driver", "crs", "transform")}
        classes = source.read(1)
    shape = {"height": 160, "width": 160, "count": 1, "dtype": "uint8", "nodata": 255}
    with rasterio.open(data / "labels.tif", "w", **profile, **shape) as target:
        classes[classes != 255] %= 5
        target.write(classes, 1)
    recipe = str(PIPELINES / "cropland-cam" / "recipe.toml")
    sets = [
        *("size=16", "patches=5", "unet-size=32", "shallow-epochs=2", "resnet-epochs=1"),
        *("unet-epochs=1", "networks=['shallow']", "ways=['logistic']", "resnet.model=shallow-cnn"),
    ]
    small = [word for one in sets for word in ("--set", one)]
    words = ["run", recipe, "--data", str(data), "-o", str(out), *small, "--json"]
    assert _run(words) == 0
    run = json.loads(capsys.readouterr().out)
    assert {step["action"] for step in run["steps"]} == {"run"}
    found = {(line["of"], line["score"]): line for line in run["expected"]}
    task = found["shallow CNN", "task accuracy"]
    assert task["published"] == 0.899
    assert 0.5 < task["ours"] <= 1
    scores = json.loads((out / "scores" / "shallow-logistic" / "scores.json").read_text())
    pixels = found["shallow CNN", "accuracy, logistic"]
    assert pixels["ours"] == scores["scores"]["pixel_accuracy"]
    assert found["ResNet-50", "accuracy, logistic"]["ours"] is None
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "0.899" in page
    assert f"{task['ours']:.3f}" in page

    assert _run(words) == 0
    run = json.loads(capsys.readouterr().out)
    assert {step["action"] for step in run["steps"]} == {"done"}
    # The U-Net alone is trained longer: what comes before it stays.
    assert _run([*words, "--set", "unet-epochs=2", "--dry-run"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    again = [step["name"] for step in steps if step["action"] == "redo"]
    assert again == ["unet", "predict", "evaluate-map"]
