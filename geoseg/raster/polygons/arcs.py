"""Arcs that wait for the components on their sides to be finished: arrays that grow and shrink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.polygons import _join, _rings

_LEAST = 1 << 12


class Arcs:
    """Arcs and, for each component, a list of those around it.

    A list is a chain of entries: 2 a is arc a with the component on its left, 2 a + 1 with it on
    the right. What no component needs any more is dropped now and then.

    Parameters
    ----------
    cols
        Columns of corners: one more than there are of pixels.
    """

    def __init__(self, cols: int) -> None:
        self._cols = cols
        self._count = self._size = 0
        self._kept = 0
        self.following = np.empty(2 * _LEAST, np.int64)
        self._headings = np.empty((_LEAST, 2), np.uint8)
        self._firsts = np.empty(_LEAST, np.int64)
        self._sizes = np.empty(_LEAST, np.int32)
        self._waiting = np.zeros(_LEAST, np.uint8)
        self._corners = np.empty((_LEAST, 2), np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is there, by name; views, until the next change."""
        count = self._count
        return {
            "following": self.following[: 2 * count],
            "headings": self._headings[:count],
            "firsts": self._firsts[:count],
            "sizes": self._sizes[:count],
            "waiting": self._waiting[:count],
            "corners": self._corners[: self._size],
        }

    def take_up(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        self._count, self._size = len(arrays["headings"]), len(arrays["corners"])
        self.following = np.ascontiguousarray(arrays["following"])
        self._headings = np.ascontiguousarray(arrays["headings"])
        self._firsts = np.ascontiguousarray(arrays["firsts"])
        self._sizes = np.ascontiguousarray(arrays["sizes"])
        self._waiting = np.ascontiguousarray(arrays["waiting"])
        self._corners = np.ascontiguousarray(arrays["corners"])

    def add(self, pieces: _join._Pieces, lists: NDArray[np.int64]) -> None:
        """Add finished arcs, whose sides are places in `lists`, (components, 2) first, last."""
        _, headings, sides, firsts, corners = pieces
        count, size = len(headings), len(corners)
        begin, stop = self._count, self._count + count
        self._headings = _grown(self._headings, stop)
        self._firsts = _grown(self._firsts, stop)
        self._sizes = _grown(self._sizes, stop)
        self._waiting = _grown(self._waiting, stop)
        self.following = _grown(self.following, 2 * stop)
        self._corners = _grown(self._corners, self._size + size)
        self._headings[begin:stop] = headings
        self._firsts[begin:stop] = firsts[:-1] + self._size
        self._sizes[begin:stop] = np.diff(firsts)
        self._corners[self._size : self._size + size] = corners
        self._count, self._size = stop, self._size + size
        _join.list_arcs(sides, begin, lists, self.following, self._waiting)

    def polygons(
        self, heads: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Make the polygons of finished components; see `_rings.put_together`."""
        return _rings.put_together(
            heads,
            self._headings,
            self._firsts,
            self._sizes,
            self._corners,
            self._cols,
            self.following,
            self._waiting,
        )

    def pass_over(self, heads: NDArray[np.int64]) -> None:
        """Let go of the arcs of finished components of which no polygon is wanted."""
        _rings.pass_over(heads, self.following, self._waiting)

    def clear(self, lists: NDArray[np.int64]) -> None:
        """Drop what nobody needs, when that is likely to be half of it.

        Parameters
        ----------
        lists
            (components, 2) lists of those that are not finished; changed.
        """
        if self._count > 2 * self._kept:
            self._count, self._size = _rings.drop_arcs(
                self._headings,
                self._firsts,
                self._sizes,
                self._corners,
                self.following,
                self._waiting,
                lists,
                self._count,
            )
            self._kept = self._count


def _grown(array: NDArray[Any], length: int) -> NDArray[Any]:
    """Return the array, or a longer one that begins with it."""
    if len(array) >= length:
        return array
    longer = np.empty((length + length // 2, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
