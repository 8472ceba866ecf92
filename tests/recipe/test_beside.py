"""Files that a step makes without being told to: known, and made again where they are gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geoseg.errors import OutputError
from geoseg.recipe.planning import Planner, choose
from geoseg.recipe.reading import read_recipe
from geoseg.recipe.record import RECORD, Record
from geoseg.recipe.running import run
from geoseg.recipe.wiring import wire

MAP = """
[[step]]
run = "map"
arguments = ["{data}/in.txt"]
output = "{out}/map.tif"
[[step]]
run = "next"
arguments = ["{step.map}"]
output = "{out}/map_2.tif"
"""


class Maps:
    """A command that writes a style, a table and a folder beside its map."""

    neutral = ()

    def __init__(self):
        self.stop_after = ""
        self.table = "1"

    def outputs_of(self, _run):
        return ()

    def run(self, step, words, *, resume, replace):
        target = Path(words[-1])
        beside = {
            f"{target.stem}_stage.tif": "stage",
            f"{target.stem}.csv": self.table,
            f"{target.stem}.qml": "style",
            f".{target.stem}.csv": "hidden",
            f"{target.stem}.tif.aux.xml": "statistics",
            f"{target.stem}-parts/1": "part",
        }
        if step.name == "next":
            beside = {}
        if resume and not replace:  # what is there is not written again
            beside = {name: t for name, t in beside.items() if not (target.parent / name).exists()}
        for name, text in beside.items():
            (target.parent / name).parent.mkdir(exist_ok=True)
            (target.parent / name).write_text(text)
            if name == self.stop_after:
                raise KeyboardInterrupt
        target.write_text("map")


@pytest.fixture
def go(write, places):
    """Run both steps; returns what was done, with its reasons."""
    (places.data / "in.txt").write_text("x")
    places.out.mkdir()
    commands = Maps()

    def function(*, adopt=False):
        recipe = read_recipe(write(MAP))
        wired = wire(recipe, commands.outputs_of)
        planner = Planner(places=places, record=Record.read(places.out))
        chosen = choose(recipe, wired)
        outcome = run(
            planner, wired, chosen, commands, tell=lambda _number, _verdict: None, adopt=adopt
        )
        return [(one.action, one.reason) for one in outcome.verdicts]

    function.commands, function.out = commands, places.out
    return function


DONE = [("done", ""), ("done", "")]
NAMES = ["{out}/map-parts", "{out}/map.csv", "{out}/map.qml", "{out}/map_stage.tif"]


def test_what_is_named_after_an_output_is_known_after_the_step(go):
    go()
    entries = Record.read(go.out).entries
    assert list(entries["{out}/map.tif"].beside) == NAMES
    assert entries["{out}/map_2.tif"].beside == {}
    assert go() == DONE


@pytest.mark.parametrize("name", ["map_stage.tif", "map.csv", "map.qml"])
def test_one_that_is_gone_is_made_again(go, name):
    go()
    (go.out / name).unlink()
    reason = f"{go.out}/{name}, which it made too, is gone"
    # The map comes out as before, so what is made of it stays.
    assert go() == [("redo", reason), ("done", "")]
    assert (go.out / name).is_file()
    assert go() == DONE


def test_one_that_was_changed_is_neither_replaced_nor_passed_over(go):
    go()
    (go.out / "map.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"map\.csv \(step map\) was changed since it was made"):
        go()
    assert go(adopt=True)[0] == ("done", "taken as it is")
    assert go() == DONE
    assert (go.out / "map.csv").read_text() == "mine"


def test_a_file_in_a_folder_beside_counts_too(go):
    go()
    (go.out / "map-parts" / "1").unlink()
    with pytest.raises(OutputError, match=r"map-parts \(step map\) was changed"):
        go()


def test_styles_are_the_readers_and_what_looking_leaves_does_not_count(go):
    go()
    (go.out / "map.qml").write_text("other colours")
    (go.out / "map.tif.aux.xml").unlink()
    (go.out / "map_mine.txt").write_text("no step made this")
    assert go() == DONE


def test_what_is_gone_can_be_done_without(go):
    go()
    (go.out / "map.csv").unlink()
    assert go(adopt=True)[0] == ("done", "taken as it is")
    assert not (go.out / "map.csv").exists()
    assert go() == DONE


def test_one_that_is_not_made_any_more_is_forgotten(go):
    go()
    (go.out / "map.csv").unlink()
    (go.out / "map_stage.tif").rename(go.out / "elsewhere.tif")
    go.commands.stop_after = "map_stage.tif"
    with pytest.raises(KeyboardInterrupt):
        go()
    assert list(Record.read(go.out).entries["{out}/map.tif"].beside) == ["{out}/map_stage.tif"]


def test_an_interrupted_step_owns_what_it_left(go):
    go.commands.stop_after = "map.csv"
    with pytest.raises(KeyboardInterrupt):
        go()
    entry = Record.read(go.out).entries["{out}/map.tif"]
    assert (entry.state, list(entry.beside)) == (
        "started",
        ["{out}/map.csv", "{out}/map_stage.tif"],
    )
    go.commands.stop_after = ""
    assert go()[0] == ("resume", "")
    assert sorted(Record.read(go.out).entries["{out}/map.tif"].beside) == NAMES


def test_records_of_before_are_read(go):
    go()
    path = go.out / RECORD
    content = json.loads(path.read_text())
    for entry in content["steps"].values():
        del entry["beside"]
    path.write_text(json.dumps(content))
    (go.out / "map.csv").unlink()
    assert go() == DONE
