"""Which classes a patch holds: the one rule of image-level labels.

A class is present in a patch where it covers strictly more than a share of all its pixels. Cutting,
training and scoring ask here, so that they agree to the pixel.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

PRESENT = 0.05
"""Share of a patch that a class must exceed to be present, where nothing else was asked for."""

UNKNOWN = 255
"""In place of 1 (present) and 0 (absent): nobody knows; the same number as "unlabelled"."""


def least_pixels(share: float, pixels: int) -> int:
    """Smallest number of pixels that is strictly more than a share of a patch.

    Parameters
    ----------
    share
        From 0 up to, but without, 1. Taken as it is written and not as binary fractions have it:
        more than 0.29 of 100 pixels is 30, more than 0.05 of 2,500 is 126.
    pixels
        Of a patch.
    """
    return math.floor(Fraction(repr(float(share))) * pixels) + 1


def present_in(
    class_pixels: NDArray[np.integer], *, share: float, pixels: int
) -> NDArray[np.uint8]:
    """Say which classes patches hold.

    Parameters
    ----------
    class_pixels
        (patches, classes): pixels of each class.
    share
        That a class must exceed.
    pixels
        Of a patch, those without a label included.

    Returns
    -------
    (patches, classes) uint8: 1 present, 0 absent; 255 (unknown) throughout a patch without any
    labelled pixel.
    """
    present: NDArray[np.uint8] = (class_pixels >= least_pixels(share, pixels)).astype(np.uint8)
    present[~class_pixels.any(axis=1)] = UNKNOWN
    return present


def presence_of_mask(mask: NDArray[np.uint8], classes: int, share: float) -> NDArray[np.uint8]:
    """Say which classes one patch holds, from its labels.

    Parameters
    ----------
    mask
        (rows, cols) uint8 class index, 255 = unlabelled.
    classes
        Number of classes.
    share
        Of all pixels of the mask, that a class must exceed.

    Returns
    -------
    (classes,) uint8: 1 present, 0 absent; all 255 (unknown) where no pixel is labelled.
    """
    counts = np.bincount(mask.reshape(-1), minlength=256)[:classes]
    presence: NDArray[np.uint8] = present_in(counts[np.newaxis], share=share, pixels=mask.size)[0]
    return presence
