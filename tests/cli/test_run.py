"""``geoseg run`` with commands that only write down that they ran."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from geoseg.cli import _run, geoseg
from geoseg.cli import run as run_module
from geoseg.cli import train as train_module


@pytest.fixture
def ran(monkeypatch):
    """Replace every command but run by one that writes its output."""
    calls: list[str] = []

    @click.command()
    @click.argument("scene")
    @click.option("-o", "--output", type=click.Path(path_type=Path))
    @click.option("--fail", is_flag=True)
    def fake(scene, output, fail):
        calls.append(scene)
        if fail:
            raise KeyboardInterrupt
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
    assert ran == ["one", "two", "one"]
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["was_done"] for step in steps] == [False, True]


def test_a_dry_run_runs_nothing_and_says_what_it_would(ran, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["run", recipe(tmp_path, ONE), "--data", "d", "-o", str(out), "--dry-run"]
    assert _run(words) == 0
    assert ran == []
    assert not out.exists()
    assert "would run: geoseg tile one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("arguments = ['x']\noutput = '{out}/2'\noptions = { sise = 3 }", "sise"),
        ("output = '{out}/2'", "Missing argument"),
    ],
)
def test_a_wrong_step_stops_all_before_the_first_one_starts(ran, tmp_path, capsys, bad, words):
    status = _run(["run", recipe(tmp_path, ONE, bad), "--data", "d", "-o", str(tmp_path)])
    assert status == 1
    assert ran == []
    err = capsys.readouterr().err
    assert "step 2" in err
    assert words in err


def test_an_interrupted_step_is_run_again(ran, tmp_path, capsys):
    bad = f"{TWO}\noptions = {{ fail = true }}"
    words = ["run", recipe(tmp_path, ONE, bad), "--data", "d", "-o", str(tmp_path / "out")]
    assert _run(words) == 130
    assert _run(words) == 130
    assert ran == ["one", "two", "two"]


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
