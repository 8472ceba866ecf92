"""Numbers found in JSON."""

from __future__ import annotations

import pytest

from geoseg.recipe.form import Expected
from geoseg.recipe.results import compare, find

COMMON = {"file": "{out}/s.json", "key": "a", "headline": False, "index": 0}
CONTENT = {"scores": {"miou": 0.5}, "classes": [{"name": "a b", "iou": 1}, {"name": "c", "id": 7}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scores.miou", 0.5),
        ("classes[name=a b].iou", 1),
        ("classes[id=7].name", "c"),
        ("classes[-1].id", 7),
        ("classes[0].iou", 1),
    ],
)
def test_a_key_leads_to_its_number(key, value):
    assert find(CONTENT, key) == value


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("score.miou", "no score"),
        ("scores.miou.x", "no x"),
        ("classes[name=d].iou", r"no \[name=d\]"),
        ("classes[9]", r"no \[9\]"),
        ("scores[0]", r"no \[0\]"),
        ("scores..miou", "cannot be read"),
        ("classes[", "cannot be read"),
    ],
)
def test_a_key_that_leads_nowhere_says_where_it_ends(key, words):
    with pytest.raises(LookupError, match=words):
        find(CONTENT, key)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "s.json is not there"),
        ("{", "s.json is no JSON"),
        ('{"a": "x"}', "a of s.json is no number"),
        ('{"a": true}', "a of s.json is no number"),
        ('{"a": null}', "a of s.json is not defined"),
        ('{"b": 1}', "s.json has no a (no a)"),
    ],
)
def test_a_number_that_is_not_there_says_why(places, text, problem):
    places.out.mkdir()
    if text is not None:
        (places.out / "s.json").write_text(text)
    one = Expected(table="", of="", score="", published=0.5, **COMMON)
    (line,) = compare([one], places)
    assert (line.ours, line.difference, line.problem) == (None, None, problem)
