"""How two runs differ, in the words of options."""

from __future__ import annotations

import pytest

from geoseg.compositing.earthengine.planned import differences

PLAN = {
    "format": 1,
    "--bands": "blue,red",
    "--earth-engine": "A/B",
    "--labels-collection": None,
    "--request-size": 1024,
    "grid": "71 × 54 px of 30 × 30, EPSG:32633, from 499980.0, 5500110.0",
    "transform": [30.0, 0.0, 499980.0, 0.0, -30.0, 5500110.0],
    "region": "7d3a",
    "images": {"A/B": 3},
    "names of images": ["e2d4"],
    "layers": {"composite": "e2d4e6b1"},
}
CONSEQUENCES = {"layers": {"composite": "a2f5"}, "names of images": ["b3b3"]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"--bands": "red"} | CONSEQUENCES, ["--bands: blue,red then, red now"]),
        (
            {"--request-size": 32, "--labels-collection": "C/D"},
            ["--labels-collection: nothing then, C/D now", "--request-size: 1024 then, 32 now"],
        ),
        (
            {"--earth-engine": "E/F", "images": {"E/F": 9}} | CONSEQUENCES,
            ["--earth-engine: A/B then, E/F now"],
        ),
        (
            {"grid": "9 × 9 px of 30 × 30, EPSG:32633, from 0.0, 0.0", "transform": [1]},
            [f"grid: {PLAN['grid']} then, 9 × 9 px of 30 × 30, EPSG:32633, from 0.0, 0.0 now"],
        ),
        ({"transform": [30.0, 1.0]}, ["grid: its pixels are not the same"]),
        ({"region": "other"}, ["--region: its polygons are not the same"]),
        ({"images": {"A/B": 4}} | CONSEQUENCES, ["images: 3 of A/B then, 4 of A/B now"]),
        (CONSEQUENCES, ["images: as many, but not the same ones"]),
    ],
)
def test_differences_are_told_as_options_without_what_follows_from_them(change, told):
    assert differences(PLAN, PLAN | change) == told


def test_another_release_is_told_where_nothing_else_differs():
    (told,) = differences(PLAN, PLAN | {"layers": {"composite": "a2f5"}})
    assert told.startswith("what is computed: another release")
    assert "a2f5" not in told


def test_a_plan_of_before_an_option_was_there_is_the_same_without_it():
    before = {name: value for name, value in PLAN.items() if name != "--labels-collection"}
    assert differences(before, PLAN) == []
