"""How Earth Engine is asked: patiently, and with errors in words.

Decides by the status of an answer, never by its text. Requests that fail are repeated one by one,
by `geoseg.compositing.earthengine.transport`; what is here counts them, waits, and tells.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import ee
import google.auth.exceptions
import googleapiclient.errors

from geoseg.errors import EarthEngineError

__all__ = ["HOW", "Asker", "Failure", "Patience", "RefusedError", "short"]

T = TypeVar("T")

HOW = "run “earthengine authenticate” once, and name your Cloud project with --project"
"""What to do for who is not let in."""
_LONGEST = 300
"""Characters of a server's message that are shown."""
_SILENCE = 5.0
"""Seconds after which somebody who waits is told why."""
_AGAIN = 600.0
"""Seconds after which the same is told again."""


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
    tries_unreached: int = 4
    """Requests in all, at most, while no server has ever answered: it may not be there at all."""

    def wait(self, failures: int, asked: float | None) -> float:
        """Return seconds to wait after some failures; the server may ask for more."""
        jitter = 0.5 + random.random() / 2  # two that failed together shall not come back together
        own = min(self.most, self.first * 2.0 ** (failures - 1)) * jitter
        return own if asked is None else min(self.most, max(own, asked))


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request that failed, and may succeed later."""

    words: str
    """What happened, on one line."""
    brief: str
    """The same in a word or two: the status."""
    reached: bool = True
    """Whether a server was reached."""
    asked_wait: float | None = None
    """Seconds that the server asks to wait."""


class Asker:
    """Asks the server, patiently; several threads may.

    Parameters
    ----------
    patience
        How often to repeat.
    told
        Told, from any thread, why somebody has to wait; once a step, and rarely again.

    Attributes
    ----------
    stop
        Ends all waiting when it is set.
    """

    def __init__(
        self, patience: Patience | None = None, *, told: Callable[[str], None] | None = None
    ) -> None:
        self.patience = patience or Patience()
        self.stop = threading.Event()
        self._told = told
        self._told_at: dict[str, float] = {}
        self._answered = False
        self._count = 0
        self._lock = threading.Lock()
        self._here = threading.local()

    @property
    def requests(self) -> int:
        """How many requests were made, the failed ones included."""
        return self._count

    @property
    def is_answered(self) -> bool:
        """Whether a server has ever answered."""
        return self._answered

    def ask(self, what: str, call: Callable[[], T], *, step: str | None = None) -> T:
        """Return what a call of the client returns.

        Requests that fail are repeated on the way; the call is repeated where its answer makes no
        sense.

        Parameters
        ----------
        what
            What is asked for, in the words of errors.
        call
            Asks once. ValueError means an answer that makes no sense.
        step
            Of what this is a part; reasons for a wait are told once for it. By default, `what`.

        Raises
        ------
        RefusedError
            Status 400.
        EarthEngineError
            Any other refusal, or too many failures.
        """
        self._here.asked = what, step or what
        since, failures = time.monotonic(), 0
        while True:
            self.check()
            try:
                return call()
            except _REFUSALS as error:  # first: some are ValueErrors too
                raise _refusal(error, what) from error
            except ValueError as error:
                failure = Failure(words=short(str(error)), brief="it makes no sense")
            failures += 1
            self.failed(failure, failures, since)

    def check(self) -> None:
        """Refuse to ask once `stop` is set.

        Raises
        ------
        EarthEngineError
            It is.
        """
        if self.stop.is_set():
            raise EarthEngineError(f"{self._asked[0]}: given up, because another request failed")

    def count(self) -> None:
        """Count a request that is about to be made; refuse it as `check` does."""
        self.check()
        with self._lock:
            self._count += 1

    def answered(self) -> None:
        """Remember that there is a server."""
        self._answered = True

    def failed(self, failure: Failure, failures: int, since: float) -> None:
        """Wait until a request of this thread may be repeated.

        Parameters
        ----------
        failure
            Its last one.
        failures
            How many it has had.
        since
            When it was first made, by `time.monotonic`.

        Raises
        ------
        EarthEngineError
            It has failed too often.
        """
        what, step = self._asked
        away = not failure.reached and not self._answered
        tries = self.patience.tries
        if away:
            tries = min(tries, self.patience.tries_unreached)
        if failures >= tries:
            todo = (
                "is this computer online, and may it reach that server?"
                if away
                else "try again later, or with fewer --workers"
            )
            raise EarthEngineError(
                f"Earth Engine gave no answer to {what} in {failures} tries, the last time: "
                f"{failure.words}; {todo}"
            )
        wait = self.patience.wait(failures, failure.asked_wait)
        now = time.monotonic()
        if now - since + wait >= _SILENCE:
            self._tell(step, f"no answer from Earth Engine ({failure.brief})", wait, now)
        self.stop.wait(wait)

    @property
    def _asked(self) -> tuple[str, str]:
        """What this thread asks for, and of which step it is a part."""
        asked: tuple[str, str] = getattr(self._here, "asked", ("a request", "a request"))
        return asked

    def _tell(self, step: str, why: str, wait: float, now: float) -> None:
        with self._lock:
            before = self._told_at.get(step)
            if before is not None and now - before < _AGAIN:
                return
            self._told_at[step] = now
        if self._told is not None:
            self._told(f"{why}, trying again in {max(1, round(wait))} s")


def short(text: str) -> str:
    """Put words on one line, not too many."""
    words = " ".join(text.split()).rstrip(".")
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


_REFUSALS = (
    ee.EEException,
    googleapiclient.errors.Error,
    google.auth.exceptions.GoogleAuthError,
)


def _refusal(error: Exception, what: str) -> EarthEngineError:
    """Return a refusal in words: the server's own, where there are any."""
    answer = error if isinstance(error, googleapiclient.errors.HttpError) else None
    # The client keeps the answer's status only in the exception that led to its own.
    if answer is None and isinstance(error.__context__, googleapiclient.errors.HttpError):
        answer = error.__context__
    if isinstance(error, googleapiclient.errors.HttpError):
        words = short(error.reason)  # its text has the address too, and the reason twice
    else:
        # Google's own errors of credentials carry the whole answer beside their words.
        words = short(str(error.args[0] if error.args else error))
    words = words or type(error).__name__
    if answer is None:
        # What is left of the client's own comes before any request: no project, say.
        return EarthEngineError(f"Earth Engine does not let you in ({words}): {HOW}")
    status = int(answer.resp.status)
    if status in (401, 403):
        return EarthEngineError(f"Earth Engine does not let you in ({words}, {status}): {HOW}")
    kind = RefusedError if status == 400 else EarthEngineError
    return kind(f"Earth Engine refuses {what}: {words} (status {status})")
