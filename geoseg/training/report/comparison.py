"""The report of a comparison: many runs that differ in what was varied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geoseg import __version__
from geoseg.report.charts import Group, spreads
from geoseg.report.numbers import count, duration, score, setting
from geoseg.report.page import (
    Block,
    Cell,
    Figure,
    Folded,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    make_page,
)

Obj = Mapping[str, Any]


def comparison_page(comparison: Obj, *, title: str = "Comparison") -> str:
    """Write the report of a comparison as one self-contained HTML page.

    Parameters
    ----------
    comparison
        What `geoseg.training.comparison.compare` writes as JSON: ``keys``, the names of what was
        varied; ``runs``, each with ``settings``, ``model`` and ``scores`` (``accuracy``, ``miou``
        and ``classes``, a list of ``name``, ``iou`` and ``recall``); ``groups`` of runs that differ
        by seed or fold alone, each with ``settings``, ``n``, and ``mean`` and ``std`` in the form
        of scores. If there: ``scored_on``, which patches scores are of; ``base``, the settings that
        were not varied; of each run, ``epoch``, ``seconds`` and ``error``, of each group
        ``failed``, the number of runs without scores. A score is null where it is undefined.
    title
        Its heading.

    Returns
    -------
    html
        The same arguments give the same text.
    """
    groups, runs = list(comparison["groups"]), list(comparison["runs"])
    keys = _varied(groups)
    sections = [
        Section("Scores", _scores(groups, keys)),
        Section("Spread", _spreads(groups, runs, keys)),
        Section("Runs", (_runs(runs, list(comparison["keys"])),)),
    ]
    if comparison.get("base"):
        common = tuple((_plain(k), setting(v)) for k, v in comparison["base"].items())
        table = Table(("setting", "value"), common, (False, False))
        sections.append(Section("What was the same", (Folded("All other settings", (table,)),)))
    lead = f"{count(len(runs))} runs; varied: {', '.join(map(_plain, comparison['keys']))}"
    if comparison.get("scored_on"):
        lead += f"; scored on {comparison['scored_on']}"
    return make_page(title, sections, lead=lead, foot=f"Written by geoseg {__version__}.")


def _plain(key: str) -> str:
    return key.replace("_", " ")


def _varied(groups: Sequence[Obj]) -> list[str]:
    """Name the settings by which the groups are told apart."""
    keys = list(dict.fromkeys(key for group in groups for key in group["settings"]))
    varied = [k for k in keys if len({str(g["settings"].get(k)) for g in groups}) > 1]
    return varied or keys


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _names(groups: Sequence[Obj]) -> list[str]:
    """Names of the classes in the order of the first group that has them."""
    return list(dict.fromkeys(c["name"] for g in groups for c in g["mean"]["classes"]))


def _iou(scores: Obj, name: str) -> float:
    for found in scores["classes"]:
        if found["name"] == name:
            return _number(found["iou"])
    return math.nan


def _scores(groups: Sequence[Obj], keys: Sequence[str]) -> tuple[Block, ...]:
    measures: list[tuple[str, Callable[[Obj], float]]] = [
        ("accuracy", lambda s: _number(s["accuracy"])),
        ("mIoU", lambda s: _number(s["miou"])),
    ]
    measures += [(n, lambda s, n=n: _iou(s, n)) for n in _names(groups)]  # type: ignore[misc]
    columns = []
    for _, take in measures:
        means = [take(g["mean"]) for g in groups]
        # What is written alike is equally good.
        best = max((score(m) for m in means if math.isfinite(m)), default="")
        columns.append(
            [
                Cell(
                    score(mean),
                    spread=_spread(take(g["std"]), int(g["n"])),
                    best=score(mean) == best and len(groups) > 1,
                )
                for mean, g in zip(means, groups, strict=True)
            ]
        )
    rows: tuple[Row, ...] = tuple(
        (
            *(str(g["settings"].get(key, "")) for key in keys),
            f"{g['n']}" + (f" ({failed} failed)" if (failed := g.get("failed")) else ""),
            *(column[place] for column in columns),
        )
        for place, g in enumerate(groups)
    )
    header = (*map(_plain, keys), "runs", *(name for name, _ in measures))
    right = (*[False] * len(keys), *[True] * (len(measures) + 1))
    blocks: list[Block] = [Points(_remarks(groups, keys)), Table(header, rows, right)]
    blocks.append(
        Paragraph(
            "Columns after mIoU are the IoU of each class. Each score is the mean over the runs of"
            " a row, which differ by seed or fold alone, ± their standard deviation. ★ marks the"
            " best of a column."
        )
    )
    return tuple(blocks)


def _spread(std: float, runs: int) -> str:
    return f"± {score(std)}" if runs > 1 and math.isfinite(std) else ""


def _remarks(groups: Sequence[Obj], keys: Sequence[str]) -> tuple[str, ...]:
    """Say which row is ahead, and whether by more than chance alone makes of the runs."""
    known = [g for g in groups if math.isfinite(_number(g["mean"]["miou"]))]
    if len(known) < 2:
        return ()
    first, second = sorted(known, key=lambda g: -_number(g["mean"]["miou"]))[:2]
    lead = _number(first["mean"]["miou"]) - _number(second["mean"]["miou"])
    said = (
        f"Highest mean IoU: {_name(first, keys)} ({score(_number(first['mean']['miou']))}),"
        f" {'level with' if score(lead) == score(0) else f'{score(lead)} above'}"
        f" {_name(second, keys)}."
    )
    if min(int(first["n"]), int(second["n"])) < 2:
        return said, "With one run a row, nothing says how much of that is chance: add seeds."
    spread = math.hypot(*(_number(g["std"]["miou"]) for g in (first, second)))
    if not math.isfinite(spread):
        return (said,)
    within = lead <= spread
    return (
        said,
        f"That is {'within' if within else 'beyond'} the spread of their runs (± {score(spread)},"
        f" both together){': it may be chance' if within else ''}.",
    )


def _name(group: Obj, keys: Sequence[str]) -> str:
    values = [str(group["settings"].get(key, "")) for key in keys]
    return ", ".join(value for value in values if value) or "as given"


def _spreads(groups: Sequence[Obj], runs: Sequence[Obj], keys: Sequence[str]) -> tuple[Block, ...]:
    means = [_number(g["mean"]["miou"]) for g in groups]
    best = max((m for m in means if math.isfinite(m)), default=math.nan)
    drawn = [
        Group(
            _name(g, keys),
            tuple(_number(r["scores"]["miou"]) for r in runs if _belongs(r, g)),
            mean,
            _number(g["std"]["miou"]) if int(g["n"]) > 1 else math.nan,
            best=mean == best,
        )
        for g, mean in zip(groups, means, strict=True)
    ]
    words = "; ".join(f"{d.name} {score(d.mean)}" for d in drawn)
    return (
        Figure(
            spreads(drawn),
            f"Mean IoU of each row: {words}.",
            "bars are means, dots single runs, lines ± one standard deviation. Rows whose dots"
            " mix are not told apart by these runs.",
            title="Mean IoU:",
            wide=True,
        ),
    )


def _belongs(run: Obj, group: Obj) -> bool:
    """Whether a run is one of a group's: the group's settings are its own, too."""
    settings = run["settings"]
    return all(settings.get(key) == value for key, value in group["settings"].items())


def _runs(runs: Sequence[Obj], keys: Sequence[str]) -> Folded:
    rows: tuple[Row, ...] = tuple(
        (
            str(run["model"]),
            *(str(run["settings"].get(key, "")) for key in keys),
            score(_number(run["scores"]["accuracy"])),
            score(_number(run["scores"]["miou"])),
            "" if run.get("epoch") is None else f"{run['epoch']}",
            "" if run.get("seconds") is None else duration(run["seconds"]),
            str(run.get("error") or ""),
        )
        for run in runs
    )
    header = ("model", *map(_plain, keys), "accuracy", "mIoU", "epoch", "time", "error")
    right = (*[False] * (len(keys) + 1), True, True, True, True, False)
    return Folded(f"All {len(runs)} runs", (Table(header, rows, right),))
