"""Recipes as values, and what is no recipe."""

from __future__ import annotations

import pytest

from geoseg.errors import RecipeError
from geoseg.recipe.reading import read_recipe

GOOD = """
title = "Two steps"
paper = " A paper "
decisions = ["one", "two"]
[set]
size = 128
rate = 0.5
models = ["a", "b"]
none = []
[[step]]
run = "tile"
arguments = ["{data}/scene.tif", "{data}/other.tif"]
output = "{out}/patches"
[step.options]
labels = "{data}/labels.tif"
size = "{size}"
max-nodata = "{rate}"
mosaic = true
json = false
[[step]]
run = "predict"
arguments = ["{data}/scene.tif"]
output = "{out}/map-{size}.tif"
options = { model = "{out}/{models}.safetensors", region = "{none}" }
[[expected]]
of = "all"
score = "mIoU"
published = 1
file = "{out}/map-{size}.json"
key = "a.b"
"""
STEP = "[[step]]\nrun = 'tile'\noutput = '{out}/x'\n"


def test_steps_become_words_of_the_command_line(write):
    recipe = read_recipe(write(GOOD))
    assert (recipe.title, recipe.header, recipe.decisions) == (
        *("Two steps", {"paper": "A paper"}),
        ("one", "two"),
    )
    assert recipe.steps[0].words() == (
        *("{data}/scene.tif", "{data}/other.tif", "--labels", "{data}/labels.tif", "--size", "128"),
        *("--max-nodata", "0.5", "--mosaic", "--output", "{out}/patches"),
    )
    assert recipe.steps[1].words() == (
        *("{data}/scene.tif", "--model", "{out}/a.safetensors", "--model", "{out}/b.safetensors"),
        *("--output", "{out}/map-128.tif"),
    )
    assert recipe.expected[0].file == "{out}/map-128.json"
    assert recipe.expected[0].published == 1


def test_steps_are_called_what_they_run_and_numbered_where_that_is_taken(write):
    text = STEP + STEP.replace("tile'", "tile'\nname = 'cut'") + STEP
    assert [step.name for step in read_recipe(write(text)).steps] == ["tile", "cut", "tile-3"]


def test_a_table_of_lists_gives_all_combinations(write):
    text = STEP.replace("/x", "/{a}-{b}") + "each = { a = [1, 2], b = ['p', 'q'] }\n"
    text += "[[step]]\nrun = 'predict'\narguments = ['{step.tile}']\noutput = '{out}/y'\n"
    steps = read_recipe(write(text)).steps
    assert [step.output for step in steps[:4]] == [
        f"{{out}}/{end}" for end in ("1-p", "1-q", "2-p", "2-q")
    ]
    assert [step.name for step in steps[1:3]] == ["tile[a=1,b=q]", "tile[a=2,b=p]"]
    assert {step.group for step in steps[:4]} == {"tile"}
    assert steps[4].arguments == tuple(step.output for step in steps[:4])


def test_a_list_of_tables_gives_chosen_combinations_and_may_be_a_value(write):
    text = "[set]\nmembers = [{ name = 'u', n = 1 }, { name = 'v', n = 2 }]\n"
    text += STEP.replace("/x", "/{name}") + "each = '{members}'\noptions = { size = '{n}' }\n"
    path = write(text)
    steps = read_recipe(path).steps
    assert [(s.name, s.options["size"]) for s in steps] == [
        ("tile[u]", ("1",)),
        ("tile[v]", ("2",)),
    ]
    fewer = read_recipe(path, overrides=["members=[{name='w', n=3}]"]).steps
    assert [(s.name, s.output) for s in fewer] == [("tile[w]", "{out}/w")]


def test_overrides_replace_values_and_options(write):
    recipe = read_recipe(
        write(GOOD), overrides=["size=64", "rate=1", "tile.stride=7", "predict.blend=mean"]
    )
    assert recipe.steps[0].options["size"] == ("64",)
    assert recipe.steps[0].options["max-nodata"] == ("1",)
    assert recipe.steps[0].options["stride"] == ("7",)
    assert recipe.steps[1].options["blend"] == ("mean",)
    assert recipe.steps[1].output == "{out}/map-64.tif"
    assert recipe.overrides[0] == "size=64"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("size", "write NAME=VALUE"),
        ("=3", "write NAME=VALUE"),
        ("sise=3", "sets no 'sise'; did you mean 'size'"),
        ("size=1.5", "'size' is a whole number"),
        ("size=true", "'size' is a whole number"),
        ("size=big", "'size' is a whole number"),
        ("rate=high", "'rate' is a number"),
        ("models=a", "'models' is a list"),
        ("tiel.size=3", "no step is called 'tiel'; did you mean 'tile'"),
    ],
)
def test_an_override_that_means_nothing_is_refused(write, override, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(write(GOOD), overrides=[override])


def test_what_is_said_of_the_data_may_stand_beside_the_recipe(write):
    write("source = 'there'\nlicence = 'free'", "data.toml")
    assert read_recipe(write(STEP)).data == {"source": "there", "licence": "free"}
    with pytest.raises(RecipeError, match=r"line 1: data\.toml beside the recipe says this too"):
        read_recipe(write("[data]\nsource = 'x'\n" + STEP))
    write("\nlicense = 'free'", "data.toml")
    with pytest.raises(RecipeError, match=r"data\.toml, line 2: 'license' .* mean 'licence'"):
        read_recipe(write(STEP))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 'x'", "line 1: a recipe needs at least one"),
        ("step = 3", r"line 1: step must be written as \[\[step\]\]"),
        ("\nstep = [1]", r"line 2: step must be written as \[\[step\]\]"),
        ("title = 3\n" + STEP, "line 1: title must be text in quotes"),
        ("\ntitel = 'x'", "line 2: 'titel' is not known; did you mean 'title'"),
        ("decisions = 'x'\n" + STEP, "line 1: decisions must be a list of texts"),
        ("[set]\ndata = 3\n" + STEP, "line 2: 'data' cannot be the name"),
        ("[set]\n'a b' = 3\n" + STEP, "line 2: 'a b' cannot be the name"),
        ("[[step]]\nrun='tile'", "line 1: a step needs run .* no output"),
        ("[[step]]\noutput='tile'", "line 1: a step needs run .* no run"),
        (STEP + "opts={}", "line 4: 'opts' is not known; did you mean 'options'"),
        (STEP + "arguments='y'", "line 4: arguments must be a list"),
        (STEP + "options={a={}}", "line 4: {} is neither text nor number"),
        (STEP + "arguments=[true]", "line 4: true and false are neither"),
        (STEP + "arguments=['{dat}/x']", "line 4: nothing is called {dat}; did you mean 'data'"),
        (STEP + "arguments=['{step.tiel}']", "line 4: no earlier step is called 'tiel'"),
        (STEP + "name='a'\narguments=['{step.a}']", r"line 1: step a .*, which makes itself"),
        (
            STEP + "name='a'\nneeds=['{step.b}']\n" + STEP + "name='b'",
            r"line 1: step a reads {step.b}, which a later step makes",
        ),
        ("[set]\na=1\nb=['{a}']\n" + STEP, "line 3: 'b' names {a}: values of .set. cannot name"),
        (
            "[set]\nabcd=[1]\n" + STEP + "each={x='{abce}'}",
            "line 6: .* no {abce}; did you mean 'abcd'",
        ),
        (STEP + "each='{ac}'", "line 4: .set. has no {ac}"),
        (STEP + "[step.options]\n\nsize='{sise}'", "line 6: nothing is called {sise}"),
        (STEP + "name='a.b'", "line 4: 'a.b': a name has letters"),
        (STEP + "name='a'\n" + STEP + "name='a'", "line 8: two steps are called 'a'"),
        (STEP + "each=3", "line 4: each is a table of lists"),
        (STEP + "each={a=[]}", "line 4: a list of each is empty"),
        ("[set]\na=[]\n" + STEP + "each='{a}'", "line 6: a list of each, '{a}', is empty"),
        (STEP + "each={}", "line 4: each is a table of lists"),
        (STEP + "each=[{name='a'},{name='a'}]", "line 4: two entries of each have one name"),
        ("[set]\nx=[1,2]\n" + STEP.replace("/x", "/{x}"), "line 5: .* stands for several values"),
        (STEP + "[[expected]]\nof='a'\nscore='b'\nkey='c'", "line 4: .*: no file"),
        (STEP + "[[expected]]\nof='a'\npublished='0.3'", "line 6: published must be a number"),
    ],
)
def test_what_is_no_recipe_is_refused_with_its_line(write, text, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(write(text))
