"""``geoseg train --compare``: many runs in place of one, and the table of what came of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import emit, note
from geoseg.cli.progress import progress
from geoseg.cli.stopped import way_on
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.training.comparison.plan import ComparisonPlan, PlannedRun
    from geoseg.training.records import EpochRecord
    from geoseg.training.settings import Settings

_NARROWEST = 80
_BEST = "*"


def parse_comparisons(values: Sequence[str]) -> dict[str, list[str]]:
    """Read ``KEY=A; B; …`` once for each time that ``--compare`` was given.

    Raises
    ------
    OptionError
        A text is none such, or two are of one key.
    """
    grid: dict[str, list[str]] = {}
    for value in values:
        key, sign, text = value.partition("=")
        key, listed = key.strip(), [part.strip() for part in text.split(";")]
        # A last semicolon does no harm.
        if len(listed) > 1 and not listed[-1]:
            listed.pop()
        if not sign or not key or not all(listed):
            raise OptionError(f"--compare {value!r} is not KEY=A; B; …")
        if key in grid:
            raise OptionError(f"--compare names {key!r} twice: give all its values in one")
        grid[key] = listed
    return grid


def run_comparison(
    ctx: click.Context,
    dataset: str,
    output: str,
    settings: Settings,
    *,
    compare: Sequence[str],
    folds: int | None,
    test: str | None,
    jobs: int,
    device: str,
    as_json: bool,
    running: Mapping[str, Any],
) -> None:
    """Train a grid of settings and print its table; `running` are further arguments of `fit`."""
    # Imported when the command runs: torch takes seconds.
    from geoseg.training.comparison.compare import compare as compare_runs  # noqa: PLC0415
    from geoseg.training.comparison.plan import How  # noqa: PLC0415

    grid = parse_comparisons(compare)
    # What is done is never done again, so that going on needs no asking.
    options = {key: value for key, value in running.items() if key != "resume"}
    talk = _Talk()
    try:
        with progress(None, "comparing", "epochs") as bar:

            def epoch(run: PlannedRun, record: EpochRecord) -> None:
                del run, record
                bar.update(1)

            found = compare_runs(
                dataset,
                output,
                settings,
                grid,
                How(jobs=jobs, device=device, **options),
                folds=folds,
                test=test,
                on_plan=talk.plan,
                on_start=talk.start,
                on_epoch=epoch,
                on_run=talk.run,
            )
    except KeyboardInterrupt:
        # Said even with -q, for it says how not to lose the work.
        way = way_on("; the same command goes on from here (without --overwrite)")
        click.echo(f"Interrupted{way}.", err=True)
        ctx.exit(130)
    paths = {name: str(path) for name, path in found.paths.items()}
    width = max(_NARROWEST, shutil.get_terminal_size((120, 24)).columns)
    text = f"{comparison_text(found.content, width)}\n{', '.join(paths.values())}"
    emit({**paths, **found.content}, text, as_json=as_json)


class _Talk:
    """Says on standard error how the runs go."""

    def __init__(self) -> None:
        self._count = 0

    def plan(self, plan: ComparisonPlan) -> None:
        """Say how much there is to do."""
        self._count = len(plan.runs)
        done = sum(run.is_done for run in plan.runs)
        there = f", {done} of them done" if done else ""
        note(f"{self._count} runs{there}; scores are of the {plan.scored_on} patches.")

    def start(self, run: PlannedRun) -> None:
        """Say which run begins."""
        note(f"run {run.number}/{self._count} begins: {run.title}")

    def run(self, run: PlannedRun, outcome: Mapping[str, Any]) -> None:
        """Say what came of a run."""
        if outcome["error"]:
            note(f"run {run.number}/{self._count}: {run.title}: {outcome['error']}")
        elif outcome["state"] == "trained":
            scores = outcome["scores"]
            on = "validation" if outcome["split"] == "val" else "training"
            note(
                f"run {run.number}/{self._count}: {run.title}: {on} accuracy"
                f" {_number(scores['accuracy'])}, mIoU {_number(scores['miou'])}"
            )


def comparison_text(content: Mapping[str, Any], width: int = 120) -> str:
    """Lay out a comparison for people: a row a combination, its scores, the best marked.

    Parameters
    ----------
    content
        As `geoseg.training.comparison.compare.comparison_json` makes it.
    width
        Characters in a line; columns beyond it go below, with the rows named again.

    Returns
    -------
    text
        Scores as mean ± standard deviation over seeds and folds; the deviation is left out where
        there is one run. Means that are written alike are equally good.
    """
    groups = content["groups"]
    names = [entry["name"] for entry in groups[0]["mean"]["classes"]]
    keys = list(groups[0]["settings"])
    left = [
        [key.replace("_", " "), *(str(group["settings"][key]) for group in groups)] for key in keys
    ]
    left.append(["runs", *(_count(group) for group in groups)])
    columns = [_column("accuracy", groups, lambda s: s["accuracy"])]
    columns.append(_column("mIoU", groups, lambda s: s["miou"]))
    columns += [
        _column(name, groups, lambda s, place=place: s["classes"][place]["iou"])  # type: ignore[misc]
        for place, name in enumerate(names)
    ]
    blocks, block = [], list(left)
    for column in columns:
        if len(block) > len(left) and _width([*block, column]) > width:
            blocks.append(block)
            block = list(left)
        block.append(column)
    blocks.append(block)
    notes = [f"Scores on the {content['scored_on']} patches; columns after mIoU are IoU by class."]
    repeated = [key for key in ("seed", "fold") if key in content["keys"]]
    if repeated:
        notes.append(f"Mean ± standard deviation over {' and '.join(repeated)}s.")
    if len(groups) > 1:
        notes.append(f"{_BEST} best of a column.")
    return "\n\n".join([*map(_laid_out, blocks), " ".join(notes)])


def _count(group: Mapping[str, Any]) -> str:
    return f"{group['n']} ({group['failed']} diverged)" if group["failed"] else str(group["n"])


def _column(
    title: str,
    groups: Sequence[Mapping[str, Any]],
    take: Callable[[Mapping[str, Any]], float | None],
) -> list[str]:
    means = [take(group["mean"]) for group in groups]
    shown = [_number(mean) for mean in means]
    # Where nobody scores, nobody is best.
    best = max((text for text, mean in zip(shown, means, strict=True) if mean), default="")
    cells = [title]
    for text, group in zip(shown, groups, strict=True):
        std = take(group["std"])
        spread = "" if std is None else f" ± {_number(std)}"
        mark = _BEST if text == best and len(groups) > 1 else " "
        cells.append(f"{text}{spread}{mark}")
    return cells


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in columns)


def _laid_out(columns: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
    return "\n".join(lines)
