"""Which pixel is wrong, and as what: the classes of a map of errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING, Confusion
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.palette import Color, class_colors
from geoseg.report.pictures import RIGHT_COLOR

MOST_KINDS = 16
"""Pairs of classes that a map of errors tells apart; a longer legend is not read."""

RIGHT = 0
"""Id of pixels that are right."""

_REST: Color = (107, 107, 107)
_MISSING: Color = (38, 38, 38)


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorKinds:
    """Classes of a map of errors: right, the commonest errors, all others, no prediction."""

    legend: Legend
    """Ids from 0; "forest → shrub" is forest that was taken for shrub."""
    lut: NDArray[np.uint8]
    """(256, 256): id by true and predicted class index; 255 where there is no label."""

    def ids(self, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Ids of pixels, from class indices of the same shape."""
        return self.lut[truth, found]


def error_kinds(confusion: Confusion, legend: Legend) -> ErrorKinds:
    """Order errors by how common they are.

    Parameters
    ----------
    confusion
        Of the whole map; decides which pairs get an id of their own, at most `MOST_KINDS`.
    legend
        The classes.
    """
    counts = confusion.counts.copy()
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts.reshape(-1), kind="stable")
    order = order[counts.reshape(-1)[order] > 0]
    pairs = [divmod(int(place), len(legend)) for place in order]
    own, rest = pairs[:MOST_KINDS], pairs[MOST_KINDS:]
    names = ["right", *(f"{legend.names[i]} → {legend.names[j]}" for i, j in own)]
    given: list[Color | None] = [RIGHT_COLOR, *[None] * len(own)]
    lut = np.full((256, 256), NODATA, np.uint8)
    for i in range(len(legend)):
        lut[i, i] = RIGHT
    for number, (i, j) in enumerate(own, start=1):
        lut[i, j] = number
    if rest:
        for i, j in rest:
            lut[i, j] = len(names)
        names.append("other errors")
        given.append(_REST)
    if confusion.unpredicted.any():
        lut[: len(legend), NOTHING] = len(names)
        names.append("no prediction")
        given.append(_MISSING)
    # Named by their numbers: "forest → water" shall not draw the green of forests.
    colors = class_colors([str(number) for number in range(len(names))], given)
    rows = zip(range(len(names)), names, colors, strict=True)
    return ErrorKinds(legend=Legend.of((i, n, c, ()) for i, n, c in rows), lut=lut)
