"""What will be cut, gathered from what a person named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.compositing.homogenise.standard import Standard
from geoseg.errors import RasterReadError
from geoseg.patches.dataset import Labelling
from geoseg.patches.job import Job
from geoseg.raster.grouping import Problem
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Scene

Source = str | Path
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SetColour:
    """The one colour of a set's scenes."""

    standard: Standard
    """Of the set's bands."""
    seams: tuple[float, float] | None
    """How much scenes differed where they overlap or abut, before and after; None where they were
    not made to fit each other, or nowhere meet."""


@dataclass(kw_only=True)
class Inputs:
    """Everything that will be cut."""

    jobs: list[Job]
    """In the order of the scenes."""
    problems: list[Problem]
    """What was named and cannot be used."""
    bands: tuple[str, ...]
    """Names of the bands, the same for all scenes."""
    dtype: np.dtype[Any]
    """Holds the readings of all scenes."""
    legend: Legend | None
    """Classes, if they were given or the labels carry them."""
    label_paths: tuple[str, ...] = ()
    """Files of labels."""
    confidence_paths: tuple[str, ...] = ()
    """Files of the labels' confidences."""
    label_table: str | None = None
    """Table of labels of whole patches."""
    region_fingerprints: dict[str, str] = field(default_factory=dict)
    """By scene."""
    colour: SetColour | None = None
    """What scenes were brought to; None where they are taken as they are."""
    scale: int = 1
    """n where scenes are seen at 1:n."""
    _contents: dict[tuple[str, ...], str] = field(default_factory=dict, repr=False)

    @property
    def labelling(self) -> Labelling | None:
        """What labels are of."""
        if self.label_table is not None:
            return "patches"
        return None if self.legend is None else "pixels"

    @property
    def pixel_legend(self) -> Legend | None:
        """Classes of pixels; None where pixels have no labels."""
        return self.legend if self.labelling == "pixels" else None

    def contents(self, scene: Scene) -> str:
        """Digest of a scene's files, taken once a run: far away, each is many requests."""
        if scene.paths not in self._contents:
            self._contents[scene.paths] = scene.fingerprint()
        return self._contents[scene.paths]

    def drop(self, job: Job, reason: str) -> None:
        """Leave out a scene that cannot be used.

        Raises
        ------
        RasterReadError
            It was the last one.
        """
        self.jobs.remove(job)
        self.problems.append(Problem(job.scene.paths[0], reason))
        if not self.jobs:
            raise nothing_left(self.problems)


def nothing_left(problems: Sequence[Problem]) -> RasterReadError:
    """Say that none of the inputs can be used."""
    first = problems[0]
    known = Path(first.path).name in first.reason
    text = first.reason if known else f"{first.path}: {first.reason}"
    if len(problems) > 1:
        text = f"none of the {len(problems)} inputs can be used; the first: {text}"
    return RasterReadError(text)
