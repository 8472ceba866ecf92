"""Patience, and who is let in."""

from __future__ import annotations

import ee
import google.auth.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.compositing.earthengine import client
from geoseg.compositing.earthengine.client import Asker, Patience, RefusedError, connect
from geoseg.errors import EarthEngineError


@given(st.integers(1, 200), st.one_of(st.none(), st.floats(0, 1e6)))
def test_a_wait_doubles_up_to_the_most_and_never_falls_below_half(failures, asked):
    patience = Patience(first=1.0, most=60.0)
    wait = patience.wait(failures, asked)
    least = min(60.0, 2.0 ** (failures - 1)) / 2
    assert least <= wait <= 60.0
    if asked is not None:
        assert wait >= min(asked, 60.0)


def failing(error, times):
    left = [times]

    def call():
        if left[0]:
            left[0] -= 1
            raise error
        return "answer"

    return call


def test_an_answer_that_makes_no_sense_is_asked_for_again():
    asker = Asker(Patience(tries=3, first=0.001))
    assert asker.ask("something", failing(ValueError("no array"), 2)) == "answer"
    with pytest.raises(EarthEngineError, match=r"something in 3 tries, .*no array"):
        asker.ask("something", failing(ValueError("no array"), 3))


@pytest.mark.parametrize(
    "error",
    [
        google.auth.exceptions.RefreshError("expired"),
        google.auth.exceptions.InvalidOperation("anonymous"),  # a ValueError too
        ee.EEException("no project found"),
    ],
)
def test_who_is_unknown_is_not_tried_again(error):
    asker = Asker(Patience(tries=3, first=0.001))
    call = failing(error, 1)
    with pytest.raises(EarthEngineError, match=r"let you in .*earthengine authenticate.*--project"):
        asker.ask("something", call)
    assert call() == "answer"  # it was called once


def test_an_error_of_geosegs_own_passes_through():
    with pytest.raises(RefusedError):
        Asker().ask("something", failing(RefusedError("x"), 1))


def test_a_stopped_asker_asks_nothing():
    asker = Asker()
    asker.stop.set()
    with pytest.raises(EarthEngineError, match="given up"):
        asker.ask("something", lambda: pytest.fail("asked"))


def test_without_credentials_one_line_says_what_to_do(monkeypatch):
    def nobody():
        raise ee.EEException("Please authorize access\n\nearthengine authenticate\n")

    monkeypatch.delenv(client.URL_VARIABLE, raising=False)
    monkeypatch.setattr(ee.data, "get_persistent_credentials", nobody)
    with pytest.raises(EarthEngineError, match=r"earthengine authenticate.*--project") as caught:
        connect(project=None, url=None, asker=Asker())
    assert "\n" not in str(caught.value)


def test_another_server_may_be_named_by_the_environment(url, asker, monkeypatch):
    monkeypatch.setenv(client.URL_VARIABLE, f"{url}/")
    connect(project="some-project", url=None, asker=asker)
    assert ee.ImageCollection("LANDSAT/LC08/C02/T1_L2").first().bandNames().getInfo()
