"""From what overlaps say to a line for each image: where a block stands as a whole.

Overlaps tell how images relate, and not where all of them should be. Each block, that is images
which hang together by overlaps, is therefore moved as one, so that the weighted means of its
images' means and deviations are the target's; the block of the reference so that the reference is
where it should be. An image without overlap is a block of its own, so it comes to the target by its
mean and deviation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise.colour import Line
from geoseg.compositing.homogenise.measure import ImageStatistics
from geoseg.compositing.homogenise.overlap import adjust
from geoseg.compositing.homogenise.seams import Samples
from geoseg.compositing.homogenise.standard import BandTarget

__all__ = ["block_lines"]

_MUCH = 0.3
"""Share of samples that count for nothing, from which on it is told."""


def block_lines(
    samples: Sequence[Samples],
    images: Sequence[ImageStatistics],
    target: Sequence[BandTarget],
    *,
    anchor: int | None = None,
) -> tuple[list[tuple[Line, ...]], list[str]]:
    """Return a line for each image and band, and what a person should know.

    Parameters
    ----------
    samples
        Of the pairs that overlap; one at least.
    images
        All of them.
    target
        The colour.
    anchor
        Position of the reference.
    """
    found = adjust(samples, len(images), len(target))
    gains, offsets = found.gains.copy(), found.offsets.copy()
    weight = np.array([image.count for image in images], np.float64)
    mean = np.array([[band.mean for band in image.bands] for image in images])
    deviation = np.array([[band.deviation for band in image.bands] for image in images])
    wanted_mean = np.array([band.mean for band in target])
    wanted_deviation = np.array([band.deviation for band in target])
    for block in range(int(found.component.max()) + 1):
        members = np.flatnonzero((found.component == block) & (weight > 0))
        if anchor is not None and found.component[anchor] == block:
            members = np.array([anchor])
        if not len(members):
            continue
        w = (weight[members] / weight[members].sum())[:, None]
        g, o = gains[members], offsets[members]
        level = (w * (g * mean[members] + o)).sum(axis=0)
        contrast = (w * g * deviation[members]).sum(axis=0)
        scale = _ratio(wanted_deviation, contrast)
        every = found.component == block
        gains[every] *= scale
        offsets[every] = (offsets[every] - level) * scale + wanted_mean
        if anchor is not None and found.component[anchor] == block:
            # To the bit: the reference itself may be where it should be already.
            same = (scale * g[0] == 1) | np.isclose(scale * g[0], 1, rtol=1e-12, atol=0)
            still = same & np.isclose(
                mean[anchor], wanted_mean, rtol=1e-12, atol=1e-12 * float(np.abs(wanted_mean).max())
            )
            gains[anchor, still], offsets[anchor, still] = 1.0, 0.0
    nothing = np.flatnonzero(weight == 0)
    gains[nothing], offsets[nothing] = 1.0, 0.0
    lines = [
        tuple(Line(gain=g, offset=o) for g, o in zip(*pair, strict=True))
        for pair in zip(gains.tolist(), offsets.tolist(), strict=True)
    ]
    return lines, _notes(found.component, weight, images, found.rejected)


def _ratio(wanted: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotient of deviations; 1 where either is 0."""
    usable = (wanted > 0) & (there > 0)
    quotient: NDArray[np.float64] = np.divide(wanted, there, out=np.ones_like(wanted), where=usable)
    return np.where(np.isfinite(quotient) & (quotient > 0), quotient, 1.0)


def _notes(
    component: NDArray[np.int64],
    weight: NDArray[np.float64],
    images: Sequence[ImageStatistics],
    rejected: float,
) -> list[str]:
    notes = []
    sizes = np.bincount(component)
    largest = int(sizes.argmax())
    names = [
        image.name
        for image, block, pixels in zip(images, component, weight, strict=True)
        if block != largest and pixels
    ]
    if names:
        shown = ", ".join(names[:3])
        more = "" if len(names) <= 3 else f" and {len(names) - 3} more"
        notes.append(
            "no overlap with the other images, so brought to them by mean and deviation (images "
            f"that overlap among each other as one): {shown}{more}"
        )
    if rejected > _MUCH:
        notes.append(
            f"{100 * rejected:.0f} % of the samples of overlaps disagree with the others (clouds, "
            "change) and count for nothing"
        )
    return notes
