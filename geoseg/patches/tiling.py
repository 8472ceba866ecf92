"""Where patches lie in a raster: window arithmetic alone.

Knows neither files, pixels nor places on Earth.
"""

from __future__ import annotations

from collections.abc import Iterator

from geoseg.errors import OptionError
from geoseg.raster.window import Window


def check_size_and_stride(size: int, stride: int) -> None:
    """Refuse patch sides and strides that have no meaning.

    Raises
    ------
    OptionError
        A side or stride below 1, or a stride beyond the side, which would leave pixels in no patch.
    """
    if size < 1:
        raise OptionError(f"a patch side of {size} pixels has no meaning: give 1 or more")
    if not 1 <= stride <= size:
        raise OptionError(
            f"a stride of {stride} does not go with patches of {size} pixels: give 1 to {size}, or "
            "pixels would lie in no patch"
        )


def starts(length: int, size: int, stride: int) -> list[int]:
    """First pixels of the patches along one side of a raster.

    Parameters
    ----------
    length
        Pixels along that side, 1 or more.
    size, stride
        Side of a patch and distance between the first pixels of neighbours, ``1 ≤ stride ≤ size``.

    Returns
    -------
    ``0, stride, 2·stride, …`` as long as a whole patch fits, and one last patch flush with the
    border where the others leave pixels uncovered; so every pixel lies in a patch and no patch
    reaches outside. ``[0]`` where the side is no longer than a patch, which then does reach
    outside.

    Raises
    ------
    OptionError
        Values out of range.
    """
    check_size_and_stride(size, stride)
    if length < 1:
        raise OptionError(f"a raster of {length} pixels has no patches")
    if length <= size:
        return [0]
    last = length - size
    regular = list(range(0, last + 1, stride))
    if regular[-1] != last:
        regular.append(last)
    return regular


def windows(height: int, width: int, size: int, stride: int) -> Iterator[Window]:
    """Windows of square patches that cover a raster, row by row, each row from left to right.

    All are ``size × size``; in a raster smaller than a patch they reach outside on the right and
    below. See `starts` for where they lie and for the errors.
    """
    cols = starts(width, size, stride)
    for row in starts(height, size, stride):
        for col in cols:
            yield Window(row, col, size, size)
