"""Things by name."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from geoseg.errors import ModelError, OptionError
from geoseg.registry import Registry


def registry() -> Registry[Callable[..., int]]:
    return Registry("number", {"answer": "nowhere.to.be.found"}, given=("base",), error=ModelError)


def test_names_import_nothing() -> None:
    made = registry()
    made.register("one")(lambda base: base + 1)
    assert made.names() == ("answer", "one")
    assert "nowhere" not in sys.modules


def test_an_unknown_name_lists_what_there_is_and_guesses() -> None:
    with pytest.raises(ModelError, match=r"did you mean 'answer'\?\); there are: answer"):
        registry().maker("anwser")


def test_a_name_can_be_taken_only_once() -> None:
    made = registry()

    def first(base: int) -> int:
        return base

    def second(base: int) -> int:
        return base

    made.register("one")(first)
    made.register("one")(first)  # the same again, as when a module is loaded twice
    with pytest.raises(OptionError, match="there twice"):
        made.register("one")(second)


def test_options_are_checked_by_name() -> None:
    made = registry()

    @made.register("scaled")
    def scaled(base: int, factor: int, offset: int = 0) -> int:
        return base * factor + offset

    made.check_options("scaled", {"factor": 2})
    with pytest.raises(OptionError, match="has no option 'factr'; it has: factor, offset"):
        made.check_options("scaled", {"factr": 2})
    with pytest.raises(OptionError, match="needs its option 'factor'"):
        made.check_options("scaled", {})


def with_family() -> Registry[Callable[..., int]]:
    made: Registry[Callable[..., int]] = Registry(
        "number", {"one": "none"}, families={"times:<factor>": "json"}, error=ModelError
    )

    @made.register_family("times")
    def times(member: str) -> Callable[..., int]:
        if not member.isdigit():
            raise ModelError(f"{member!r} is no factor")

        def scaled(*, base: int, offset: int = 0) -> int:
            return base * int(member) + offset

        return scaled

    return made


def test_a_family_makes_what_stands_behind_its_colon() -> None:
    made = with_family()
    assert made.maker("times:3")(base=5) == 15
    assert made.maker("times:4")(base=5, offset=1) == 21
    made.check_options("times:3", {"base": 1, "offset": 2})
    with pytest.raises(ModelError, match="'x' is no factor"):
        made.maker("times:x")


def test_a_family_is_listed_by_its_pattern_and_not_among_the_names() -> None:
    made = with_family()
    assert made.names() == ("one",)
    assert made.patterns() == ("times:<factor>",)
    with pytest.raises(ModelError, match="there are: one, times:<factor>"):
        made.maker("plus:3")


def test_a_registry_without_families_takes_a_colon_for_a_letter() -> None:
    with pytest.raises(ModelError, match="no number is called ':'"):
        registry().maker(":")
