"""Readings far from all others: what is usual in an image, band by band, and the rest cut to it.

Mirrors of the sun, dead detectors and saturated pixels are few and far off; means, deviations and
gains that they have a part in are those of other images no more.
"""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction

import numpy as np

from geoseg.compositing.homogenise.colour import Colour, Limits
from geoseg.errors import OptionError
from geoseg.raster.scene import Scene
from geoseg.raster.statistics import statistics_for
from geoseg.raster.strips import read_strips

__all__ = ["check_share", "cut", "usual"]

_MOST = 0.25


def check_share(share: float) -> float:
    """Return a share of outliers at each end.

    Raises
    ------
    OptionError
        It is not above 0 and at most a quarter.
    """
    if not 0 < share <= _MOST:
        raise OptionError(
            f"--outliers {share:g} makes no sense: it is the share of readings at each end that are"
            f" cut, above 0 and at most {_MOST:g}; 0.001 is usual"
        )
    return share


def usual(scene: Scene, share: float, *, workers: int = 4) -> Limits | None:
    """Find the range of usual readings, in one pass.

    Parameters
    ----------
    scene
        The image, as it is in its files.
    share
        Share of each band's valid readings at each end that is not usual. The limits are the
        quantiles `share` and 1 − `share`: exact for 8 and 16 bits, else to within 0.012 %.
    workers
        Threads; the result does not depend on it.

    Returns
    -------
    limits
        None where no pixel is valid.

    Raises
    ------
    OptionError
        The share makes no sense.
    RasterReadError
        A file cannot be read.
    """
    part = Fraction(check_share(share)).limit_denominator(1_000_000)
    found = statistics_for(scene.dtype, len(scene.bands))
    with closing(read_strips([scene], workers=workers)) as strips:
        for strip in strips:
            valid = np.ascontiguousarray(strip.valid)
            if valid.any():
                data = np.ascontiguousarray(strip.arrays[0])
                found.add([found.measure(data.reshape(len(data), -1), valid.reshape(-1))])
    of = part.denominator
    ends = found.quantiles((part.numerator, of - part.numerator), of)
    if not all(np.isfinite(end).all() for end in ends):
        return None
    kind = scene.dtype
    if kind.kind in "iu":
        # Between two readings the nearest that is usual: whole numbers stay whole.
        ends = tuple((float(np.ceil(low)), float(np.floor(high))) for low, high in ends)
    return tuple((low, max(low, high)) for low, high in ends)


def cut(scene: Scene, limits: Limits | None) -> Scene:
    """Return the scene with readings beyond the limits moved to them; None for the scene itself."""
    if limits is None:
        return scene
    return scene.recoloured(Colour.identity(scene).within(limits))
