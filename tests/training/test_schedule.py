"""Learning rates over a run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.training.schedule import Place, make_schedule, names


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
        ("cyclical(length=5,low=0.2)", [0.2, 1, 0.2, 1, 0.2]),
        ("cyclical(length=5,low=0.2,shape=saw)", [1, 0.6, 1, 0.6, 1]),
        ("plateau", [1, 1, 1, 1, 1]),
    ],
)
def test_a_schedule_passes_through_known_points(text: str, wanted: list[float]) -> None:
    schedule = make_schedule(text)
    places = [Place(epoch, 10) for epoch in (0, 2.5, 5, 7.5, 10)]
    assert [schedule(place) for place in places] == pytest.approx(wanted, abs=1e-6)


def test_the_alpine_systems_rates_are_two_steps() -> None:
    schedule = make_schedule("step(every=25, factor=0.1)")
    assert [1e-3 * schedule(Place(epoch, 50)) for epoch in (0, 24.99, 25, 49)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4]
    )


def test_a_plateau_lowers_the_rate_after_too_many_epochs_without_a_lower_loss() -> None:
    schedule = make_schedule("plateau(patience=2, factor=0.5, threshold=0)")
    losses = (5.0, 4.0, 4.0, 4.1, 4.2, 3.0, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5)
    factors = [schedule(Place(n, 20, losses[:n])) for n in range(len(losses) + 1)]
    assert factors == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


def test_a_plateau_passes_over_epochs_that_were_not_scored() -> None:
    schedule = make_schedule("plateau(patience=1)")
    assert schedule(Place(6, 20, (math.nan, 5.0, 4.0, 3.0, 2.0, 1.0))) == 1
    assert schedule(Place(6, 20, (5.0, math.nan, 5.0, math.nan, 5.0))) == 0.1


def test_a_plateau_has_a_least_rate_and_a_threshold() -> None:
    flat = (1.0,) * 10
    assert make_schedule("plateau(patience=0, factor=0.1, least=0.01)")(Place(10, 20, flat)) == 0.01
    # Falling by a thousandth each time is not falling where a hundredth is asked for.
    slowly = tuple(0.999**n for n in range(4))
    assert make_schedule("plateau(patience=2, threshold=0.01)")(Place(4, 20, slowly)) == 0.1
    assert make_schedule("plateau(patience=2, threshold=0)")(Place(4, 20, slowly)) == 1


@given(
    name=st.sampled_from([n for n in names() if n not in {"cyclical", "plateau"}]),
    warmup=st.floats(0, 20),
    epochs=st.integers(1, 15),
    share=st.floats(0, 1),
)
def test_a_factor_is_always_between_nothing_and_one(
    name: str, warmup: float, epochs: int, share: float
) -> None:
    factor = make_schedule(f"{name}(warmup={warmup:f})")(Place(share * epochs, epochs))
    assert 0 <= factor <= 1


@pytest.mark.parametrize(
    "text",
    [
        "cosinus",
        "linear(to=2)",
        "step(every=0)",
        "cosine(warmup=-1)",
        "linear(by=3)",
        "a b",
        "cyclical(shape=round)",
        "plateau(factor=2)",
    ],
)
def test_a_schedule_without_meaning_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        make_schedule(text)
