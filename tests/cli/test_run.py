"""``geoseg run`` with commands that only write down that they ran, and with real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from geoseg.cli import _run, geoseg
from geoseg.cli import run as run_module
from geoseg.cli import train as train_module
from geoseg.cli.recipe_steps import OUTPUTS
from geoseg.errors import RasterReadError


@pytest.fixture
def ran(monkeypatch):
    """Replace every command but run by one that writes its output."""
    calls: list[str] = []

    @click.command()
    @click.argument("scene")
    @click.option("-o", "--output", type=click.Path(path_type=Path))
    @click.option("--fail", is_flag=True)
    @click.option("--bad", is_flag=True)
    @click.option("--size", type=click.IntRange(1, 9))
    @click.option("--mode", type=click.Choice(["fast", "slow"]), multiple=True)
    @click.option("--resume", is_flag=True)
    @click.option("--overwrite", is_flag=True)
    def fake(scene, output, fail, bad, size, mode, resume, overwrite):
        calls.append(scene + "+resume" * resume + "+overwrite" * overwrite)
        click.echo("a summary")
        if fail:
            raise KeyboardInterrupt
        if bad:
            raise RasterReadError("scene cannot be read")
        output.write_text(scene)

    commands = {"run": run_module.command, "tile": fake}
    monkeypatch.setattr(type(geoseg), "get_command", lambda _self, _ctx, name: commands.get(name))
    return calls


def recipe(folder: Path, *steps: str) -> str:
    path = folder / "recipe.toml"
    tables = [f"[[step]]\nrun = 'tile'\n{step}" for step in steps]
    path.write_text("title = 'T'\n" + "\n".join(tables))
    return str(path)


ONE = "arguments = ['one']\noutput = '{out}/1'"
TWO = "arguments = ['two']\noutput = '{out}/2'"


def test_steps_run_in_order_and_those_done_are_skipped(ran, tmp_path, capsys):
    words = ["run", recipe(tmp_path, ONE, TWO), "--data", "d", "-o", str(tmp_path / "out")]
    assert _run(words) == 0
    assert ran == ["one", "two"]
    assert "T: 2 of 2 steps run" in capsys.readouterr().out
    (tmp_path / "out" / "1").unlink()
    assert _run([*words, "--json"]) == 0
    assert ran == ["one", "two", "one+overwrite"]
    steps = json.loads(capsys.readouterr().out)["steps"]  # the step's summary went elsewhere
    assert [step["was_done"] for step in steps] == [False, True]
    assert "2 of 2" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["steps"] == steps


def test_results_are_called_after_the_recipe(ran, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    path = Path(recipe(tmp_path / "mine", ONE))
    assert _run(["run", str(path), "--data", "d"]) == 0
    assert (tmp_path / "mine-results" / "1").is_file()
    path.rename("other.toml")
    assert _run(["run", "other.toml", "--data", "d"]) == 0
    assert (tmp_path / "other-results" / "1").is_file()


def test_a_dry_run_runs_nothing_and_says_what_it_would(ran, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["run", recipe(tmp_path, ONE), "--data", "d", "-o", str(out)]
    assert _run([*words, "--dry-run"]) == 0
    assert ran == []
    assert not out.exists()
    assert "[1/1] tile, would run: geoseg tile one" in capsys.readouterr().err
    assert _run(words) == 0
    assert _run([*words, "--dry-run"]) == 0
    assert "[1/1] tile, done already" in capsys.readouterr().err
    assert _run([*words, "--dry-run", "--set", "tile.size=3"]) == 0
    assert "tile (the step says --size=3 now), would run again" in capsys.readouterr().err


def test_a_dry_run_says_that_the_run_will_refuse(ran, tmp_path, capsys):
    words = ["run", recipe(tmp_path, ONE), "--data", "d", "-o", str(tmp_path / "out")]
    assert _run(words) == 0
    capsys.readouterr()
    assert _run([*words, "--dry-run", "--json"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out)["refusal"] is None
    assert "refuse" not in streams.err
    (tmp_path / "out" / "1").write_text("mine")
    assert _run([*words, "--dry-run", "--json"]) == 0
    streams = capsys.readouterr()
    refusal = json.loads(streams.out)["refusal"]
    assert f"The run will refuse: {refusal}\n" in streams.err
    assert _run(words) == 1
    assert f"Error: {refusal}\n" in capsys.readouterr().err


def test_a_wrong_value_of_set_is_told_where_it_stands(ran, tmp_path, capsys):
    path = tmp_path / "recipe.toml"
    step = "[[step]]\nrun = 'tile'\noptions = { size = '{side}' }\n"
    path.write_text(f"[set]\n\nside = 10\n{step}{ONE}\n")
    words = ["run", str(path), "--data", "d", "-o", str(tmp_path / "out")]
    assert _run(words) == 1
    assert "recipe.toml, line 3: step tile: " in capsys.readouterr().err
    assert _run([*words, "--set", "side=11"]) == 1
    assert "Error: --set side=11: step tile: " in capsys.readouterr().err
    assert _run([*words, "--set", "tile.size=12"]) == 1
    assert "Error: --set tile.size=12: step tile: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("arguments = ['x']\noutput = '{out}/2'\noptions = { sise = 3 }", "line 10: .*'size'"),
        (
            "arguments = ['x']\noutput = '{out}/2'\n[step.options]\n\nsize = 10",
            "line 12: .*1<=x<=9",
        ),
        (
            "arguments = ['x']\noutput = '{out}/2'\noptions = { size = 'a' }",
            "line 10: .*not a valid",
        ),
        ("arguments = ['x']\noutput = '{out}/2'\noptions = { mode = 'fats' }", "line 10: .*fast"),
        (
            "arguments = ['x']\noutput = '{out}/2'\noptions = { size = [1, 2] }",
            "line 10: .*one value",
        ),
        (
            "arguments = ['x']\noutput = '{out}/2'\noptions = { fail = 1 }",
            "line 10: .*true or false",
        ),
        (
            "arguments = ['x']\noutput = '{out}/2'\noptions = { size = true }",
            "line 10: .*takes a value",
        ),
        ("arguments = ['x']\noutput = '{out}/2'\noptions = { overwrite = true }", "sees to it"),
        ("output = '{out}/2'", "line 6: step tile-2 .tile.: Missing argument"),
        ("arguments = ['x', 'y']\noutput = '{out}/2'", "line 7: .*unexpected extra argument"),
    ],
)
def test_a_wrong_step_stops_all_before_the_first_one_starts(ran, tmp_path, capsys, bad, words):
    out = tmp_path / "out"
    status = _run(["run", recipe(tmp_path, ONE, bad), "--data", "d", "-o", str(out)])
    assert status == 1
    assert ran == []
    assert not out.exists()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(words, err), err


def test_a_command_that_is_none_is_named(tmp_path, capsys):
    path = tmp_path / "r.toml"
    for wrong, words in (("tiel", "did you mean 'tile'"), ("run", "no command 'run' for steps")):
        path.write_text(f"\n[[step]]\nrun = '{wrong}'\noutput = '{{out}}/x'\n")
        assert _run(["run", str(path), "--data", "d", "-o", str(tmp_path / "o")]) == 1
        err = capsys.readouterr().err
        assert "r.toml, line 3: " in err
        assert words in err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("model = 'unet-smal'", "no network 'unet-smal'; did you mean 'unet-small'"),
        ("loss = 'ce + 0.5*lovasz-softmx'", "no loss 'lovasz-softmx'; did you mean"),
        ("loss = 'ce + '", "--loss"),
        ("sampler = 'equibach'", "no sampler 'equibach'; did you mean 'equibatch'"),
        ("augment = 'flips,rot91'", "rot91"),
        ("augment = 'crop(sise=3)'", "sise"),
        ("schedule = 'linear(too=1)'", "too"),
        ("swa = 'cycle=3'", "cycle"),
        ("model = 'smp:unet/whatever'", ""),
    ],
)
def test_what_a_step_learns_by_is_checked_before_the_first_one_starts(
    tmp_path, capsys, option, words
):
    path = tmp_path / "recipe.toml"
    path.write_text(f"[[step]]\nrun='train'\narguments=['p']\noutput='{{out}}/m'\noptions.{option}")
    status = _run(["run", str(path), "--data", "d", "-o", str(tmp_path / "out"), "--dry-run"])
    err = capsys.readouterr().err
    assert status == bool(words)
    assert words in err
    assert ("recipe.toml, line 5: step train: " in err) == bool(words)


def test_missing_data_is_told_before_anything_starts(ran, tmp_path, capsys):
    text = "[data]\nlayout = 'x'\n"
    path = Path(recipe(tmp_path, ONE, TWO.replace("'two'", "'{data}/two.tif'")))
    path.write_text(text + path.read_text().replace("title = 'T'\n", ""))
    out = tmp_path / "out"
    assert _run(["run", str(path), "--data", "d", "-o", str(out)]) == 1
    assert ran == []
    assert not out.exists()
    err = capsys.readouterr().err
    assert "--data d is no folder: step tile-2 reads d/two.tif, which is not there; " in err
    assert f"{path} says where data come from and how they lie" in err


def test_an_override_that_does_not_fit_is_named_and_not_the_recipe(ran, tmp_path, capsys):
    words = ["run", recipe(tmp_path, ONE), "--data", "d", "-o", str(tmp_path / "out")]
    for override, why in (("tile.size=10", "1<=x<=9"), ("tile.sise=3", "did you mean 'size'")):
        assert _run([*words, "--set", override]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"Error: --set {override}: step tile: ")
        assert why in err
    assert ran == []


def test_results_that_are_a_file_are_refused(ran, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert _run(["run", recipe(tmp_path, ONE), "--data", "d", "-o", str(tmp_path / "out")]) == 1
    assert "is no folder; name another for the results with -o" in capsys.readouterr().err


def test_all_that_is_missing_is_in_one_line_up_to_a_few(ran, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    names = "abcde"
    steps = [f"arguments = ['{{data}}/{name}.tif']\noutput = '{{out}}/{name}'" for name in names]
    path = recipe(tmp_path, *steps)
    (tmp_path / "data.toml").write_text("layout = 'as it is'")
    assert _run(["run", path, "--data", str(data), "-o", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert [f"{name}.tif, which is not there" in err for name in names] == [True] * 3 + [False] * 2
    assert f"; and 2 more; {tmp_path / 'data.toml'} says where data come from" in err


def test_data_that_lie_otherwise_than_the_layout_says_are_told(ran, tmp_path, capsys):
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    path = recipe(tmp_path, ONE.replace("'one'", "'{data}/images'"))
    (tmp_path / "data.toml").write_text("layout = 'images/NAME.jpg  masks/NAME.png: 1 a, 2 b.'")
    words = ["run", path, "--data", str(data), "-o", str(tmp_path / "out")]
    assert _run([*words, "--dry-run"]) == 0
    said = f"Note: {data} has no images/NAME.jpg, masks/NAME.png, which the layout names; "
    assert said in capsys.readouterr().err
    (data / "images" / "a.JPG").write_text("")
    assert _run(words) == 0
    err = capsys.readouterr().err
    assert f"Note: {data} has no masks/NAME.png, which the layout names; " in err
    assert err.index("Note:") < err.index("[1/1]")
    assert _run(words) == 0
    assert "Note:" not in capsys.readouterr().err  # nothing is read any more


def test_an_interrupted_step_is_gone_on_with(ran, tmp_path, capsys):
    bad = f"{TWO}\noptions = {{ fail = true }}"
    words = ["run", recipe(tmp_path, ONE, bad), "--data", "d", "-o", str(tmp_path / "out")]
    assert _run(words) == 130
    assert "The same geoseg run goes on from here" in capsys.readouterr().err
    assert _run(words) == 130
    assert ran == ["one", "two", "two+resume"]
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_step_that_fails_is_named_with_its_line_and_run_again_when_it_is_mended(
    ran, tmp_path, capsys
):
    bad = f"{TWO}\noptions = {{ bad = true }}"
    words = ["--data", "d", "-o", str(tmp_path / "out")]
    path = recipe(tmp_path, ONE, bad)
    assert _run(["run", path, *words]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2].startswith(f"Step tile-2 failed ({path}, line 6); what is done stays")
    assert lines[-1] == "Error: scene cannot be read"
    assert _run(["run", recipe(tmp_path, ONE, TWO), *words]) == 0
    assert ran == ["one", "two", "two+overwrite"]


def test_only_chosen_steps_are_run(ran, tmp_path, capsys):
    words = ["run", recipe(tmp_path, ONE, TWO), "--data", "d", "-o", str(tmp_path / "out")]
    assert _run([*words, "--only", "tile-2"]) == 0
    assert ran == ["two"]
    assert _run([*words, "--from", "tile-2", "--again"]) == 0
    assert ran == ["two", "two+overwrite"]
    assert _run([*words, "--only", "cut"]) == 1
    assert "no step is called 'cut'; there are tile, tile-2" in capsys.readouterr().err


def test_a_step_on_several_cards_is_started_by_its_own_words(monkeypatch, tmp_path, capsys):
    started = []

    def start(cards, words):
        started.append((cards, words))
        Path(words[words.index("--output") + 1]).write_text("model")
        return 0

    monkeypatch.setattr(train_module, "run_on_cards", start)
    path = tmp_path / "recipe.toml"
    step = "run = 'train'\narguments = ['patches']\noptions = { device = 'cuda:0,1' }\n"
    path.write_text(f"[[step]]\n{step}output = '{{out}}/a'\n[[step]]\n{step}output = '{{out}}/b'\n")
    out = tmp_path / "out"
    assert _run(["run", str(path), "--data", "d", "-o", str(out)]) == 0
    assert started == [((0, 1), ["train", "patches", "--output", str(out / name)]) for name in "ab"]


def test_every_option_that_names_a_file_to_write_is_known():
    ctx = geoseg.make_context("geoseg", ["info", "--help"], resilient_parsing=True)
    beginnings = ("Also write", "Where to write", "Write", "Draw")
    for name in geoseg.list_commands(ctx):
        found = geoseg.get_command(ctx, name)
        options = {
            p.opts[-1].removeprefix("--"): p for p in found.params if isinstance(p, click.Option)
        }
        writing = {
            key for key, option in options.items() if (option.help or "").startswith(beginnings)
        }
        known = set(OUTPUTS.get(name, ()))
        assert known <= set(options)
        assert writing - {"output"} <= known, name


def test_files_that_are_named_in_place_of_the_layouts_are_not_missed(ran, tmp_path, capsys):
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "images" / "mine.tif").write_text("")
    path = tmp_path / "recipe.toml"
    step = ONE.replace("'one'", "'{data}/images/{image}.tif'")
    path.write_text(f"[set]\nimage = '20'\n[[step]]\nrun = 'tile'\n{step}\n")
    (tmp_path / "data.toml").write_text("layout = 'images/01.tif … images/20.tif, plots.gpkg'")
    words = ["run", str(path), "--data", str(data), "-o", str(tmp_path / "out"), "--dry-run"]
    assert _run([*words, "--set", "image=mine"]) == 0
    assert f"Note: {data} has no plots.gpkg, which the layout" in capsys.readouterr().err
    assert _run(words) == 0
    assert "has no images/01.tif, images/20.tif, plots.gpkg" in capsys.readouterr().err
