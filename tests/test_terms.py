"""The small language of options."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.terms import Call, Term, Value, number, parse_call, parse_list, parse_sum, parse_value


def test_a_sum_of_scaled_calls_with_arguments_is_read() -> None:
    terms = parse_sum("0.5*ce + 0.5*lovasz-softmax(gamma=2)", option="--loss")
    assert terms == (Term(0.5, Call("ce")), Term(0.5, Call("lovasz-softmax", {"gamma": 2})))


@pytest.mark.parametrize("text", ["a+2*b", "a +2*b", "a+ 2 * b", " a + 2* b ", "1*a + 2.0*b"])
def test_spaces_do_not_matter_in_a_sum(text: str) -> None:
    assert parse_sum(text, option="--loss") == (Term(1, Call("a")), Term(2, Call("b")))


def test_values_are_numbers_truths_words_and_lists() -> None:
    call = parse_call("f(a=1, b=-2.5e-1, c=true, d=per-image, e=[1, [2]], f=[])", option="--x")
    assert dict(call.arguments) == {
        "a": 1,
        "b": -0.25,
        "c": True,
        "d": "per-image",
        "e": (1, (2,)),
        "f": (),
    }


def test_a_list_of_calls_is_read_and_none_is_empty() -> None:
    assert parse_list("flips,rot90, noise(sigma=0.1)", option="--augment") == (
        Call("flips"),
        Call("rot90"),
        Call("noise", {"sigma": 0.1}),
    )
    assert parse_list("none", option="--augment") == parse_list("", option="--augment") == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a name is missing at the end"),
        ("ce +", "a name is missing at the end"),
        ("ce ce", "'ce' makes no sense there"),
        ("0.5 ce", "'*' is missing before 'ce'"),
        ("0*ce", "above 0"),
        ("-1*ce", "above 0"),
        ("ce(", "an argument's name is missing at the end"),
        ("ce(a)", "'=' is missing before ')'"),
        ("ce(a=)", "a value is missing before ')'"),
        ("ce(a=1,a=2)", "'a' is given twice"),
        ("ce(a=[1)", "']' is missing before ')'"),
        ("ce(a=1", "')' is missing at the end"),
        ("__import__('os')", "cannot read"),
        ("1e999*ce", "above 0"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_sum(text, option="--loss")
    message = str(caught.value)
    assert message.startswith("--loss ")
    assert complaint in message
    assert "\n" not in message


values: st.SearchStrategy[Value] = st.recursive(
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(-1e9, 1e9, allow_nan=False).filter(math.isfinite)
    | st.from_regex(r"[a-z]{2,6}(-[a-z0-9]{1,3})?", fullmatch=True).filter(
        lambda w: w not in {"true", "false"}
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
names = st.from_regex(r"[a-z][a-z0-9]{0,5}([-_][a-z0-9]{1,4})?", fullmatch=True)


@given(st.lists(st.tuples(names, st.dictionaries(names, values, max_size=3)), min_size=1))
def test_what_a_call_prints_as_is_read_back(calls: list[tuple[str, dict[str, Value]]]) -> None:
    made = tuple(Call(name, arguments) for name, arguments in calls)
    text = ", ".join(map(str, made))
    if text != "none":
        assert parse_list(text, option="--x") == made


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    for parse in (parse_call, parse_list, parse_sum):
        with contextlib.suppress(OptionError):
            parse(text, option="--x")


def test_arguments_of_the_command_line_are_read_by_their_looks() -> None:
    assert parse_value("24,48,96") == (24, 48, 96)
    assert parse_value("0.5") == 0.5
    assert parse_value("false") is False
    assert parse_value("bilinear") == "bilinear"
    assert parse_value("64,") == (64,)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, -1, 3])
def test_a_number_out_of_place_is_refused(value: object) -> None:
    with pytest.raises(OptionError, match="alpha must be"):
        number("alpha", value, minimum=0, maximum=2)
