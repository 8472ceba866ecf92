"""Learning rates over a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.training.schedule import make_schedule, names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("linear(to=0.1)", [1, 0.775, 0.55, 0.325, 0.1]),
        ("cosine", [1, 0.853553, 0.5, 0.146447, 0]),
        ("cosine(to=0.5)", [1, 0.926777, 0.75, 0.573223, 0.5]),
        ("step(every=5,factor=0.1)", [1, 1, 0.1, 0.1, 0.01]),
        ("constant(warmup=5)", [0, 0.5, 1, 1, 1]),
        ("linear(warmup=5)", [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_a_schedule_passes_through_known_points(text: str, wanted: list[float]) -> None:
    schedule = make_schedule(text)
    assert [schedule(e, 10) for e in (0, 2.5, 5, 7.5, 10)] == pytest.approx(wanted, abs=1e-6)


@given(
    name=st.sampled_from(names()),
    warmup=st.floats(0, 20),
    epochs=st.integers(1, 15),
    share=st.floats(0, 1),
)
def test_a_factor_is_always_between_nothing_and_one(
    name: str, warmup: float, epochs: int, share: float
) -> None:
    factor = make_schedule(f"{name}(warmup={warmup:f})")(share * epochs, epochs)
    assert 0 <= factor <= 1


@pytest.mark.parametrize(
    "text", ["cosinus", "linear(to=2)", "step(every=0)", "cosine(warmup=-1)", "linear(by=3)", "a b"]
)
def test_a_schedule_without_meaning_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        make_schedule(text)
