"""Requests that are repeated one by one, whatever sends them."""

from __future__ import annotations

import json
import threading
import time

import ee
import google_auth_httplib2
import pytest
from earthengine_server import Fault
from earthengine_world import LC08
from google.oauth2.credentials import Credentials

from geoseg.compositing.earthengine import patience
from geoseg.compositing.earthengine.client import Asker, Patience, RefusedError, connect
from geoseg.compositing.earthengine.transport import Transport
from geoseg.errors import EarthEngineError


def quick(**more):
    return Asker(Patience(**({"tries": 4, "first": 0.001} | more)))


def pause_without_end(monkeypatch, asker):
    """Note waits in place of waiting."""
    waits = []
    monkeypatch.setattr(asker.stop, "wait", waits.append)
    return waits


FAULTS = [
    Fault(503),
    Fault(500, body=b"<html>oops</html>"),
    Fault(429, "Too many requests."),
    Fault(408),
    Fault(drop=True),
    Fault(200, body=b"garbage"),
    Fault(200, body=b""),
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_every_third_request_may_fail_from_the_first_on(world, url, fault, failing):
    world.fault = lambda _, number: fault if number % 3 == failing else None
    asker = quick()
    connect(project=None, url=url, asker=asker)
    names = ee.ImageCollection(LC08).aggregate_array("system:index")
    assert len(asker.ask("names", names.getInfo)) == 5
    assert asker.ask("an asset", lambda: ee.data.getAsset(LC08))["id"] == LC08
    assert asker.requests == world.requests


def test_each_request_has_its_own_number_of_tries(world, url):
    seen = {}

    def twice(path, _):
        seen[path] = seen.get(path, 0) + 1
        return Fault(503) if seen[path] <= 2 else None

    world.fault = twice
    connect(project=None, url=url, asker=quick(tries=3))
    world.fault = lambda *_: Fault(503)
    with pytest.raises(EarthEngineError, match=r"no answer to a connection .* in 3 tries"):
        connect(project=None, url=url, asker=quick(tries=3))


def test_a_failure_is_not_repeated_twice_over(world, url):
    asker = quick(tries=3)
    connect(project=None, url=url, asker=asker)
    before = world.requests
    world.fault = lambda *_: Fault(503)
    with pytest.raises(EarthEngineError, match=r"no answer to it in 3 tries, .*\(status 503\)"):
        asker.ask("it", lambda: ee.data.getAsset(LC08))
    assert world.requests - before == 3


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, r"refuses an asset: Wrong \(status 400\)$"),
        (404, r"refuses an asset: Wrong \(status 404\)$"),
        (403, r"does not let you in \(Wrong, 403\): run “earthengine authenticate”"),
    ],
)
def test_a_refusal_is_asked_for_once_and_has_the_servers_words_alone(world, url, status, words):
    asker = quick()
    connect(project=None, url=url, asker=asker)
    before = world.requests
    world.fault = lambda *_: Fault(status, "Wrong.")
    with pytest.raises(EarthEngineError, match=words) as caught:
        asker.ask("an asset", lambda: ee.data.getAsset(LC08))
    assert isinstance(caught.value, RefusedError) == (status == 400)
    assert world.requests - before == 1


def test_a_refusal_while_connecting_has_the_servers_words_alone(world, url):
    world.fault = lambda *_: Fault(403, "Caller has no permission.")
    with pytest.raises(EarthEngineError) as caught:
        connect(project=None, url=url, asker=quick())
    assert str(caught.value).startswith(
        "Earth Engine does not let you in (Caller has no permission, 403): run"
    )
    assert "http" not in str(caught.value)


def test_a_server_that_is_not_there_is_given_up_sooner(monkeypatch):
    asker = Asker()
    waits = pause_without_end(monkeypatch, asker)
    with pytest.raises(EarthEngineError) as caught:
        connect(project=None, url="http://127.0.0.1:9", asker=asker)
    assert len(waits) == 3
    assert sum(waits) <= 7
    text = str(caught.value)
    assert "the server http://127.0.0.1:9 in 4 tries, the last time: Connection refused; " in text
    assert "online" in text
    assert "HTTPConnectionPool" not in text


def test_a_server_that_was_there_is_waited_for(monkeypatch):
    asker = Asker()
    asker.answered()
    waits = pause_without_end(monkeypatch, asker)
    with pytest.raises(EarthEngineError, match="in 10 tries"):
        Transport(asker, "http://127.0.0.1:9").request("http://127.0.0.1:9/x")
    assert len(waits) == 9
    assert sum(waits) > 60


def test_the_server_may_say_how_long_to_wait(world, url, monkeypatch):
    asker = Asker(Patience(tries=2, first=0.001))
    waits = pause_without_end(monkeypatch, asker)
    world.fault = lambda *_: Fault(429, headers={"Retry-After": "7"})
    with pytest.raises(EarthEngineError, match="in 2 tries"):
        Transport(asker, url).request(f"{url}/x")
    assert waits == [7.0]


@pytest.mark.parametrize("address", ["nonsense", "ftp://a.b", "http://"])
def test_an_address_that_is_none_is_told_at_once(address):
    asker = quick()
    with pytest.raises(EarthEngineError, match="is no address of a server"):
        connect(project=None, url=address, asker=asker)
    assert asker.requests == 1


def test_who_stops_waits_no_longer(world, url):
    world.fault = lambda *_: Fault(503)
    asker = Asker(Patience(first=50))
    threading.Timer(0.2, asker.stop.set).start()
    before = time.monotonic()
    with pytest.raises(EarthEngineError, match="given up"):
        Transport(asker, url).request(f"{url}/x")
    assert time.monotonic() - before < 20
    assert world.requests == 1


# -- who waits is told -----------------------------------------------------------------------------


def told_of(monkeypatch, failures, **more):
    """What is told of failures of one step."""
    told = []
    asker = Asker(Patience(tries=99, **more), told=told.append)
    pause_without_end(monkeypatch, asker)
    failure = patience.Failure(words="long words", brief="503")
    for number in range(1, failures + 1):
        asker.failed(failure, number, time.monotonic())
    return told


def test_a_short_wait_is_not_told(monkeypatch):
    assert told_of(monkeypatch, 9, first=4.0, most=4.0) == []


def test_a_long_wait_is_told_once_and_says_why(monkeypatch):
    (told,) = told_of(monkeypatch, 9, first=5.0, most=60.0)
    assert told.startswith("no answer from Earth Engine (503), trying again in ")
    assert 5 <= int(told.split()[-2]) <= 20
    assert told.endswith(" s")


def test_each_step_is_told_once_and_again_after_long(monkeypatch):
    told = []
    asker = Asker(Patience(tries=99, first=60), told=told.append)
    pause_without_end(monkeypatch, asker)
    failure = patience.Failure(words="x", brief="503")

    def twice_failing():
        for number in (1, 2):
            asker.failed(failure, number, time.monotonic())

    for what, step in (("a", "windows"), ("b", "windows"), ("c", None)):
        asker.ask(what, twice_failing, step=step)
    assert len(told) == 2
    monkeypatch.setattr(patience, "_AGAIN", 0.0)
    asker.ask("d", twice_failing, step="windows")
    assert len(told) == 4


def test_short_waits_are_told_when_they_have_become_long(monkeypatch):
    told = []
    asker = Asker(Patience(first=0.1), told=told.append)
    pause_without_end(monkeypatch, asker)
    asker.failed(patience.Failure(words="x", brief="timed out"), 1, time.monotonic() - 60)
    assert told == ["no answer from Earth Engine (timed out), trying again in 1 s"]


# -- tokens ----------------------------------------------------------------------------------------


def authorised(url, asker):
    """Requests with credentials that have to be fetched first."""
    given = {"refresh_token": "r", "token_uri": f"{url}/token", "client_id": "i"}
    credentials = Credentials(None, client_secret="s", **given)
    return google_auth_httplib2.AuthorizedHttp(credentials, http=Transport(asker, url))


def test_a_request_for_a_token_is_repeated_too(world, url):
    token = Fault(200, body=json.dumps({"access_token": "t", "expires_in": 3600}).encode())
    seen = []

    def fault(path, _):
        seen.append(path)
        if path == "/token":
            return Fault(503) if len(seen) < 3 else token
        return Fault(200, body=b"{}")

    world.fault = fault
    response, content = authorised(url, quick()).request(f"{url}/x")
    assert (response.status, content) == (200, b"{}")
    assert seen == ["/token", "/token", "/token", "/x"]


def test_a_token_that_is_refused_is_told_in_words(world, url):
    answer = {"error": "invalid_grant", "error_description": "Token has been revoked."}
    world.fault = lambda *_: Fault(400, body=json.dumps(answer).encode())
    asker = quick()
    with pytest.raises(EarthEngineError) as caught:
        asker.ask("it", lambda: authorised(url, asker).request(f"{url}/x"))
    assert str(caught.value).startswith(
        "Earth Engine does not let you in (invalid_grant: Token has been revoked): run"
    )
    assert world.requests == 1
