"""The recipes of the project: each fits the commands and runs from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.cli import _run
from geoseg.recipe.reading import read_recipe
from geoseg.testing.layouts import (
    made_agde,
    made_alpine,
    made_cropland,
    made_deepglobe,
    made_sugarcane,
)
from geoseg.testing.layouts.alpine import UNREADABLE

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


# Each on data in its published layout, as small as can be, networks of the papers exchanged for
# small ones: the steps, the files and the scores are those of the recipe.
SMALL: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "agde": (
        lambda folder: made_agde(folder, train=10, test=5, height=48, width=64),
        (
            *("epochs=1", "batch=4", "size=64", "tile=64"),
            *("train.model=unet-small", "train-others.model=unet-small"),
        ),
    ),
    "alpine": (
        lambda folder: made_alpine(folder, images=60, size=48),
        (
            *("epochs=1", "deeplab-epochs=1", "size=24", "batch=32", "weights=[]"),
            *("train.model=unet-small", "restricted.model=unet-small"),
            *("deeplab.model=unet-small", "deeplab.model-option=widths=4,8"),
        ),
    ),
    "cropland-cam": (
        lambda folder: made_cropland(folder, size=128),
        (
            *("size=16", "patches=5", "unet-size=32", "shallow-epochs=1", "resnet-epochs=1"),
            *("unet-epochs=1", "resnet.model=shallow-cnn"),
        ),
    ),
    "deepglobe": (
        lambda folder: made_deepglobe(folder, images=14, size=64),
        (
            *("epochs=1", "cycles=1", "length=1", "size=32", "crop=16", "tile=32", "stride=16"),
            *("test=[1-9]", "learn=[0-9]", "min-area=9px"),
            *("train.model=unet-small", "train-random.model=unet-small"),
        ),
    ),
    "sugarcane": (
        lambda folder: made_sugarcane(folder, images=4, size=96),
        (
            *("images=['01', '02']", "test=['03', '04']", "epochs=1", "size=32", "tile=64"),
            "train.model=unet-small",
        ),
    ),
}


@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_of_a_paper_runs_from_its_published_layout_to_its_table_and_is_done_then(
    name, tmp_path, capsys
):
    data, out = tmp_path / "data", tmp_path / "out"
    make, sets = SMALL[name]
    make(data)
    recipe = str(PIPELINES / name / "recipe.toml")
    words = ["run", recipe, "--data", str(data), "-o", str(out), "--json"]
    words += [word for one in sets for word in ("--set", one)]
    assert _run(words) == 0
    run = json.loads(capsys.readouterr().out)
    assert {step["action"] for step in run["steps"]} == {"run"}
    without = [(line["of"], line["score"]) for line in run["expected"] if line["ours"] is None]
    assert without == []
    assert all(-1 <= line["ours"] <= 1 for line in run["expected"])
    page = (out / "report.html").read_text(encoding="utf-8")
    for line in run["expected"]:
        assert f"{line['ours']:.3f}" in page
    if name == "alpine":
        found = (out / "problems.csv").read_text(encoding="utf-8")
        assert f"{UNREADABLE}.png" in found
        assert ",black," in found

    assert _run([*words, "--dry-run"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {step["action"] for step in again["steps"]} == {"done"}
    if name == "cropland-cam":
        assert "deciduous forest</li>" in page  # below the maps
        # What the regression was fitted on is not measured on.
        made = json.loads((out / "cam" / "shallow-logistic.json").read_text(encoding="utf-8"))
        found = made["scores"]["ways"]["logistic"]["accuracy"]
        (ours,) = (
            line["ours"]
            for line in run["expected"]
            if (line["of"], line["score"]) == ("shallow CNN", "accuracy, logistic")
        )
        assert ours == found
        # The U-Net alone is trained longer: what comes before it stays.
        assert _run([*words, "--set", "unet-epochs=2", "--dry-run"]) == 0
        steps = json.loads(capsys.readouterr().out)["steps"]
        redone = [step["name"] for step in steps if step["action"] == "redo"]
        assert redone == ["unet", "predict", "evaluate-map"]
