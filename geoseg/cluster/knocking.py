"""Whether a dask process speaks at an address, before a client is made that would try for long.

A client also waits where something else listens, or nothing is said; what it leaves behind then
prints tracebacks.
"""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Any

import distributed
from distributed.comm import core


def knock(where: str, seconds: float, patience: float) -> None:
    """Greet a scheduler, and leave.

    Parameters
    ----------
    where
        Its address.
    seconds
        How long to try while nothing listens there.
    patience
        How long to wait for what listens to greet.

    Raises
    ------
    OSError
        Nobody answers in time, or not as dask does; with why.
    """
    found: list[BaseException | None] = []

    def greet() -> None:
        try:
            asyncio.run(_greet(where, seconds, patience))
            found.append(None)
        except BaseException as error:  # what listens there may say anything, and be read as such
            found.append(error)

    # A thread, for the caller's may have a loop of its own, and this one may not come back.
    thread = Thread(target=greet, name="geoseg-knock", daemon=True)
    thread.start()
    thread.join(seconds + patience + 1)
    error = found[0] if found else TimeoutError()
    if isinstance(error, TimeoutError):
        raise OSError(" ".join(str(error).split()) or f"nothing was said in {patience:.0f} s")
    if isinstance(error, OSError | ValueError | TypeError | RuntimeError):
        raise OSError(" ".join(str(error).split()) or type(error).__name__)
    if error is not None:
        raise OSError("what answers there is no dask")


async def _greet(where: str, seconds: float, patience: float) -> None:
    security: Any = distributed.Security
    connect: Any = core.connect
    options = security().get_connection_args("client")
    # Its time is for getting through; a greeting it would await for ever.
    comm = await asyncio.wait_for(connect(where, timeout=seconds, **options), seconds + patience)
    await comm.close()
