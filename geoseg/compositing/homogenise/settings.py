"""What can be asked of bringing images to one colour, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from geoseg.compositing.homogenise.outliers import check_share
from geoseg.compositing.homogenise.seams import Seam, overall, overall_median
from geoseg.compositing.homogenise.standard import Cast, Dodge, Haze, Method, Standard
from geoseg.errors import OptionError

__all__ = ["DODGE", "HomogeniseResult", "HomogeniseSettings", "ImageResult"]

DODGE = Dodge(cell=256, brightness=0.8, contrast=0.8)
"""What `--dodge` alone means."""


@dataclass(frozen=True, kw_only=True)
class HomogeniseSettings:
    """How images are brought to one colour."""

    method: Method | None = None
    """"moments", "histogram", "overlap"; None for "overlap" where images overlap, else
    "moments"."""
    haze: Haze | None = None
    """What is taken off before."""
    cast: Cast | None = None
    """What is balanced before."""
    dodge: Dodge | None = None
    """What is evened out after."""
    outliers: float | None = None
    """Share of the readings at each end of each band of each image that is cut before all else;
    None for none."""

    def __post_init__(self) -> None:
        for name, kind in (("method", Method), ("haze", Haze), ("cast", Cast)):
            if getattr(self, name) not in (None, *get_args(kind)):
                raise OptionError(
                    f"{name} is {' or '.join(get_args(kind))}, not {getattr(self, name)!r}"
                )
        if self.outliers is not None:
            check_share(self.outliers)

    def words(self) -> dict[str, Any]:
        """Return the options that say this, by their names."""
        given = (("method", self.method), ("haze", self.haze), ("cast", self.cast))
        said: dict[str, Any] = {name: value for name, value in given if value is not None}
        if self.outliers is not None:
            said["outliers"] = f"{self.outliers:g}"
        if self.dodge is not None:
            said |= {
                "dodge": True,
                "dodge-cell": self.dodge.cell,
                "dodge-brightness": f"{self.dodge.brightness:g}",
                "dodge-contrast": f"{self.dodge.contrast:g}",
            }
        return said


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """What came of one image."""

    name: str
    output: Path
    """The raster that was written."""
    gains: tuple[float, ...] | None
    """Reading × gain + offset, a band; None where a curve or a local adjustment says more."""
    offsets: tuple[float, ...] | None
    clipped: int
    """Readings that did not fit into the type and became the nearest that does."""
    readings: int
    """How many there are: valid pixels × bands."""


@dataclass(frozen=True, kw_only=True)
class HomogeniseResult:
    """Finished files and what was counted."""

    folder: Path
    standard: Standard
    """The colour; also in colour.json."""
    images: tuple[ImageResult, ...]
    """In the order given."""
    names: tuple[str, ...]
    """What `Seam.pair` counts by: the images, then the reference if it is none of them."""
    before: tuple[Seam, ...]
    """Differences before, a pair each."""
    after: tuple[Seam, ...]
    """The same after."""
    kept: bool
    """Whether all images were left as they are, because nothing made them agree better."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each without its full stop."""
    options: Mapping[str, Any]
    """Options that were asked for, by their names."""
    seconds: float

    @property
    def relative_before(self) -> float:
        """Mean difference over all seams, in deviations; NaN where there is none."""
        return overall(self.before)

    @property
    def relative_after(self) -> float:
        """The same after."""
        return overall(self.after)

    @property
    def median_before(self) -> float:
        """Difference of the pixel in the middle over all seams, in deviations; NaN if none is."""
        return overall_median(self.before)

    @property
    def median_after(self) -> float:
        """The same after."""
        return overall_median(self.after)
