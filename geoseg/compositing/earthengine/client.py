"""The client made ready: credentials, which server, and how its requests travel."""

from __future__ import annotations

import logging
import os
from typing import Any

import ee
import google.auth.exceptions
from google.auth.credentials import AnonymousCredentials

from geoseg.compositing.earthengine.patience import HOW, Asker, Patience, RefusedError, short
from geoseg.compositing.earthengine.transport import Transport
from geoseg.errors import EarthEngineError

__all__ = ["URL_VARIABLE", "Asker", "Patience", "RefusedError", "connect"]

URL_VARIABLE = "GEOSEG_EARTHENGINE_URL"
"""Environment variable that names another server; it is asked without credentials."""

_ANONYMOUS_PROJECT = "geoseg-anonymous"
_TALKATIVE = ("googleapiclient", "google_auth_httplib2", "urllib3")
"""Loggers that warn of failures which are repeated, or told in an error."""


def connect(*, project: str | None, url: str | None, asker: Asker) -> None:
    """Make the client ready; all its requests are the asker's from then on.

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
        # Not only warnings: the client calls a failed request of its own an error too.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ee.data.setMaxRetries(0)  # the transport repeats, and knows when to stop
    if url is not None:
        # Who asks another server shall not ask Google's for its list of deprecated assets.
        ee.deprecation.InitializeDeprecatedAssets = _nothing
    credentials = _anonymous() if url is not None else _credentials()
    place = f"the server {url}" if url is not None else "Google’s server"
    transport = Transport(asker, url or ee.data.DEFAULT_CLOUD_API_BASE_URL)

    def initialise() -> None:
        ee.Initialize(
            credentials,
            url=url,
            project=project or (_ANONYMOUS_PROJECT if url is not None else None),
            http_transport=transport,
        )

    asker.ask(f"a connection to {place}", initialise)


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
            "Earth Engine needs to know who asks, and no credentials were found: " + HOW
        ) from error
    except google.auth.exceptions.GoogleAuthError as error:
        raise EarthEngineError(
            f"the credentials for Earth Engine cannot be used ({short(str(error))}): {HOW}"
        ) from error
