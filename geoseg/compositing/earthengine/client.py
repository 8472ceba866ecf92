"""The client and how it is asked: credentials, repeated requests, errors in words.

Decides by the status of an answer, never by its text. The client keeps the answer's status only in
the exception that led to its own, which is where it is looked for.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import ee
import google.auth.exceptions
import googleapiclient.errors
import httplib2
import requests
from google.auth.credentials import AnonymousCredentials

from geoseg.errors import EarthEngineError

__all__ = ["URL_VARIABLE", "Asker", "Patience", "RefusedError", "connect"]

T = TypeVar("T")

URL_VARIABLE = "GEOSEG_EARTHENGINE_URL"
"""Environment variable that names another server; it is asked without credentials."""

_DEADLINE_MS = 360_000
"""Google's own limit of an answer is five minutes."""
_ANONYMOUS_PROJECT = "geoseg-anonymous"
_HOW = "run “earthengine authenticate” once, and name your Cloud project with --project"
_TALKATIVE = ("googleapiclient", "google_auth_httplib2", "urllib3")
"""Loggers that warn of failures which are repeated, or told in an error."""
_LONGEST = 300
"""Characters of a server's message that are shown."""


class RefusedError(EarthEngineError):
    """The server calls what was asked impossible (status 400): it is too much, or wrong."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a failing request is repeated, and after which time."""

    tries: int = 10
    """Requests in all."""
    first: float = 1.0
    """Seconds before the second; doubled each time, and shortened by up to half at random."""
    most: float = 60.0
    """Seconds that a wait does not exceed."""

    def wait(self, failures: int, asked: float | None) -> float:
        """Return seconds to wait after some failures; the server may ask for more."""
        jitter = 0.5 + random.random() / 2  # two that failed together shall not come back together
        own = min(self.most, self.first * 2.0 ** (failures - 1)) * jitter
        return own if asked is None else min(self.most, max(own, asked))


class Asker:
    """Asks the server, patiently; several threads may.

    Parameters
    ----------
    patience
        How often to repeat.

    Attributes
    ----------
    stop
        Ends all waiting when it is set.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self.stop = threading.Event()
        self._count = 0
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """How many requests were made, the failed ones included."""
        return self._count

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """Return what a call of the client returns; repeat it while its failure may pass.

        Parameters
        ----------
        what
            What is asked for, in the words of errors.
        call
            Asks once. ValueError means an answer that makes no sense.

        Raises
        ------
        RefusedError
            Status 400.
        EarthEngineError
            Any other refusal, or too many failures.
        """
        failures = 0
        while True:
            if self.stop.is_set():
                raise EarthEngineError(f"{what}: given up, because another request failed")
            with self._lock:
                self._count += 1
            try:
                return call()
            except _CAUGHT as error:
                failure = _Failure.of(error)
            failures += 1
            if not failure.may_pass:
                raise failure.error(what)
            if failures >= self.patience.tries:
                raise EarthEngineError(
                    f"Earth Engine gave no answer to {what} in {failures} tries, the last time: "
                    f"{failure.words}; try again later, or with fewer --workers"
                )
            self.stop.wait(self.patience.wait(failures, failure.asked_wait))


def connect(*, project: str | None, url: str | None, asker: Asker) -> None:
    """Make the client ready.

    Parameters
    ----------
    project
        Google Cloud project that requests are counted for; None for the credentials' own.
    url
        Another server, which is asked without credentials; None for the one that the environment
        variable `URL_VARIABLE` names, or Google's.
    asker
        Asks.

    Raises
    ------
    EarthEngineError
        There are no credentials or no project, they are not accepted, or the server is away.
    """
    url = (url or os.environ.get(URL_VARIABLE) or "").rstrip("/") or None
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    ee.data.setMaxRetries(0)  # the asker repeats, and knows when to stop
    if url is not None:
        # Who asks another server shall not ask Google's for its list of deprecated assets.
        ee.deprecation.InitializeDeprecatedAssets = _nothing
    credentials = _anonymous() if url is not None else _credentials()
    place = f"the server {url}" if url is not None else "Google’s server"

    def initialise() -> None:
        ee.Initialize(
            credentials,
            url=url,
            project=project or (_ANONYMOUS_PROJECT if url is not None else None),
        )

    asker.ask(f"a connection to {place}", initialise)
    asker.ask(f"a connection to {place}", lambda: ee.data.setDeadline(_DEADLINE_MS))


def _nothing() -> None:
    pass


def _anonymous() -> Any:
    return AnonymousCredentials()  # type: ignore[no-untyped-call]


def _credentials() -> Any:
    """Credentials of this user, by the client's own ways."""
    try:
        return ee.data.get_persistent_credentials()
    except ee.EEException as error:
        raise EarthEngineError(
            "Earth Engine needs to know who asks, and no credentials were found: " + _HOW
        ) from error
    except google.auth.exceptions.GoogleAuthError as error:
        raise EarthEngineError(
            f"the credentials for Earth Engine cannot be used ({_short(error)}): {_HOW}"
        ) from error


_CAUGHT = (
    ee.EEException,
    googleapiclient.errors.Error,
    google.auth.exceptions.GoogleAuthError,
    httplib2.HttpLib2Error,
    requests.RequestException,
    OSError,  # connections
    ValueError,  # bytes that are no answer
)


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """What a failed request tells."""

    words: str
    """The server's, on one line."""
    status: int | None
    """Of the answer; None where there was none."""
    may_pass: bool
    """Whether the same request may succeed later."""
    is_unknown_user: bool = False
    """Whether credentials are to blame."""
    asked_wait: float | None = None
    """Seconds that the server asks to wait."""

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        words = _short(error)
        answer = error if isinstance(error, googleapiclient.errors.HttpError) else None
        if answer is None and isinstance(error.__context__, googleapiclient.errors.HttpError):
            answer = error.__context__
        if answer is not None:
            status = int(answer.resp.status)
            return cls(
                words=f"{words} (status {status})",
                status=status,
                may_pass=status in (408, 429) or status >= 500,
                is_unknown_user=status in (401, 403),
                asked_wait=_seconds(answer.resp.get("retry-after")),
            )
        if isinstance(error, google.auth.exceptions.TransportError):
            return cls(words=words, status=None, may_pass=True)
        if isinstance(error, google.auth.exceptions.GoogleAuthError):
            return cls(words=words, status=None, may_pass=False, is_unknown_user=True)
        # What is left of the client's own comes before any request: no project, say.
        mine = isinstance(error, ee.EEException)
        return cls(words=words, status=None, may_pass=not mine, is_unknown_user=mine)

    def error(self, what: str) -> EarthEngineError:
        """Return the error of a failure that does not pass."""
        if self.is_unknown_user:
            return EarthEngineError(f"Earth Engine does not let you in ({self.words}): {_HOW}")
        kind = RefusedError if self.status == 400 else EarthEngineError
        return kind(f"Earth Engine refuses {what}: {self.words}")


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _short(error: Exception) -> str:
    """Put an exception's words on one line."""
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
