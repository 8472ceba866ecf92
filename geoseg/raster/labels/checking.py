"""Images and labels as a person names them, checked before they are worked with."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import InputError, LabelError, RasterReadError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.grouping import Problem, group_scenes
from geoseg.raster.labels.sanity import KINDS, Finding, Pair, bands_of_labels, look_at_all
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.maker import beside_table
from geoseg.raster.opening.heads import expand, heads_kept, refuse_missing
from geoseg.raster.outputs.checks import check_output, refuse_inputs
from geoseg.raster.outputs.whole import write_whole
from geoseg.raster.pairing import pair_by_stem
from geoseg.raster.photographs import find_photographs
from geoseg.raster.provenance import provenance
from geoseg.raster.scene import Scene

Source = str | Path


@dataclass(frozen=True, kw_only=True)
class CheckPlan:
    """What will be looked at; `check` does it."""

    pairs: tuple[Pair, ...]
    """Images that can be opened."""
    findings: tuple[Finding, ...]
    """What is wrong with the others."""
    images: int
    """Images named."""
    labels: int | None
    """Files of labels named; None where none were."""
    legend: Legend | None
    """Classes that labels may have; None where any value is one."""
    output: Path | None
    """The table to write, if one is wanted."""
    overwrite: bool
    """Whether it may be replaced."""
    options: Mapping[str, object]
    """What was asked for, by the names of options."""
    named: tuple[str, ...]
    """The images as a person named them."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each without its full stop."""

    @property
    def pixels(self) -> int:
        """Pixels of all images."""
        return sum(pair.scene.grid.window.area for pair in self.pairs)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found."""

    images: int
    """Images looked at."""
    labels: int | None
    """Files of labels; None where none were named."""
    findings: tuple[Finding, ...]
    """Problems, in the order of the images."""
    output: Path | None
    """The table, if one was wanted."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each without its full stop."""
    seconds: float
    """Time that it took."""

    @property
    def counts(self) -> dict[str, int]:
        """Problems by kind, in the order of `KINDS`; kinds that there are alone."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS if kind in found}


def plan_check(
    images: Sequence[Source],
    *,
    labels: Sequence[Source] = (),
    classes: str | None = None,
    output: Source | None = None,
    overwrite: bool = False,
) -> CheckPlan:
    """Open what is named, and find out which label is whose.

    Parameters
    ----------
    images
        Files, folders and patterns; bands in separate files are one image.
    labels
        A raster for each image, by the names where both are photographs, else in their order; or
        one for all.
    classes
        As for `parse_legend`; by default those that the first label names, if it names any.
    output
        CSV file to write.
    overwrite
        Whether it may be replaced.

    Raises
    ------
    RasterReadError
        A path is not there, a folder or pattern holds no raster at all, or no image can be opened.
    LabelError
        It cannot be known which label is whose.
    OutputError
        The table cannot be written.
    """
    target = None
    if output is not None:
        target = check_output(output, overwrite=overwrite, suffixes=(".csv",))
    paths = expand(images)
    refuse_missing(paths)
    legend = None if classes is None else parse_legend(classes)
    with heads_kept():
        scenes, problems, by_name = _images(paths)
        if not scenes:
            raise RasterReadError(problems[0].reason)
        named = expand(labels) if labels else []
        refuse_missing(named)
        if target is not None:
            refuse_inputs([target], [*paths, *named])
        partners: dict[str, str] = {}
        findings = [
            Finding(kind="unreadable", image=p.path, label="", detail=p.reason) for p in problems
        ]
        notes: list[str] = []
        if named:
            firsts = [scene.paths[0] for scene in scenes]
            broken = [problem.path for problem in problems]
            # What cannot be opened has its place in the order all the same.
            place = {path: number for number, path in enumerate(paths)}
            every = sorted([*firsts, *broken], key=lambda path: place.get(path, len(place)))
            partners, alone, note = _partners(every, named, by_name=by_name)
            notes += [] if note is None else [f"labels are {note}"]
            findings += [Finding(kind="no image", image="", label=path) for path in alone]
            findings += [
                Finding(kind="no label", image=path, label="")
                for path in firsts
                if path not in partners
            ]
        pairs = [_pair(scene, partners.get(scene.paths[0])) for scene in scenes]
        if named and legend is None:
            legend = _own_legend(named)
        if max(bands_of_labels(pairs), default=1) > 1:
            notes.append(
                "labels of several bands hold colours, and which classes they mean was not looked"
                " at (geoseg recode makes class rasters of them)"
            )
    return CheckPlan(
        pairs=tuple(pairs),
        findings=tuple(findings),
        images=len(pairs) + len(problems),
        labels=len(named) if named else None,
        legend=legend,
        output=target,
        overwrite=overwrite,
        options={
            **({"labels": list(map(str, labels))} if labels else {}),
            **({} if classes is None else {"classes": classes}),
        },
        named=tuple(map(str, images)),
        notes=tuple(notes),
    )


def _images(paths: Sequence[str]) -> tuple[list[Scene], list[Problem], bool]:
    """Scenes, what cannot be opened, and whether labels belong to them by name."""
    try:
        photographs = find_photographs(paths)
    except RasterReadError:
        photographs = None
    if photographs is None:
        scenes, problems = group_scenes(paths)
        return scenes, problems, False
    scenes = [Scene.of_files([path]) for path in photographs.paths]
    return scenes, list(photographs.problems), True


def _partners(
    images: Sequence[str], labels: Sequence[str], *, by_name: bool
) -> tuple[dict[str, str], Sequence[str], str | None]:
    """Label of each image, labels that have none, and what is to be said."""
    found = pair_by_stem(images, labels)
    if by_name and found.pairs:
        return dict(found.pairs), found.second_alone, found.note
    if len(labels) == 1:
        return dict.fromkeys(images, labels[0]), (), None
    if len(labels) == len(images) and not by_name:
        return dict(zip(images, labels, strict=True)), (), None
    if found.pairs:
        return dict(found.pairs), found.second_alone, found.note
    raise LabelError(
        f"{labels[0]}: {len(labels)} labels, images {len(images)}, and none has the name of one:"
        " give one for each, in the same order, or of the same names"
    )


def _pair(scene: Scene, label: str | None) -> Pair:
    if label is None:
        return Pair(scene=scene)
    try:
        return Pair(scene=scene, label=Scene.of_files([label]), label_name=label)
    except InputError as error:
        return Pair(scene=scene, label_name=label, error=str(error))


def _own_legend(labels: Sequence[str]) -> Legend | None:
    """Classes that the first label names; none where that cannot be told."""
    try:
        return raster_legend(labels[0])
    except (LabelError, OSError):
        return None


def check(
    plan: CheckPlan, *, workers: int = 4, progress: Callable[[int], None] | None = None
) -> Checked:
    """Look at everything, and write the table.

    Parameters
    ----------
    plan
        Of `plan_check`.
    workers
        Threads, an image each; what is found does not depend on it.
    progress
        Called with the number of pixels done.

    Raises
    ------
    OutputError
        The table cannot be written.
    """
    began = time.perf_counter()
    found, notes = look_at_all(plan.pairs, legend=plan.legend, workers=workers, progress=progress)
    findings = (*plan.findings, *found)
    if plan.output is not None:
        _write(plan.output, findings, _tags(plan), overwrite=plan.overwrite)
    return Checked(
        images=plan.images,
        labels=plan.labels,
        findings=findings,
        output=plan.output,
        notes=(*plan.notes, *notes),
        seconds=time.perf_counter() - began,
    )


def _tags(plan: CheckPlan) -> dict[str, str]:
    """Say what made the table; of files that cannot be read there is no digest."""
    scenes = [s for pair in plan.pairs for s in (pair.scene, pair.label) if s is not None]
    inputs: dict[str, str] = {}
    for paths in dict.fromkeys(tuple(scene.paths) for scene in scenes):
        with suppress(InputError):
            inputs[paths[0]] = fingerprint_files(paths)
    words = ["geoseg", "check", *plan.named]
    for name, value in plan.options.items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{name}", str(one)]
    return provenance(words, inputs, options=plan.options)


def _write(
    target: Path, findings: Sequence[Finding], tags: Mapping[str, str], *, overwrite: bool
) -> None:
    """Write a table with a line for each problem, and beside it what made it."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "label", "problem", "words", "detail"])
    for one in findings:
        table.writerow([one.image, one.label, one.kind, KINDS[one.kind], one.detail])
    write_whole(target, text.getvalue(), overwrite=overwrite, beside=beside_table(target, tags))
