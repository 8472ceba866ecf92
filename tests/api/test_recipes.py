"""Recipes by the Python function."""

from __future__ import annotations

import json
import threading
import tomllib
from pathlib import Path

import pytest

import geoseg
from geoseg.errors import GeosegError

RECIPE = """\
title = "A map of {kind}"
[set]
kind = "two classes"
[[step]]
run = "predict"
arguments = ["{data}/scene.tif"]
output = "{out}/map.tif"
[step.options]
model = "{data}/model.safetensors"
tile = 16
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace("{kind}", "two classes"), encoding="utf-8")
    return path


def test_a_recipe_is_planned_run_and_then_done(work, recipe, tmp_path, capsys):
    out = tmp_path / "results"
    planned = geoseg.run(recipe, out, data=work[0], dry_run=True, quiet=True)
    assert [step["action"] for step in planned["steps"]] == ["run"]
    assert not (out / "map.tif").exists()
    made = geoseg.run(recipe, out, data=work[0], quiet=True)
    assert made["steps"][0]["output"] == str(out / "map.tif")
    assert json.loads((out / "report.json").read_text())["title"] == "A map of two classes"
    again = geoseg.run(recipe, out, data=work[0], quiet=True)
    assert [step["action"] for step in again["steps"]] == ["done"]
    other = geoseg.run(recipe, out, data=work[0], overrides={"predict.tta": True}, quiet=True)
    assert [step["action"] for step in other["steps"]] == ["redo"]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_another_thread_prints_meanwhile_spoils_nothing(work, recipe, tmp_path, capsys):
    told = []

    def talk():
        while not told:
            print("a line of ours")

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        found = geoseg.run(recipe, tmp_path / "results", data=work[0], dry_run=True, quiet=True)
    finally:
        told.append("enough")
        thread.join()
    assert [step["action"] for step in found["steps"]] == ["run"]
    assert set(capsys.readouterr().out.splitlines()) == {"a line of ours"}


@pytest.mark.parametrize("value", [["a\\b", 'say "it\'s"'], [True, 2.5, 3], [["x"], []], False])
def test_values_are_typed_as_toml_reads_them(value, monkeypatch):
    typed = []
    monkeypatch.setattr("geoseg.cli.called.call", lambda words, **_: typed.append(words[-1]))
    geoseg.run("r.toml", "out", data="data", overrides={"names": value})
    assert tomllib.loads(typed[0]) == {"names": value}


def test_texts_are_typed_bare_and_paths_as_texts(monkeypatch):
    typed = []
    monkeypatch.setattr("geoseg.cli.called.call", lambda words, **_: typed.extend(words))
    given = {"train.loss": "0.5*ce + 0.5*focal", "a": Path("x y"), "b": (Path("z"), 1)}
    geoseg.run("r.toml", "out", data="data", overrides=given)
    assert typed[-5::2] == ["train.loss=0.5*ce + 0.5*focal", "a=x y", 'b=["z", 1]']


def test_a_wrong_recipe_is_refused_with_its_line(work, recipe, tmp_path):
    with pytest.raises(GeosegError, match="tiel"):
        geoseg.run(recipe, tmp_path / "r", data=work[0], overrides={"predict.tiel": 8}, quiet=True)
    with pytest.raises(GeosegError, match="nobody"):
        geoseg.run(recipe, tmp_path / "r", data=work[0], only=["nobody"], quiet=True)
    recipe.write_text(RECIPE.replace("{kind}", "x").replace("tile = 16", "tiles = 16"))
    with pytest.raises(GeosegError, match=r"recipe\.toml, line 10: .*did you mean 'tile'"):
        geoseg.run(recipe, tmp_path / "r", data=work[0], quiet=True)
