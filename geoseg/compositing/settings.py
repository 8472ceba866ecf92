"""What a composite is to be, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.masks import ClearRule
from geoseg.compositing.reduce import Reduction
from geoseg.compositing.storage import StoredType
from geoseg.raster.grid import Grid

Resampling = Literal["nearest", "bilinear", "cubic"]


@dataclass(frozen=True, kw_only=True)
class CompositeSettings:
    """What a composite is."""

    bands: tuple[str, ...] | None = None
    """Common names or aliases, in order; None for those that all products share."""
    reduction: Reduction = field(default_factory=Reduction)
    """How dates become one."""
    rule: ClearRule = field(default_factory=ClearRule)
    """What counts as clear."""
    resampling: Resampling = "nearest"
    """How readings of other grids come to the composite's; see `geoseg.compositing.dates`."""
    dtype: StoredType = "float32"
    """Type in the file; whole numbers are stored with scale and offset."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What else was asked for, by the names of the command's options: how scenes were opened and
    where the grid lies. It changes nothing; metadata tell it. None stands for not asked."""

    def words(self) -> dict[str, Any]:
        """Return the settings, and what else was asked for, by the names of the options."""
        words: dict[str, Any] = {"method": self.reduction.method}
        if self.reduction.percentile is not None:
            words["percentile"] = self.reduction.percentile
        words |= {
            "keep": ",".join(sorted(self.rule.keep)) or "none",
            "confidence": self.rule.confidence,
            "dilate": self.rule.dilate,
            "resampling": self.resampling,
            "dtype": self.dtype,
        }
        return words | {name: value for name, value in self.asked.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class CompositeResult:
    """What came of it."""

    outputs: tuple[Path, ...]
    """Files written."""
    grid: Grid
    """Where it lies."""
    bands: tuple[str, ...]
    """Its bands, without the counts."""
    dates: tuple[str, ...]
    """Names of the products that went in."""
    outside: tuple[str, ...]
    """Names of those that do not lie on the grid."""
    left_out: tuple[str, ...]
    """Bands that not all products have, and that were left out for that."""
    unmasked: tuple[str, ...]
    """Names of those without quality bands: all that is not fill counted as clear."""
    counts: NDArray[np.int64]
    """(dates + 1,) pixels by their number of clear dates; of the region, if there is one."""
    clipped: int
    """Values that whole numbers could not hold."""
    keep: frozenset[str] = frozenset()
    """What counted as clear besides clear land."""
    hidden_by: Mapping[str, float] = field(default_factory=dict)
    """Where no pixel is clear on any date: flag → share of the readings that it hides, of some
    windows of some dates, the largest first. A reading may be hidden by several."""
    taken_over: int = 0
    """Pixels that an earlier run had finished."""
    whole: bool = False
    """Whether an earlier run had made the files, and nothing was done."""
    seconds: float
    """How long it took."""
