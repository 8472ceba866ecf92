"""Recipes as values, and what is no recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.errors import RecipeError
from geoseg.recipe import read_recipe

GOOD = """
title = "Two steps"
[[step]]
run = "tile"
arguments = ["{data}/scene.tif", "{data}/other.tif"]
output = "{out}/patches"
options = { labels = "{data}/labels.tif", size = 128, max-nodata = 0.5, mosaic = true, json=false }
[[step]]
run = "predict"
arguments = ["{data}/scene.tif"]
output = "{out}/map.tif"
options = { model = ["{out}/a.safetensors", "{out}/b.safetensors"] }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_steps_become_words_of_the_command_line(tmp_path):
    recipe = read_recipe(write(tmp_path, GOOD), data=Path("d"), out=Path("o"))
    assert recipe.title == "Two steps"
    assert recipe.steps[0].run == "tile"
    assert recipe.steps[0].words == (
        *("d/scene.tif", "d/other.tif", "--labels", "d/labels.tif", "--size", "128"),
        *("--max-nodata", "0.5", "--mosaic", "--output", "o/patches"),
    )
    assert recipe.steps[1].words == (
        *("d/scene.tif", "--model", "o/a.safetensors", "--model", "o/b.safetensors"),
        *("--output", "o/map.tif"),
    )
    assert recipe.steps[1].output == Path("o/map.tif")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 1\nx y", "is no TOML: .*line 2"),
        ("title = 'x'", "at least one"),
        ("step = 3", "at least one"),
        ("title = 3\n[[step]]\nrun='tile'\noutput='x'", "a title in quotes"),
        ("titel = 'x'", "'titel' is not known; there are step, title"),
        ("step = [1]", r"step 1: write it as \[\[step\]\]"),
        ("[[step]]\nrun='tile'", "step 1: needs run"),
        ("[[step]]\nrun='tile'\noutput='x'\nopts={}", "step 1: 'opts' is not known"),
        ("[[step]]\nrun='tile'\noutput='x'\narguments='y'", "arguments are a list"),
        ("[[step]]\nrun='tile'\noutput='x'\noptions={a={}}", "neither text nor number"),
        ("[[step]]\nrun='tile'\noutput='x'\narguments=[true]", "neither text nor number"),
    ],
)
def test_what_is_no_recipe_is_refused_with_its_place(tmp_path, text, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(write(tmp_path, text), data=Path("d"), out=Path("o"))


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.toml cannot be read"):
        read_recipe(tmp_path / "none.toml", data=Path("d"), out=Path("o"))


def test_the_recipes_of_the_project_can_be_read():
    recipes = sorted((Path(__file__).parents[1] / "pipelines").glob("*/recipe.toml"))
    assert recipes
    for path in recipes:
        assert read_recipe(path, data=Path("d"), out=Path("o")).steps
