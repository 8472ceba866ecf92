"""What came of a scene's activation maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.cam.seams import Seams
from geoseg.training.metrics import PixelScores, PresenceScores


@dataclass(frozen=True, kw_only=True, eq=False)
class CamScores:
    """How well classes were found, against labels of pixels."""

    ways: Mapping[str, NDArray[np.int64]]
    """By way of combining maps: (classes, classes) pixels, rows are labels, columns weak labels."""
    task: NDArray[np.int64] | None
    """(classes, 2, 2) patches by class, by whether it is there, and by whether the network says so;
    None where that was not looked at."""
    patches: int
    """Patches that the regression was fitted on; they are left out of `ways`."""

    def of(self, way: str) -> PixelScores:
        """Return the scores of a way of combining maps."""
        return PixelScores(self.ways[way])

    @property
    def presence(self) -> PresenceScores | None:
        """Scores of what the network was trained for: which classes patches hold."""
        return None if self.task is None else PresenceScores(self.task)

    @property
    def pixel_majority(self) -> float:
        """Accuracy of giving every pixel the class of most of them; NaN without any."""
        counts = next(iter(self.ways.values())).sum(axis=1)
        return float(counts.max() / counts.sum()) if counts.sum() else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """An example: part of a scene, its maps and its labels."""

    row: int
    """First row of the scene."""
    col: int
    """First column."""
    image: NDArray[Any]
    """(bands, rows, cols) readings."""
    valid: NDArray[np.bool_]
    """(rows, cols)."""
    maps: NDArray[np.float32]
    """(classes, rows, cols) activations; NaN where there is none."""
    index: NDArray[np.uint8]
    """(rows, cols) weak label as class index, 255 where there is none."""
    truth: NDArray[np.uint8]
    """(rows, cols) label as class index, 255 where there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CamResult:
    """What a run did."""

    outputs: tuple[Path, ...]
    """Files written, the activation maps first."""
    settings: Mapping[str, Any]
    """How maps and labels were made, as the options of the command line."""
    combine: str | None
    """How weak labels were made; None where none were."""
    pixels: Mapping[str, int]
    """Pixels of each class among the weak labels, by name, in the order of the legend."""
    hectares: Mapping[str, float] | None
    """The same as areas, where pixels have an area on Earth."""
    nodata: int
    """Pixels without activations."""
    seams: Seams
    """How much more maps differ across lines of patches than elsewhere."""
    scores: CamScores | None
    """Against a reference; None without one."""
    panels: tuple[Panel, ...]
    """Examples, where a report was asked for."""
    tiles: int
    """Tiles computed."""
    skipped: int
    """Tiles left out because nothing in them is wanted."""
    seconds: float
    """Wall time."""
    notes: tuple[str, ...] = ()
    """What the user should know."""
