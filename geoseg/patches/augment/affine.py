"""Transforms that move pixels to places between others: rotation, translation, scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.patches.augment.geometry import Geometric
from geoseg.patches.augment.registry import Images, Labels, register
from geoseg.terms import number


class Resampling(Geometric):
    """A transform that interpolates; one of a single step or of several done at once.

    Images are resampled bilinearly between pixel centres, labels by the nearest. What comes from
    outside the patch has label 255, and the image is continued by its edge: the network pads its
    input so too, and a constant would draw an edge that no ground has.

    Where a label is not 255 the image is what the ground shows, but for pixels beside nodata: they
    take up some of what nodata was filled with.
    """

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Return new arrays of the same shape."""
        # Compiled loops take a while to load.
        from geoseg.patches.augment.resample import resample  # noqa: PLC0415

        patches, rows, cols = labels.shape
        return resample(images, labels, self.maps(patches, rows, cols, random))


class Composed(Resampling):
    """Geometric transforms, one after the other, done in one resampling.

    Each resampling blurs; one of three blurs as little as one.

    Parameters
    ----------
    steps
        In the order in which they are done.
    """

    def __init__(self, steps: Sequence[Geometric]) -> None:
        self.steps = tuple(steps)

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return where pixels come from, see `Geometric.maps`."""
        maps = np.tile(np.eye(3), (patches, 1, 1))
        for step in self.steps:
            # A pixel of the result is sought in the last step's source first.
            maps = maps @ step.maps(patches, rows, cols, random)
        return maps


@register("rotate")
class Rotate(Resampling):
    """Turn each patch about its middle by any angle.

    Parameters
    ----------
    degrees
        The angle is uniform from −degrees to degrees.
    """

    def __init__(self, degrees: float = 180) -> None:
        self.degrees = number("rotate's degrees", degrees, minimum=0, maximum=180)

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return where pixels come from, see `Geometric.maps`."""
        del rows, cols
        angles = np.radians(random.uniform(-self.degrees, self.degrees, size=patches))
        maps = np.tile(np.eye(3), (patches, 1, 1))
        maps[:, 0, 0] = maps[:, 1, 1] = np.cos(angles)
        maps[:, 0, 1], maps[:, 1, 0] = np.sin(angles), -np.sin(angles)
        return maps


@register("translate")
class Translate(Resampling):
    """Move each patch along its rows and along its columns, by fractions of a pixel too.

    Parameters
    ----------
    share
        Each way is uniform from −share to share of the patch's length along it.
    """

    def __init__(self, share: float = 0.1) -> None:
        self.share = number("translate's share", share, minimum=0, maximum=1)

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return where pixels come from, see `Geometric.maps`."""
        drawn = random.uniform(-self.share, self.share, size=(patches, 2))
        maps = np.tile(np.eye(3), (patches, 1, 1))
        maps[:, :2, 2] = drawn * [rows, cols]
        return maps


@register("scale")
class Scale(Resampling):
    """Enlarge or shrink each patch about its middle, both axes alike.

    Parameters
    ----------
    low, high
        Bounds of the factor; its logarithm is uniform, so that twice as large is as likely as half
        as large. Nothing is averaged when shrinking: below ½ readings are passed over, and `crop`
        with its ``downscale`` is the better way.
    """

    def __init__(self, low: float = 0.8, high: float = 1.25) -> None:
        self.low = number("scale's low", low, minimum=0.1, maximum=10)
        self.high = number("scale's high", high, minimum=0.1, maximum=10)
        if self.low > self.high:
            raise OptionError(f"scale's low {self.low:g} is above its high {self.high:g}")

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return where pixels come from, see `Geometric.maps`."""
        del rows, cols
        drawn = np.exp(random.uniform(np.log(self.low), np.log(self.high), size=patches))
        maps = np.tile(np.eye(3), (patches, 1, 1))
        maps[:, 0, 0] = maps[:, 1, 1] = 1 / drawn
        return maps
