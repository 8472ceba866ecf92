"""What a comparison will train, and whether all of it can be trained. Trains nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoseg.errors import DatasetError, GeosegError, OptionError, OutputError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.folds import Fold, make_folds
from geoseg.patches.subset import SubsetDataset
from geoseg.raster.outputs.trouble import output_error
from geoseg.terms import Value
from geoseg.training.comparison.grid import expand, file_names, value_text
from geoseg.training.comparison.job import Job, is_done
from geoseg.training.comparison.scoring import check_fits
from geoseg.training.comparison.table import FOLD
from geoseg.training.run import Run
from geoseg.training.settings import Settings
from geoseg.training.setup import check_kind

MOST_JOBS = 256


@dataclass(frozen=True, kw_only=True)
class How:
    """How the runs of a comparison are made, whatever they vary."""

    jobs: int = 1
    """Runs at a time, as processes of their own that share the processors. A run's sums may be
    rounded otherwise on another number of threads."""
    device: str = "auto"
    """As for `geoseg.training.fit.fit`, and so are what follow but `overwrite`."""
    threads: int | None = None
    """Over all jobs."""
    workers: int = 2
    description: str | None = None
    stored_as: str = "float32"
    tensorboard: str | Path | None = None
    """Folder in which each run gets one of its own; None for none."""
    overwrite: bool = False
    """Whether all are trained anew, also what is there."""

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_JOBS:
            raise OptionError(f"--jobs must be from 1 to {MOST_JOBS}, not {self.jobs}")

    def of_run(self, name: str) -> dict[str, Any]:
        """Return the further arguments of `geoseg.training.fit.fit` for a run of this name."""
        board = self.tensorboard
        return {
            "workers": self.workers,
            "description": self.description,
            "stored_as": self.stored_as,
            **({} if board is None else {"tensorboard": str(Path(board).absolute() / name)}),
        }


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a comparison."""

    number: int
    """From 1."""
    chosen: Mapping[str, Any]
    """What was varied, by field of `Settings`."""
    settings: Settings
    fold: Fold | None
    """None without folds."""
    job: Job
    is_done: bool
    """Whether its model is there already."""

    @property
    def title(self) -> str:
        """What is varied, in words."""
        words = [f"{key} {value_text(value)}" for key, value in self.chosen.items()]
        if self.fold is not None:
            words.append(f"fold {self.fold.number} of {self.fold.count}")
        return ", ".join(words) or "as given"


@dataclass(frozen=True, kw_only=True)
class ComparisonPlan:
    """What will be trained; made by `plan_comparison`."""

    dataset: PatchDataset
    folder: Path
    base: Settings
    runs: tuple[PlannedRun, ...]
    folds: int | None
    test: PatchDataset | None
    """With a split ``test``, which every model is scored on."""

    @property
    def keys(self) -> tuple[str, ...]:
        """What is varied."""
        return (*self.runs[0].chosen, *(() if self.folds is None else (FOLD,)))

    @property
    def epochs(self) -> int:
        """Epochs of the runs that are not done; some may be behind an interrupted one."""
        return sum(
            getattr(run.settings, "all_epochs", run.settings.epochs)
            for run in self.runs
            if not run.is_done
        )

    @property
    def scored_on(self) -> str:
        """Which patches the scores are of."""
        if self.test is not None:
            return "test"
        return "validation" if self.runs[0].job.dataset.splits.get("val") else "training"


def plan_comparison(
    dataset: PatchDataset | str | Path,
    folder: str | Path,
    base: Settings,
    grid: Mapping[str, Sequence[Value | Mapping[str, Value] | None]],
    how: How,
    *,
    folds: int | None = None,
    test: PatchDataset | str | Path | None = None,
) -> ComparisonPlan:
    """Say what a comparison trains, and check all of it as far as can be done beforehand.

    Makes the folder if all is well; trains nothing. Parameters and errors are those of
    `geoseg.training.comparison.compare.compare`.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise OptionError(
            "a comparison runs several models beside each other with --jobs, not with torchrun"
        )
    opened = dataset if isinstance(dataset, PatchDataset) else PatchDataset.open(dataset)
    combinations = expand(base, grid)
    found = (None,) if folds is None else make_folds(opened, folds)
    tested = _test_set(opened, test, has_folds=folds is not None)
    place = _checked(Path(folder))
    sets = [opened if fold is None else fold.of(opened) for fold in found]
    cells = [(c, s, f, d) for c, s in combinations for f, d in zip(found, sets, strict=True)]
    names = file_names([{**c, **({} if f is None else {FOLD: f.number})} for c, _, f, _ in cells])
    runs = []
    for number, (name, (chosen, settings, fold, data)) in enumerate(zip(names, cells, strict=True)):
        job = Job(
            dataset=data,
            settings=settings,
            model=place / f"{name}.safetensors",
            test=tested,
            device=how.device,
            threads=how.threads,
            overwrite=how.overwrite,
            options=how.of_run(name),
        )
        runs.append(
            PlannedRun(
                number=number + 1,
                chosen=chosen,
                settings=settings,
                fold=fold,
                job=job,
                is_done=not how.overwrite and is_done(job),
            )
        )
    if not how.overwrite:
        _check_table(place, opened, {run.job.model.name for run in runs})
    _try_out([run for run in runs if not run.is_done])
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(error, place) from error
    return ComparisonPlan(
        dataset=opened, folder=place, base=base, runs=tuple(runs), folds=folds, test=tested
    )


def _check_table(folder: Path, dataset: PatchDataset, models: Collection[str]) -> None:
    """Refuse to replace the table of a comparison that this one does not hold whole."""
    path = folder / "comparison.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        others = {run["model"] for run in held["runs"]} - set(models)
        same = held["data"]["hash"] == dataset.hash()
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is no table of a comparison: choose another folder") from error
    if others or not same:
        what = f"with runs such as {sorted(others)[0]}" if others else "of other data"
        raise OutputError(
            f"{folder} holds the table of another comparison, {what}: choose another folder, or"
            " replace it with --overwrite"
        )


def _test_set(
    dataset: PatchDataset, test: PatchDataset | str | Path | None, *, has_folds: bool
) -> PatchDataset | None:
    """Return a data set whose split ``test`` models are scored on; None for none."""
    if test is None:
        if has_folds or not dataset.splits.get("test"):
            return None
        other = dataset
    else:
        other = test if isinstance(test, PatchDataset) else PatchDataset.open(test)
    if dataset.legend is not None:
        check_fits(other, dataset.bands, tuple(dataset.legend.ids))
    if other.splits.get("test"):
        return other
    filled = [name for name, count in other.splits.items() if count]
    if not filled:
        raise DatasetError(f"{other.folder} has no patches to score on")
    every = [(name, np.arange(other.splits[name], dtype=np.int64)) for name in filled]
    return SubsetDataset(other, {"test": every})


def _checked(folder: Path) -> Path:
    """Tell whether the folder of a comparison is there, or can be made."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is there and is no folder; choose another name")
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise OutputError(f"{folder}: the folder {parent} does not exist; make it first")
    there = folder if folder.is_dir() else parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {there} cannot be written to")
    return folder


def _try_out(runs: Sequence[PlannedRun]) -> None:
    """Set each different run up once, on the processor, so that what is wrong is told at once."""
    seen = []
    for run in runs:
        alike = {**run.settings.to_json(), "seed": None}
        if alike in seen:
            continue
        seen.append(alike)
        try:
            with torch.random.fork_rng(devices=[]):
                made = Run(run.job.dataset, run.settings, torch.device("cpu"))
                if run.job.test is not None:
                    check_kind(run.job.test, of_patches=made.setup.of_patches)
        except GeosegError as error:
            raise type(error)(f"{run.title}: {error}") from error
        if run.settings.patience is not None and not run.job.dataset.splits.get("val"):
            raise OptionError("--patience needs validation patches: tile again with --split")
