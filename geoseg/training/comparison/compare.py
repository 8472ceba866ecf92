"""Many runs that differ in what is varied, and the table of what came of them.

A grid of settings is trained, run by run, into one folder: a model a run with what belongs beside
it, and ``comparison.csv``, ``comparison.json`` and ``comparison.html``. The same call again skips
what is done and goes on with what was interrupted, so that a grid can also grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg import __version__
from geoseg.patches.dataset import PatchDataset
from geoseg.raster.maker import KEY, document_with, page_with
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.provenance import maker_tags
from geoseg.terms import Value
from geoseg.training.comparison.plan import ComparisonPlan, How, PlannedRun, plan_comparison
from geoseg.training.comparison.pool import run_jobs
from geoseg.training.comparison.table import (
    comparison_csv,
    group_runs,
    plain_scores,
    shown_settings,
)
from geoseg.training.maker import TEST, training_tags
from geoseg.training.records import EpochRecord, report_json
from geoseg.training.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A finished comparison."""

    folder: Path
    content: Mapping[str, Any]
    """What stands in ``comparison.json``, see `comparison_json`."""
    paths: Mapping[str, Path]
    """Files written: ``json``, ``csv``, ``page``."""


def compare(
    dataset: PatchDataset | str | Path,
    folder: str | Path,
    base: Settings,
    grid: Mapping[str, Sequence[Value | Mapping[str, Value] | None]],
    how: How | None = None,
    *,
    folds: int | None = None,
    test: PatchDataset | str | Path | None = None,
    on_plan: Callable[[ComparisonPlan], None] | None = None,
    on_start: Callable[[PlannedRun], None] | None = None,
    on_epoch: Callable[[PlannedRun, EpochRecord], None] | None = None,
    on_run: Callable[[PlannedRun, Mapping[str, Any]], None] | None = None,
) -> Comparison:
    """Train every combination of some settings and set their scores side by side.

    Models are scored in evaluation mode: on the test patches where there are any, else on the
    validation patches (of the epoch kept, which was chosen by those very patches, so that these
    scores flatter a little; alike for all). With folds, on the validation patches of each fold, and
    on test patches only where `test` names them: what is chosen by cross-validation must not look
    at them. Runs of the same settings but for the seed and the fold make a row, with the mean and
    the standard deviation over them.

    Normalisation is that of the data set, for all runs and folds.

    Parameters
    ----------
    dataset
        The data set or its folder.
    folder
        Where models and tables go; made if it is not there.
    base
        Everything that is not varied.
    grid
        Field of `Settings` → values, see `geoseg.training.grid.expand`.
    how
        How all are made; None for the defaults.
    folds
        Train each combination on so many folds of the training and validation patches, see
        `geoseg.patches.folds`; None for the splits as they are.
    test
        Score on the patches of this data set: on its split ``test``, on all without one.
    on_plan, on_start, on_epoch, on_run
        Called with the plan; with each run that begins; with each epoch done; with each run and its
        outcome (see `geoseg.training.comparison.job.run_job`).

    Returns
    -------
    comparison
        The scores, and what was written.

    Raises
    ------
    KeyboardInterrupt
        Somebody pressed Ctrl-C; the same call goes on from there.
    GeosegError
        Something of the plan makes no sense, which is told before the first run; a run failed; or
        something cannot be written. A run that merely diverged is noted, and the others go on.
    """
    how = how or How()
    plan = plan_comparison(dataset, folder, base, grid, how, folds=folds, test=test)
    if on_plan is not None:
        on_plan(plan)
    runs = plan.runs

    def start(number: int) -> None:
        if on_start is not None and not runs[number].is_done:
            on_start(runs[number])

    def epoch(number: int, record: EpochRecord) -> None:
        if on_epoch is not None:
            on_epoch(runs[number], record)

    outcomes: dict[int, dict[str, Any]] = {}
    # What is done is only scored, so that no process is started for it.
    done = [n for n, run in enumerate(runs) if run.is_done]
    left = [n for n, run in enumerate(runs) if not run.is_done]
    for numbers, at_once in ((done, 1), (left, min(how.jobs, max(1, len(left))))):
        work = run_jobs(
            [runs[n].job for n in numbers],
            at_once=at_once,
            on_start=lambda place, numbers=numbers: start(numbers[place]),  # type: ignore[misc]
            on_epoch=lambda place, r, numbers=numbers: epoch(numbers[place], r),  # type: ignore[misc]
        )
        with closing(work):
            for place, outcome in work:
                outcomes[numbers[place]] = outcome
                if on_run is not None:
                    on_run(runs[numbers[place]], outcome)
    content = comparison_json(plan, [outcomes[n] for n in range(len(runs))])
    return Comparison(folder=plan.folder, content=content, paths=_write(plan.folder, content))


def comparison_json(plan: ComparisonPlan, outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a comparison found as plain JSON objects.

    Parameters
    ----------
    plan
        What was to be trained.
    outcomes
        What came of each run, in the plan's order.

    Returns
    -------
    comparison
        ``keys`` (what was varied, seed and fold among it), ``scored_on``, ``folds``, ``base`` (the
        settings that were not varied), ``data``; ``runs``, each with its varied ``settings``,
        ``model`` (file name), ``scores`` and those on the ``validation`` patches, ``epoch``,
        ``seconds`` and ``error`` (why it diverged, or null); ``groups``, see
        `geoseg.training.comparison.table.group_runs`; and ``made_by``, what made it.
    """
    names = plan.dataset.legend.names if plan.dataset.legend is not None else ()
    runs = []
    for run, outcome in zip(plan.runs, outcomes, strict=True):
        kept = outcome["scores"] if plan.test is None else outcome["test"]
        runs.append(
            {
                "settings": shown_settings(
                    run.chosen, None if run.fold is None else run.fold.number
                ),
                "model": run.job.model.name,
                "scores": plain_scores(kept, names),
                "validation": plain_scores(outcome["scores"], names)
                if outcome["split"] == "val"
                else None,
                "epoch": outcome["epoch"],
                "seconds": outcome["seconds"],
                "error": outcome["error"],
            }
        )
    base = plan.base.to_json()
    content = {
        "keys": list(plan.keys),
        "scored_on": plan.scored_on,
        "folds": plan.folds,
        "base": {key: value for key, value in base.items() if key not in plan.keys},
        "data": {
            "name": plan.dataset.folder.absolute().name,
            "hash": plan.dataset.hash(),
            "test": None if plan.test is None else plan.test.hash(),
        },
        "runs": runs,
        "groups": group_runs(runs),
        "version": __version__,
    }
    return document_with(content, _tags(plan, base))


def _tags(plan: ComparisonPlan, base: Mapping[str, Any]) -> dict[str, str]:
    """Say what made the table."""
    compared: dict[str, list[str]] = {}
    for run in plan.runs:
        for key, value in shown_settings(run.chosen, None).items():
            values = compared.setdefault(key, [])
            if str(value) not in values:
                values.append(str(value))
    another = plan.test is not None and plan.test.hash() != plan.dataset.hash()
    return training_tags(
        plan.dataset,
        {key: value for key, value in base.items() if key not in plan.keys},
        compared=compared,
        folds=plan.folds,
        others={TEST: plan.test.hash()} if another and plan.test is not None else None,
    )


def _write(folder: Path, content: Mapping[str, Any]) -> dict[str, Path]:
    # Imported here: it brings the library that draws.
    from geoseg.training.report.comparison import comparison_page  # noqa: PLC0415

    paths = {
        "json": folder / "comparison.json",
        "csv": folder / "comparison.csv",
        "page": folder / "comparison.html",
    }
    with TemporaryFolder(paths["json"]) as hidden:
        made = hidden.path / "comparison.json"
        made.write_text(report_json(content), encoding="utf-8")
        page = page_with(comparison_page(content), maker_tags(content[KEY]))
        hidden.publish(
            made, {paths["csv"]: comparison_csv(content), paths["page"]: page}, overwrite=True
        )
    return paths
