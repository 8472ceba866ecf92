"""Matching by mean and deviation: one gain and one offset a band."""

from __future__ import annotations

import math
from collections.abc import Sequence

from geoseg.compositing.homogenise.colour import Line
from geoseg.compositing.homogenise.measure import BandMeasure
from geoseg.compositing.homogenise.standard import BandTarget
from geoseg.errors import ColourError

__all__ = ["match_moments", "moment_lines"]


def match_moments(image: BandMeasure, target: BandTarget) -> Line:
    """Return the line that gives a band the target's mean and deviation.

    gain = target's deviation / image's, offset = target's mean − gain · image's mean. Where either
    deviation is 0 nothing is known of contrast, and the band is moved alone: its gain is 1.

    Raises
    ------
    ColourError
        The two are so far apart that gain or offset is no number.
    """
    gain = 1.0
    if image.deviation > 0 and target.deviation > 0:
        gain = target.deviation / image.deviation
    offset = target.mean - gain * image.mean
    if not (0 < gain < math.inf and math.isfinite(offset)):
        raise ColourError(
            f"band “{image.name}” has a mean of {image.mean:g} and cannot be brought to one of "
            f"{target.mean:g}: no number holds what it takes; check the colour and the image"
        )
    return Line(gain=gain, offset=offset)


def moment_lines(image: Sequence[BandMeasure], target: Sequence[BandTarget]) -> tuple[Line, ...]:
    """Return `match_moments` of each band."""
    return tuple(match_moments(i, t) for i, t in zip(image, target, strict=True))
