"""Losses, and the small language that adds them up.

A new loss is one file that registers its maker, and one line in `registry._HOMES`.
"""

from geoseg.training.losses.base import IGNORE, LossContext, PixelLoss
from geoseg.training.losses.registry import make_loss, names, register

__all__ = ["IGNORE", "LossContext", "PixelLoss", "make_loss", "names", "register"]
