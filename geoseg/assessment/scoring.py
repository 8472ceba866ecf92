"""What of maps and labels is scored, and what is allowed to bring them together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoseg.raster.legend import Legend


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """By what maps are compared with labels: one value for one map, several, and folders."""

    classes: Legend | None = None
    """The classes and the label values that mean them. None for those that the prediction names,
    else those that the labels name, else the values found in both (8-bit rasters only)."""
    ignore: tuple[int | str, ...] = ()
    """Label values that are not scored; the name of a class stands for all its values."""
    leave_out: tuple[int | str, ...] = ()
    """Ids or names of classes that enter no mean over classes."""
    region: str | Path | None = None
    """Score inside these polygons only: a vector file, or "xmin,ymin,xmax,ymax"."""
    assume_aligned: bool = False
    """Where one of both has no place on Earth, take pixels of the same row and column as the
    same."""
    strict_grid: bool = False
    """Refuse labels whose pixels are not those of the prediction."""
    unpredicted_is_wrong: bool = False
    """Count labelled pixels without a prediction as errors."""
