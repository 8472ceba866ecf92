"""Small data sets in the layouts that the five papers' sets are published in, made to order.

What each paper claims can be tried on the set made like its own: rare classes in few pictures,
images of one ground in several colours, fields told apart by texture, labels that are known of
whole patches alone. Nothing in them is real: they show that the steps work together, and whether a
method does what it is for; not what it scores on the ground.
"""

from geoseg.testing.layouts.agde import made_agde
from geoseg.testing.layouts.alpine import made_alpine
from geoseg.testing.layouts.cropland import made_cropland
from geoseg.testing.layouts.deepglobe import made_deepglobe
from geoseg.testing.layouts.sugarcane import made_sugarcane

__all__ = ["made_agde", "made_alpine", "made_cropland", "made_deepglobe", "made_sugarcane"]
