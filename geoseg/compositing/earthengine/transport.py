"""The requests that the client sends, each repeated while its failure may pass.

Lies under all that the client does (its list of functions, values, pixels, tasks, tokens), so that
one rule covers them, and what takes several requests goes on from the one that failed.
"""

from __future__ import annotations

import json
import time
from functools import lru_cache
from typing import Any

import googleapiclient.errors
import httplib2
import requests
import requests.adapters

from geoseg.compositing.earthengine.patience import Asker, Failure, short
from geoseg.compositing.earthengine.plan import MOST_AT_ONCE
from geoseg.errors import EarthEngineError

__all__ = ["Transport", "session"]

_CONNECT = (5.0, 20.0)
"""Seconds until a connection stands, at most: to who never answered, and to who did."""
_ANSWER = (60.0, 360.0)
"""Seconds between bytes of an answer: to a look-up, and to a computation (Google's own limit of
those is five minutes)."""
_NUMPY = b"\x93NUMPY"
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


@lru_cache(maxsize=1)
def session() -> requests.Session:
    """Return the connections of this process; all clients share them."""
    made = requests.Session()
    for scheme in ("https://", "http://"):
        made.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=MOST_AT_ONCE))
    return made


class Transport:
    """What the client calls instead of `httplib2.Http`.

    Parameters
    ----------
    asker
        Counts requests, waits between them, and knows when to give up.
    server
        Where the server is; its answers are JSON, or arrays of NumPy.
    """

    def __init__(self, asker: Asker, server: str) -> None:
        self._asker = asker
        self._server = server

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
        redirections: int | None = None,
        connection_type: Any = None,
    ) -> tuple[httplib2.Response, bytes]:
        """Return a response and its content, by the rules of `httplib2.Http.request`.

        Raises
        ------
        EarthEngineError
            It failed too often, or the address is none.
        """
        del redirections, connection_type  # httplib2's own ways
        since, failures = time.monotonic(), 0
        while True:
            self._asker.count()
            try:
                answer = session().request(
                    method, uri, data=body, headers=headers, timeout=self._timeout(method)
                )
            except _NO_ADDRESS as error:
                raise EarthEngineError(
                    f"{self._server} is no address of a server; give http://… or https://…"
                ) from error
            except (requests.RequestException, OSError) as error:
                words = _words(error)
                failure = Failure(words=words, brief=words, reached=False)
            else:
                self._asker.answered()
                response = httplib2.Response(
                    {**dict(answer.headers), "status": str(answer.status_code)}
                )
                response.reason = answer.reason
                found = self._failure(uri, response, answer.content)
                if found is None:
                    return response, answer.content
                failure = found
            failures += 1
            self._asker.failed(failure, failures, since)

    def close(self) -> None:
        """Keep the connections: others share them."""

    def _timeout(self, method: str) -> tuple[float, float]:
        return _CONNECT[self._asker.is_answered], _ANSWER[method != "GET"]

    def _failure(self, uri: str, response: httplib2.Response, content: bytes) -> Failure | None:
        """Return what is wrong with an answer if the same request may have a better one."""
        status = int(response.status)
        if status in (408, 429) or status >= 500:
            reason = googleapiclient.errors.HttpError(response, content).reason
            return Failure(
                words=f"{short(reason)} (status {status})",
                brief=str(status),
                asked_wait=_seconds(response.get("retry-after")),
            )
        if status < 300 and uri.startswith(self._server) and not _is_answer(content):
            return Failure(words="bytes that are no answer", brief="bytes that are no answer")
        return None


def _is_answer(content: bytes) -> bool:
    """Tell whether bytes are what the server sends."""
    if content.startswith(_NUMPY):
        return True
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None


def _words(error: BaseException) -> str:
    """Return why there was no answer, in the system's words: the first cause of all."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return short(words) or type(error).__name__
