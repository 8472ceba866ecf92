"""What steps read and make."""

from __future__ import annotations

import pytest

from geoseg.errors import RecipeError
from geoseg.recipe.reading import read_recipe
from geoseg.recipe.wiring import wire

CUT = "[[step]]\nrun='tile'\narguments=['{data}/a.tif']\noutput='{out}/patches'\n"


def outputs_of(run):
    return {"confidence"} if run == "predict" else set()


def wired(path):
    return wire(read_recipe(path), outputs_of)


def test_options_that_name_outputs_are_made_and_others_read(write):
    text = CUT + (
        "[[step]]\nrun='predict'\nname='p'\narguments=['{data}/a.tif']\noutput='{out}/m.tif'\n"
        "needs=['{recipe}/n.csv']\n"
        "options={ model='{out}/patches/x', confidence='{out}/c.tif', tile=3 }\n"
        "[[step]]\nrun='tile'\narguments=['{out}/m.*', '{out}/c.tif', '{out}/m.report.json']\n"
        "output='{out}/again'\n"
    )
    first, second, third = wired(write(text))
    assert (first.inputs, first.makes) == (("{data}/a.tif",), ("{out}/patches",))
    assert second.inputs == ("{data}/a.tif", "{out}/patches/x", "{recipe}/n.csv")
    assert second.makes == ("{out}/m.tif", "{out}/c.tif")
    assert third.inputs == ("{out}/m.*", "{out}/c.tif", "{out}/m.report.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            CUT + "[[step]]\nrun='train'\narguments=['{out}/pathces']\noutput='{out}/m'",
            "line 7: no earlier step makes '{out}/pathces'; did you mean '{out}/patches'",
        ),
        (
            "[[step]]\nrun='train'\narguments=['{out}/patches']\noutput='{out}/m'\n" + CUT,
            "line 3: no earlier step makes",
        ),
        (CUT.replace("{out}", "{data}"), r"line 4: '{data}/patches' is written: let it begin"),
        (CUT.replace("{out}/", "{out}/../"), "line 4: .* is written: let it begin"),
        (CUT + CUT, "line 8: '{out}/patches' is made by another step"),
        (CUT + "each = { a = [1, 2] }", "line 4: .* by another step .for each: name a value"),
        (
            CUT + "[[expected]]\nof='a'\nscore='b'\nkey='c'\nfile='{out}/s.json'",
            "line 9: no step makes '{out}/s.json'",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_line(write, text, words):
    with pytest.raises(RecipeError, match=words):
        wired(write(text))
