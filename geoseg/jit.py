"""Compiled loops: numba with its cache where there is one, and without where there is none.

Only modules that are imported by who needs a compiled loop may import this one: numba takes a good
part of a second to load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(*signatures: str, inline: bool = False) -> Callable[[_Function], _Function]:
    """Compile a function for the given argument types alone, free of the interpreter lock.

    The machine code is kept in numba's cache (beside the source, else in the user's cache folder,
    or in ``NUMBA_CACHE_DIR``), so only the first process on a machine waits for the compiler. Where
    no cache can be written (read-only installation without a home, full disk) every process
    compiles for itself, and the result is the same.

    numba compiles anew when the file of the function changes, and not when a compiled function that
    it calls does: keep those that call each other in one file.

    Parameters
    ----------
    *signatures
        numba signatures, such as ``"int64(uint8[:, ::1])"``. All are compiled when the function is
        defined; arguments of other types are refused instead of being compiled for anew.
    inline
        Copy the function into each compiled caller: for small ones called in inner loops.
    """
    options: dict[str, Any] = {"nogil": True, "forceinline": inline}

    def decorate(function: _Function) -> _Function:
        try:
            result = numba.njit(list(signatures), cache=True, **options)(function)
        except (RuntimeError, OSError):
            # RuntimeError: numba found no folder for its cache. Whatever else it was is raised
            # again by the second attempt.
            result = numba.njit(list(signatures), **options)(function)
        return cast(_Function, result)

    return decorate
