"""What is done, what is run again, and why: with commands that write what they read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geoseg.errors import OutputError, RecipeError
from geoseg.recipe.page import document, page
from geoseg.recipe.planning import Planner, choose
from geoseg.recipe.reading import read_recipe
from geoseg.recipe.record import RECORD, Record
from geoseg.recipe.results import compare
from geoseg.recipe.running import missing_inputs, plan, run
from geoseg.recipe.wiring import wire

CHAIN = """
title = "Chain"
[set]
size = 1
[[step]]
name = "a"
run = "copy"
arguments = ["{data}/in.txt"]
output = "{out}/deep/a.txt"
options = { size = "{size}" }
[[step]]
name = "b"
run = "copy"
arguments = ["{step.a}"]
output = "{out}/b.txt"
options = { also = "{out}/b2.txt" }
[[step]]
name = "c"
run = "copy"
arguments = ["{out}/b2.txt"]
output = "{out}/c.txt"
"""


class Copies:
    """A command that writes its input's first letter and its options."""

    neutral = ("workers",)

    def __init__(self):
        self.ran: list[tuple[str, bool, bool]] = []
        self.fail: BaseException | None = None
        self.writes = True

    def outputs_of(self, _run):
        return {"also"}

    def run(self, step, words, *, resume, replace):
        self.ran.append((step.name, resume, replace))
        if self.fail is not None:
            raise self.fail
        text = Path(words[0]).read_text()[:1] + "".join(step.options.get("size", ()))
        for word in (
            words[-1],
            *(words[words.index("--also") + 1 :][:1] if "--also" in words else ()),
        ):
            assert replace or not Path(word).exists()
            if self.writes:
                Path(word).write_text(text)


@pytest.fixture
def chain(write, places):
    """Run the chain, with or without changes, and return what the commands were asked."""
    (places.data / "in.txt").write_text("x")

    class Chain:
        out = places.out

        def __init__(self):
            self.commands = Copies()
            self.told: list[tuple[str, str, str]] = []

        def prepared(self, text=CHAIN, sets=(), only=(), start=None):
            recipe = read_recipe(write(text), overrides=sets)
            wired = wire(recipe, self.commands.outputs_of)
            places.out.mkdir(exist_ok=True)
            record = Record.read(places.out)
            planner = Planner(places=places, record=record, neutral=self.commands.neutral)
            return recipe, planner, wired, choose(recipe, wired, only=only, start=start)

        def __call__(self, *args, adopt=False, again=False, **settings):
            recipe, planner, wired, chosen = self.prepared(*args, **settings)
            self.commands.ran.clear()
            self.told.clear()
            self.outcome = run(
                *(planner, wired, chosen, self.commands),
                tell=lambda _n, v: self.told.append((v.wired.step.name, v.action, v.reason)),
                adopt=adopt,
                again=again,
            )
            self.recipe = recipe
            return [name for name, _, _ in self.commands.ran]

        def plan(self, *args, **settings):
            _, planner, wired, chosen = self.prepared(*args, **settings)
            return [v.action for v in plan(planner, wired, chosen).verdicts]

    return Chain()


def test_steps_run_in_order_once(chain):
    assert chain.plan() == ["run", "run", "run"]
    assert chain() == ["a", "b", "c"]
    assert (chain.out / "c.txt").read_text() == "x"
    assert chain.plan() == ["done"] * 3
    assert chain() == []
    assert chain.outcome.ran == 0


def test_a_changed_option_runs_the_step_again_and_says_so(chain):
    chain()
    assert chain.plan(sets=["size=2"]) == ["redo", "redo", "redo"]
    assert chain(sets=["size=2"]) == ["a", "b"]  # b comes out as before, so c is right still
    assert chain.commands.ran[0] == ("a", False, True)
    assert chain.told[0] == ("a", "redo", "the step says --size=2, where it was --size=1")
    assert "deep/a.txt has changed" in chain.told[1][2]
    assert chain.told[2] == ("c", "done", "")


def test_a_changed_input_runs_what_comes_of_it(chain, places):
    chain()
    (places.data / "in.txt").write_text("y")
    assert chain() == ["a", "b", "c"]
    assert (chain.out / "c.txt").read_text() == "y"
    (places.data / "in.txt").write_text("yes")  # other contents, the same first letter
    assert chain() == ["a"]


def test_options_that_decide_nothing_change_nothing(chain):
    chain()
    assert chain(sets=["a.workers=3"]) == []


def test_a_result_that_is_gone_is_made_again_and_the_rest_is_kept(chain):
    chain()
    (chain.out / "b2.txt").unlink()
    assert chain() == ["b"]
    assert chain.commands.ran == [("b", False, True)]


@pytest.mark.parametrize("how", [KeyboardInterrupt(), OutputError("full")])
def test_an_interrupted_step_is_gone_on_with(chain, how):
    chain.commands.fail = how
    with pytest.raises(type(how)):
        chain()
    assert chain.commands.ran == [("a", False, False)]
    chain.commands.fail = None
    assert chain.plan() == ["resume", "run", "run"]
    assert chain() == ["a", "b", "c"]
    assert chain.commands.ran[0] == ("a", True, False)


def test_an_interrupted_step_that_has_changed_starts_anew(chain):
    chain.commands.fail = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        chain()
    chain.commands.fail = None
    chain(sets=["size=2"])
    assert chain.commands.ran[0] == ("a", False, True)
    assert "was interrupted, and the step says --size=2" in chain.told[0][2]


def test_a_file_that_no_run_made_is_neither_replaced_nor_taken(chain):
    chain.out.mkdir()
    (chain.out / "c.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"c\.txt \(step c\) is there, and nothing says how"):
        chain()
    assert chain.commands.ran == []  # nothing began
    assert chain(adopt=True) == ["a", "b"]
    assert (chain.out / "c.txt").read_text() == "mine"
    assert chain() == []


def test_a_result_that_was_changed_by_hand_is_not_replaced(chain):
    chain()
    (chain.out / "c.txt").write_text("better")
    with pytest.raises(OutputError, match=r"c\.txt \(step c\) was changed since it was made"):
        chain(sets=["size=2"])
    assert chain.commands.ran == []
    assert chain(adopt=True) == []
    assert chain() == []


FOLDER = """
[[step]]
name = "f"
run = "folder"
arguments = ["{data}/in.txt"]
output = "{out}/f"
"""


class Folders(Copies):
    """A command that makes a folder, as of a data set."""

    def run(self, step, words, *, resume, replace):
        self.ran.append((step.name, resume, replace))
        folder = Path(words[-1])
        assert replace or not folder.exists()
        folder.mkdir(exist_ok=True)
        for name in ("dataset.json", "index.gpkg", "report.html"):
            (folder / name).write_text(f"{name} of {step.name}")


@pytest.mark.parametrize("name", ["report.html", "index.gpkg"])
def test_a_folder_that_lost_a_file_is_made_again(chain, name):
    chain.commands = Folders()
    assert chain(FOLDER) == ["f"]
    assert chain(FOLDER) == []
    (chain.out / "f" / name).unlink()
    assert chain.plan(FOLDER) == ["redo"]
    assert chain(FOLDER) == ["f"]
    assert chain.told[0][2] == f"{chain.out}/f/{name}, which it made too, is gone"
    assert (chain.out / "f" / name).exists()
    assert chain.plan(FOLDER) == ["done"]
    (chain.out / "f" / name).unlink()
    assert chain(FOLDER, adopt=True) == []


@pytest.mark.parametrize("name", ["dataset.json", "mine.txt"])
def test_a_folder_that_lost_a_file_and_was_changed_is_not_replaced(chain, name):
    chain.commands = Folders()
    chain(FOLDER)
    (chain.out / "f" / "report.html").unlink()
    (chain.out / "f" / name).write_text("mine")
    with pytest.raises(OutputError, match=r"f \(step f\) was changed since it was made"):
        chain(FOLDER)


def test_a_step_that_makes_nothing_is_an_error_and_not_done(chain):
    chain.commands.writes = False
    with pytest.raises(OutputError, match=r"step a made no .*a\.txt"):
        chain()
    assert chain.plan()[0] == "resume"


def test_steps_can_be_chosen(chain):
    assert chain(only=["a"]) == ["a"]
    assert chain(start="b") == ["b", "c"]
    assert [v.action for v in chain.outcome.verdicts] == ["left out", "run", "run"]
    assert chain(only=["b"], again=True) == ["b"]
    with pytest.raises(RecipeError, match="no step is called 'd'; there are a, b, c"):
        chain(only=["d"])


def test_what_is_missing_is_told_unless_a_step_will_make_it(chain, places):
    _, planner, wired, chosen = chain.prepared()
    (places.data / "in.txt").unlink()
    planned = plan(planner, wired, chosen)
    assert missing_inputs(planner, chosen, planned) == [
        f"step a reads {places.data}/in.txt, which is not there"
    ]
    _, planner, wired, chosen = chain.prepared(only=["b"])
    assert missing_inputs(planner, chosen, plan(planner, wired, chosen)) == [
        f"step b reads {places.out}/deep/a.txt, which is not there"
    ]


def test_results_moved_elsewhere_are_done_there(chain, places, tmp_path):
    chain()
    moved = tmp_path / "moved"
    places.out.rename(moved)
    object.__setattr__(places, "out", moved)
    assert Record.read(moved).entries.keys() == {"{out}/deep/a.txt", "{out}/b.txt", "{out}/c.txt"}
    assert chain.plan() == ["done"] * 3


GROUPS = """
[set]
sizes = [1, 2]
[[step]]
name = "first"
run = "copy"
each = { size = "{sizes}" }
arguments = ["{data}/in.txt"]
output = "{out}/maps of {size}/a#b.txt"
options = { size = "{size}" }
[[step]]
name = "last"
run = "copy"
arguments = ["{step.first}"]
output = "{out}/last.txt"
"""


def test_the_page_groups_steps_and_leads_to_what_they_made(chain, places):
    chain(GROUPS)
    html = page(chain.recipe, chain.outcome, (), places)
    assert "<th scope=row>first</th><td>size=1</td><td>run</td>" in html
    assert "<th scope=row></th><td>size=2</td><td>run</td>" in html
    assert "<th scope=row>last</th><td></td>" in html
    assert '<a href="maps%20of%202/a%23b.txt">maps of 2/a#b.txt</a>' in html
    assert "What came out" not in html  # nothing of it can be drawn
    assert str(places.out) not in re.sub(r"(?s)The commands.*?</details>", "", html)
    (places.out / "last.txt").unlink()
    assert 'href="last.txt"' not in page(chain.recipe, chain.outcome, (), places)


def test_the_page_shows_what_lies_beside_and_a_few_pictures_of_a_step(chain, places):
    chain()
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    for name in ("b.curves.png", "b.report.html", "b.qml"):
        Image.fromarray(noise).save(places.out / name, "PNG")
    names = tuple(f"{{out}}/{name}" for name in ("b.curves.png", "b.report.html", "b.qml"))
    chain.outcome.beside["{out}/b.txt"] = names
    html = page(chain.recipe, chain.outcome, (), places)
    assert "<h3>b</h3>" in html
    assert html.count("data:image/jpeg") == 1
    assert '<a href="b.curves.png"><img' in html
    assert '<a href="b.report.html">b.report.html</a>' in html
    assert "b.qml" not in html


EXPECTED = """
[[expected]]
table = "Table <1>"
of = "ours"
score = "mIoU"
published = 0.6
file = "{out}/c.txt"
key = "classes[name=a.b].iou"
headline = true
[[expected]]
of = "ours"
score = "gone"
file = "{out}/c.txt"
key = "classes[name=z].iou"
"""


def test_the_page_shows_the_papers_numbers_beside_ours(chain, places):
    chain(CHAIN + EXPECTED)
    (places.out / "c.txt").write_text('{"classes": [{"name": "a.b", "iou": 0.75}]}')
    lines = compare(chain.recipe.expected, places)
    assert [line.ours for line in lines] == [0.75, None]
    assert lines[0].difference == pytest.approx(0.15)
    html = page(chain.recipe, chain.outcome, lines, places)
    for text in ("Table &lt;1&gt;", "0.600", "0.750", "+0.150", "published: 0.600"):
        assert text in html
    assert "c.txt has no classes[name=z].iou" in html
    made = document(chain.recipe, chain.outcome, lines, places)
    assert made["expected"][0] | {"problem": None} == made["expected"][0]
    assert made["expected"][1]["ours"] is None
    assert [step["action"] for step in made["steps"]] == ["run"] * 3
    assert json.loads((places.out / RECORD).read_text())["version"] == 1


ALONE = """
[[expected]]
table = "Ours"
of = "best"
score = "accuracy"
file = "{out}/c.txt"
key = "accuracy"
headline = true
[[expected]]
table = "Ours"
of = "worst"
score = "accuracy"
file = "{out}/c.txt"
key = "nothing"
headline = true
"""


def test_the_page_leaves_out_columns_and_tiles_that_would_be_empty(chain, places):
    chain(CHAIN + ALONE, sets=["size=2"])
    (places.out / "c.txt").write_text('{"accuracy": 0.75}')
    html = page(chain.recipe, chain.outcome, compare(chain.recipe.expected, places), places)
    assert "accuracy, ours" in html
    assert "difference" not in html
    assert "published:" not in html
    assert "accuracy, best</dt>" in html
    assert "accuracy, worst</dt>" not in html  # its number is missing; the table says so
    assert "This run was made otherwise than the recipe says: size=2." in html
