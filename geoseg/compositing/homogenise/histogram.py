"""Matching by histograms: the reading of each share becomes the target's reading of that share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from geoseg.compositing.homogenise.colour import Curve, Line
from geoseg.compositing.homogenise.measure import BandMeasure
from geoseg.compositing.homogenise.standard import SHARES, BandTarget

__all__ = ["histogram_curves", "match_histogram"]


def match_histogram(image: BandMeasure, target: BandTarget) -> Line | Curve:
    """Return the curve that gives a band the target's distribution.

    Knots are the readings at `SHARES`; between them it is straight. One reading may hold many
    shares (water, shadow, 8 bits): it becomes the mean of the target's readings over all of them,
    so an image that has the target's quantiles stays as it is, to the bit. A band of one reading
    alone is moved to the mean.
    """
    readings: list[float] = []
    becomes: list[float] = []
    start = 0
    for stop in range(1, len(SHARES) + 1):
        if stop < len(SHARES) and image.quantiles[stop] == image.quantiles[start]:
            continue
        readings.append(image.quantiles[start])
        becomes.append(_mean(target.quantiles, start, stop))
        start = stop
    # Rounding of a mean may let it pass the next knot by a bit.
    for i, (before, after) in enumerate(pairwise(becomes)):
        becomes[i + 1] = max(before, after)
    if len(readings) == 1:
        return Line(offset=becomes[0] - readings[0])
    return Curve(readings=tuple(readings), becomes=tuple(becomes))


def histogram_curves(
    image: Sequence[BandMeasure], target: Sequence[BandTarget]
) -> tuple[Line | Curve, ...]:
    """Return `match_histogram` of each band."""
    return tuple(match_histogram(i, t) for i, t in zip(image, target, strict=True))


def _mean(quantiles: Sequence[float], start: int, stop: int) -> float:
    """Mean over the shares from one knot to another, by trapezia; exact where all are equal."""
    first = quantiles[start]
    total = 0.0
    for i in range(start, stop - 1):
        middle = (quantiles[i] - first) + (quantiles[i + 1] - quantiles[i]) / 2
        total += middle * (SHARES[i + 1] - SHARES[i])
    return first + total / (SHARES[stop - 1] - SHARES[start]) if total else first
