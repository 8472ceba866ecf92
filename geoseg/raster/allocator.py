"""A word with the C library's allocator about the memory of pixels.

By default glibc takes every large block from the kernel and returns it when it is freed, so each
activation of a network and each block of a scene costs page faults for all of its pages: more time
than a small network itself takes. Told to keep large blocks, it reuses them; and told to keep them
in one arena, a block that one thread freed serves the next thread that asks. The process then holds
its peak, which is bounded by the tiles in flight.
"""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_GIBIBYTE = 1 << 30
_LARGEST_OF_OLD_GLIBC = 32 << 20


def keep_large_blocks(*, one_arena: bool = True) -> bool:
    """Tell the allocator to keep freed blocks for reuse; True where it understood (glibc).

    To be called before the threads are started that shall share an arena.

    Parameters
    ----------
    one_arena
        Whether threads share an arena. Blocks that one thread fills and another frees ask for it;
        threads that free what they took are faster with arenas of their own.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library (musl), without this setting and without this cost
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    kept = mallopt(_M_MMAP_THRESHOLD, _GIBIBYTE) or mallopt(
        _M_MMAP_THRESHOLD, _LARGEST_OF_OLD_GLIBC
    )
    if one_arena:
        mallopt(_M_ARENA_MAX, 1)
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, 2 * _GIBIBYTE - 1))


def give_back() -> None:
    """Give freed memory back to the system after all, before something else needs it."""
    if not sys.platform.startswith("linux"):
        return
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return
    trim.argtypes = (ctypes.c_size_t,)
    trim(0)
