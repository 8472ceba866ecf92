"""What a collection says of its classes is somebody's text."""

from __future__ import annotations

from typing import Any

import ee
import pytest

from geoseg.compositing.earthengine.labels import LabelSource, _names


def told(values: list[Any], names: list[Any], palette: list[Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"b_class_values": values, "b_class_names": names}
    return found if palette is None else found | {"b_class_palette": palette}


def test_values_names_and_colours_are_taken_as_told() -> None:
    found = _names(told([1, 5.0], ["Corn", " Soy\nbeans "], ["ffd300", "#267000"]), "b")
    assert found == ((1, "Corn", "#ffd300"), (5, "Soy beans", "#267000"))


@pytest.mark.parametrize("color", ["red", "fff", "rgb(1,2,3)", 7, None])
def test_a_colour_that_is_none_is_left_to_the_palette(color: Any) -> None:
    assert _names(told([1], ["Corn"], [color]), "b") == ((1, "Corn", None),)


@pytest.mark.parametrize("value", ["x", "1", None, 1.5, float("nan"), float("inf"), True, [1]])
def test_a_value_that_is_no_whole_number_is_passed_over(value: Any) -> None:
    assert _names(told([value, 2], ["odd", "Rice"]), "b") == ((2, "Rice", None),)


def test_lists_of_other_lengths_say_nothing() -> None:
    assert _names(told([1, 2], ["Corn"]), "b") == ()


def test_names_that_come_twice_get_their_values() -> None:
    source = LabelSource(
        id="CDL", band="b", image=ee, names=((65, "Barren", None), (131, "Barren", "#ccbfa3"))
    )
    legend = source.legend([131, 65, 7])
    assert legend is not None
    assert legend.names == ("class 7", "Barren", "Barren (131)")
