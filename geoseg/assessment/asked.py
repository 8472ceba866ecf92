"""An evaluation as a person asks for it, in words and paths; made the job that does it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from geoseg.assessment.evaluating import Job, Reports
from geoseg.assessment.findings import StagesWanted, Wanted, size_of
from geoseg.assessment.folders import FolderJob, are_folders, compare_folders
from geoseg.assessment.polygonlabels import open_labels
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.sides import compare_sides
from geoseg.assessment.splits import SplitJob, check_split
from geoseg.assessment.stages import StageTable
from geoseg.errors import OptionError

Classes = tuple[int | str, ...]
"""Ids or names of classes."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of an evaluation; fields are named as the options of ``geoseg evaluate``."""

    classes: str | None = None
    """Classes and the label values that mean them, as `parse_legend` reads them."""
    field: str | None = None
    """Attribute of polygons that says their class."""
    ignore: Classes = ()
    """Label values, or names of classes, that are not scored."""
    leave_out: Classes = ()
    """Classes that enter no mean."""
    unpredicted: str = "ignore"
    """What a labelled pixel without a prediction is: "ignore" or "wrong"."""
    region: str | None = None
    """Polygons, or "xmin,ymin,xmax,ymax", inside which is scored."""
    assume_aligned: bool = False
    """Whether pixels of the same row and column are the same where a raster has no place."""
    strict_grid: bool = False
    """Whether labels on another grid are refused."""
    bootstrap: int = 0
    """How often blocks are drawn."""
    block: str = "64px"
    """Side of the blocks."""
    seed: int = 0
    """What the draws depend on."""
    boundary: str | None = None
    """Distance within which borders are compared."""
    seams: int | None = None
    """Distance of the lines along which changes of class are counted, in pixels."""
    stages: str | None = None
    """"agde", or a table of stages."""
    target: Classes = ()
    """Classes whose coverage the stages take."""
    exclude: Classes = ()
    """Classes that count for nothing in the stages."""
    cell: str | None = None
    """Side of the cells of the stages."""
    split: str | None = None
    """Split of a data set, on which a model is scored."""
    device: str = "auto"
    """Where the model runs."""
    reports: Reports
    """What to write."""

    def __post_init__(self) -> None:
        if self.unpredicted not in ("ignore", "wrong"):
            raise OptionError(f"unpredicted is ignore or wrong, not {self.unpredicted!r}")
        if self.stages is None and (self.target or self.exclude or self.cell):
            raise OptionError("--target, --exclude and --cell go with --stages")
        if self.stages is not None and not self.target:
            raise OptionError("--stages needs --target and, of maps, --cell")

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked for, by the names of options; nothing that is the default."""
        drawn = self.bootstrap > 0
        asked = {
            "split": self.split,
            "classes": self.classes,
            "field": self.field,
            "scene": self.reports.scene,
            "assume-aligned": self.assume_aligned,
            "strict-grid": self.strict_grid,
            "region": self.region,
            "ignore": list(self.ignore),
            "leave-out": list(self.leave_out),
            "unpredicted": self.unpredicted,
            "bootstrap": self.bootstrap,
            "block": self.block if drawn else None,
            "seed": self.seed if drawn else None,
            "boundary": self.boundary,
            "seams": self.seams,
            "stages": self.stages,
            "target": list(self.target),
            "exclude": list(self.exclude),
            "cell": self.cell,
        }
        return {name: value for name, value in asked.items() if value not in (None, [], 0)}

    @property
    def wanted(self) -> Wanted:
        """What to find beyond scores; OptionError where a length is none."""
        stages = None
        if self.stages is not None:
            stages = StagesWanted(
                table=StageTable.parse(self.stages),
                target=self.target,
                excluded=self.exclude,
                cell=None if self.cell is None else size_of(self.cell, "--cell"),
            )
        return Wanted(
            resamples=self.bootstrap,
            block=size_of(self.block, "--block"),
            seed=self.seed,
            boundary=None if self.boundary is None else size_of(self.boundary, "--boundary"),
            seams=self.seams,
            stages=stages,
        )

    @contextmanager
    def job(
        self, rasters: Sequence[str], *, workers: int
    ) -> Iterator[tuple[Job | FolderJob | SplitJob, tuple[str, ...]]]:
        """Lay what is named on each other, for as long as the context lasts.

        Parameters
        ----------
        rasters
            Predictions, and last the labels; with a split a model and a data set.
        workers
            Threads that paint polygons.

        Yields
        ------
        The job, checked; and what was done to make all comparable, in words.

        Raises
        ------
        OptionError, InputError, OutputError
            Options do not go together, files cannot be compared, or outputs not written.
        """
        if len(rasters) < 2:
            raise OptionError("give a prediction (or several) and, last, the labels")
        named = [self.reports.scene, self.classes, self.stages, self.region]
        read = [path for path in named if path is not None and os.path.exists(path)]
        self.reports.check([*rasters, *read])
        if self.split is not None:
            yield self._of_split(rasters, self.split), ()
            return
        many = are_folders(rasters)
        if self.stages is not None and self.cell is None and not many:
            raise OptionError("--stages needs --target and --cell")
        made: dict[str, Any] = {
            "wanted": self.wanted,
            "reports": self.reports,
            "settings": self.settings,
        }
        with open_labels(
            rasters[-1],
            rasters[0],
            field=self.field,
            classes=self.classes,
            workers=workers,
            many=many,
        ) as labels:
            scoring = Scoring(
                classes=labels.classes,
                ignore=self.ignore,
                leave_out=self.leave_out,
                region=self.region,
                assume_aligned=self.assume_aligned,
                strict_grid=self.strict_grid,
                unpredicted_is_wrong=self.unpredicted == "wrong",
            )
            job: Job | FolderJob
            if many:
                job = compare_folders(
                    [*rasters[:-1], labels.path], scoring, labels_name=labels.name, **made
                )
                notes = (*labels.notes, *job.notes, *job.notes_of_maps)
            else:
                sides = compare_sides(rasters[:-1], labels.path, scoring, labels_name=labels.name)
                job = Job(sides=sides, **made)
                notes = (*labels.notes, *(n for one in sides.comparisons for n in one.notes))
            job.check()
            yield job, tuple(dict.fromkeys(notes))

    def _of_split(self, rasters: Sequence[str], split: str) -> SplitJob:
        settings = self.settings
        alike = ("split", "leave-out", "unpredicted", "scene")
        more = ["unpredicted"] if self.unpredicted == "wrong" else []
        check_split(rasters, [*(name for name in settings if name not in alike), *more])
        return SplitJob(
            model=rasters[0],
            dataset=rasters[1],
            split=split,
            leave_out=self.leave_out,
            device=self.device,
            reports=self.reports,
            settings=settings,
        )
