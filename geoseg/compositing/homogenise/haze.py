"""What is taken off the colour that images are brought to: haze, and a cast of colour.

Both are lines, and matching undoes any line that came before it, by whatever method. So they change
the target alone, the colour that all are brought to, and nothing of what images are compared by.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from geoseg.compositing.homogenise.colour import Line
from geoseg.compositing.homogenise.measure import ImageStatistics
from geoseg.compositing.homogenise.standard import Cast, Haze
from geoseg.errors import BandError, ColourError

__all__ = ["VISIBLE", "balance", "clear", "prepare"]

VISIBLE = ("blue", "green", "red")
"""Bands that a cast of colour is balanced over."""

_BETWEEN_WORDS = re.compile(r"[\W_]+")


def prepare(
    images: Sequence[ImageStatistics], *, haze: Haze | None = None, cast: Cast | None = None
) -> tuple[tuple[Line, ...], ...]:
    """Return what comes before matching, a line a band of each image: haze first, then cast.

    Raises
    ------
    BandError, ColourError
        As `balance`.
    """
    cleared = clear(images) if haze else tuple(tuple(Line() for _ in i.bands) for i in images)
    if not cast:
        return cleared
    lines = []
    for image, before in zip(images, cleared, strict=True):
        gains = balance(image.brought([b.gain for b in before], [b.offset for b in before]))
        pairs = zip(before, gains, strict=True)
        lines.append(tuple(Line(gain=b.gain * g, offset=b.offset * g) for b, g in pairs))
    return tuple(lines)


def clear(images: Sequence[ImageStatistics]) -> tuple[tuple[Line, ...], ...]:
    """Return what takes haze off, by the dark object: offsets of 0 or below.

    Haze adds light everywhere, and what should be dark shows how much (Chavez 1988, "An improved
    dark-object subtraction technique for atmospheric scattering correction of multispectral data",
    Remote Sensing of Environment 24, 459–479). The dark object of each band is brought down to that
    of the image in which it is darkest, not to 0: what is left is of the clearest image, readings
    stay above those it has, and where 0 means nodata none comes to be 0. An image without a valid
    pixel stays.
    """
    count = len(images[0].bands) if images else 0
    clearest = [
        min((i.bands[band].dark for i in images if i.count), default=math.nan)
        for band in range(count)
    ]
    return tuple(
        tuple(
            Line(offset=level - band.dark) if image.count else Line()
            for level, band in zip(clearest, image.bands, strict=True)
        )
        for image in images
    )


def balance(image: ImageStatistics) -> tuple[float, ...]:
    """Return gains that bring blue, green and red to one mean, that of the three.

    The mean of a scene is taken to be grey (Buchsbaum 1980, "A spatial processor model for object
    colour perception", Journal of the Franklin Institute 310, 1–26). Bands of other light have no
    part in it: their gain is 1. An image without a valid pixel stays.

    Raises
    ------
    BandError
        A band of the three is not there, or not to be told by its name.
    ColourError
        A mean is not above 0.
    """
    visible = [_find(image, colour) for colour in VISIBLE]
    gains = [1.0] * len(image.bands)
    if not image.count:
        return tuple(gains)
    means = [image.bands[band].mean for band in visible]
    if min(means) <= 0:
        band = image.bands[visible[means.index(min(means))]]
        raise ColourError(
            f"{image.name}: the mean of band “{band.name}” is {band.mean:g}, and a cast can be "
            "balanced only where means are above 0; leave out --cast"
        )
    grey = sum(means) / len(means)
    for band_number, mean in zip(visible, means, strict=True):
        gains[band_number] = grey / mean
    return tuple(gains)


def _find(image: ImageStatistics, colour: str) -> int:
    """Position of the band of that name, or of the only one with the word in its name."""
    names = [name.casefold() for name in image.names]
    if colour in names:
        return names.index(colour)
    found = [i for i, name in enumerate(names) if colour in _BETWEEN_WORDS.split(name)]
    if len(found) == 1:
        return found[0]
    what = "several bands" if found else "no band"
    raise BandError(
        f"{image.name}: a cast is balanced over blue, green and red, and {what} of “{colour}” can "
        f"be told among {', '.join(image.names)}; name them with --band-names or choose with "
        "--bands"
    )
