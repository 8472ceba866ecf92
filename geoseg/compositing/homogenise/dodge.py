"""Wallis' local adjustment, from an image's own local means and deviations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise.colour import Curve, Line, Local
from geoseg.compositing.homogenise.measure import ImageStatistics
from geoseg.compositing.homogenise.standard import Dodge

__all__ = ["dodged"]


def dodged(image: ImageStatistics, curves: Sequence[Line | Curve], dodge: Dodge) -> Local | None:
    """Return the local adjustment of an image whose readings the curves have changed before.

    Parameters
    ----------
    image
        Measured with ``cell=dodge.cell``.
    curves
        One a band.
    dodge
        What is wanted.

    Returns
    -------
    Means and deviations, local and whole, in units of the changed readings: a mean m with deviation
    s becomes f(m) and (f(m + s) − f(m − s)) / 2, which is exact of lines. None for an image without
    a valid pixel.
    """
    local = image.local
    if local is None:
        return None
    if local.cell != dodge.cell:
        raise ValueError(f"measured over cells of {local.cell} px, wanted {dodge.cell}")
    means, deviations = np.empty_like(local.means), np.empty_like(local.deviations)
    mean, deviation = [], []
    for band, (curve, whole) in enumerate(zip(curves, image.bands, strict=True)):
        means[band], deviations[band] = _through(curve, local.means[band], local.deviations[band])
        m, s = _through(curve, np.array(whole.mean), np.array(whole.deviation))
        mean.append(float(m))
        deviation.append(float(s))
    return Local(
        cell=dodge.cell,
        brightness=dodge.brightness,
        contrast=dodge.contrast,
        means=means,
        deviations=deviations,
        mean=tuple(mean),
        deviation=tuple(deviation),
    )


def _through(
    curve: Line | Curve, mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bring means and deviations through a curve."""
    if isinstance(curve, Line):
        return curve.at(mean), deviation * curve.gain
    return curve.at(mean), (curve.at(mean + deviation) - curve.at(mean - deviation)) / 2
