"""Transforms of image and mask together. Works on arrays; knows neither files nor torch.

A new transform is one file that registers its maker, and one line in `registry._HOMES`.
"""

from geoseg.patches.augment.making import DEFAULT, augment, make_augmentations
from geoseg.patches.augment.registry import Augmentation, Band, names, register

__all__ = [
    "DEFAULT",
    "Augmentation",
    "Band",
    "augment",
    "make_augmentations",
    "names",
    "register",
]
