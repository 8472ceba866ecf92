"""Folders of maps against a folder of masks: photographs, each scored alone and all together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.codes import Tally
from geoseg.assessment.confusion import Confusion
from geoseg.assessment.document import document
from geoseg.assessment.evaluate import Evaluation, check_scored
from geoseg.assessment.evaluating import Evaluated, Reports
from geoseg.assessment.findings import Findings, Wanted, few_blocks, find, pixels_of
from geoseg.assessment.measures.blocks import Blocks
from geoseg.assessment.measures.bootstrap import bootstrap
from geoseg.assessment.measures.boundary import Boundary, check_distance
from geoseg.assessment.measures.stagetable import stages_of_units
from geoseg.assessment.sides import Sides, compare_sides
from geoseg.assessment.writing import write_report
from geoseg.errors import InputError, LabelError, OptionError
from geoseg.raster.heads import RASTER_SUFFIXES, rasters_in, read_head
from geoseg.raster.labelme import annotations_in
from geoseg.raster.legend import Legend
from geoseg.raster.pairing import file_names, pair_by_stem


def are_folders(sources: Sequence[str]) -> bool:
    """Whether all are folders of rasters without a place on Earth, as photographs and their maps.

    Folders of tiles of a map are scenes, and not meant.

    Raises
    ------
    RasterReadError
        A folder holds no raster, or one that cannot be read.
    InputError
        The last one holds annotations, which are to be made masks first.
    """
    last = Path(sources[-1])
    endings = {path.suffix.lower() for path in last.iterdir()} if last.is_dir() else set()
    if annotations_in(last) and not endings & RASTER_SUFFIXES:
        raise InputError(
            f"{last} holds annotations and no masks: make masks of them first (geoseg rasterise"
            f" {last} --like IMAGES -o masks)"
        )
    return all(
        Path(source).is_dir() and not read_head(rasters_in(Path(source))[0]).grid.is_georeferenced
        for source in sources
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderJob:
    """Photographs' maps, their masks, and what is wanted of them; made by `compare_folders`."""

    names: tuple[str, ...]
    """Of the folders of maps, that of the masks last."""
    stems: tuple[str, ...]
    """Of the photographs, names without ending."""
    sides: tuple[Sides, ...]
    """One a photograph."""
    wanted: Wanted
    """What to find beyond scores; a block that is drawn is a photograph."""
    reports: Reports = field(default_factory=Reports)
    """What to write; a scene is the folder of the photographs."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was asked for, for the report."""
    notes: tuple[str, ...] = ()
    """Files that were left out, in words."""

    def check(self) -> None:
        """Refuse what cannot be done, before any pixel is read.

        Raises
        ------
        OptionError
            Something that only maps of ground have.
        LabelError
            A class of the stages is none.
        RasterReadError
            The folder of photographs is none, or holds none.
        """
        if self.reports.errors is not None or self.wanted.seams is not None:
            raise OptionError("--errors and --seams are of one map, not of folders of photographs")
        stages = self.wanted.stages
        if stages is not None:
            if stages.cell is not None:
                raise OptionError("a photograph has one stage: leave out --cell")
            stages.indices(self.legend)
        if self.reports.scene is not None:
            rasters_in(Path(self.reports.scene))  # told before any pixel is read
        if self.wanted.boundary is not None:
            grid = self.sides[0].comparisons[0].prediction.grid
            check_distance(min(pixels_of(self.wanted.boundary, grid, self.names[0])))

    @property
    def legend(self) -> Legend:
        """The classes, common to all."""
        legend = self.sides[0].comparisons[0].legend
        if legend is None:
            raise LabelError("the maps name no classes: say with --classes what their values mean")
        return legend

    @property
    def work(self) -> int:
        """Pixels that are read, for who shows progress."""
        again = 1 if self.wanted.boundary is not None else 0
        return sum(side.work + again * side.comparisons[0].window.area for side in self.sides)

    def run(self, *, workers: int = 4, progress: Callable[[int], None] | None = None) -> Evaluated:
        """Count each photograph, sum up, and write; see `Comparison.run`."""
        self.check()
        found = [
            tuple(
                one.run(workers=workers, progress=progress, may_be_empty=True)
                for one in side.comparisons
            )
            for side in self.sides
        ]
        job, found = self._without_empty(found)
        return job._finish(found, workers, progress)

    def _without_empty(
        self, found: list[tuple[Evaluation, ...]]
    ) -> tuple[FolderJob, list[tuple[Evaluation, ...]]]:
        """Leave out photographs of which nothing is scored."""
        kept = [i for i, pair in enumerate(found) if any(one.scores.scored for one in pair)]
        if len(kept) == len(found) or not kept:
            return self, found
        gone = [stem for i, stem in enumerate(self.stems) if i not in set(kept)]
        note = f"{len(gone):,} photographs hold nothing to score: {file_names(gone)}"
        job = replace(
            self,
            stems=tuple(self.stems[i] for i in kept),
            sides=tuple(self.sides[i] for i in kept),
            notes=(*self.notes, note),
        )
        return job, [found[i] for i in kept]

    def _finish(
        self,
        found: list[tuple[Evaluation, ...]],
        workers: int,
        progress: Callable[[int], None] | None,
    ) -> Evaluated:
        evaluations = tuple(
            _together([one[p] for one in found], self.names[p], self.names[-1], self.notes)
            for p in range(len(self.names) - 1)
        )
        for one in evaluations:
            check_scored(one)
        findings = self._findings(found, evaluations, workers, progress)
        content = document(evaluations, findings, settings=self.settings)
        sides = content.get("predictions", [content])
        for p, side in enumerate(sides):
            side["photographs"] = [
                _photograph(stem, one[p], findings, p, place)
                for place, (stem, one) in enumerate(zip(self.stems, found, strict=True))
            ]
        if self.reports.report is not None:
            page = None
            if self.reports.with_page:
                from geoseg.assessment.gallery import page_of_folders  # noqa: PLC0415 — as wanted

                page = page_of_folders(
                    content, self.sides, self.stems, self.legend, photographs=self.reports.scene
                )
            write_report(
                self.reports.report, content, findings, page, overwrite=self.reports.overwrite
            )
        return Evaluated(evaluations=evaluations, findings=findings, content=content)

    def _findings(
        self,
        found: Sequence[tuple[Evaluation, ...]],
        evaluations: tuple[Evaluation, ...],
        workers: int,
        progress: Callable[[int], None] | None,
    ) -> Findings:
        first = evaluations[0]
        wrong, kept = first.unpredicted_is_wrong, first.scores.in_means
        counts = np.array([[_counts(one.confusion) for one in pair] for pair in found], np.int64)
        numbers = np.arange(len(found))
        units = Blocks(sides=(1, 1), rows=numbers, cols=np.zeros_like(numbers), counts=counts)
        drawn = stages = None
        if self.wanted.resamples:
            scored = counts[:, 0, :2].sum(axis=(1, 2)) > 0
            blocks = Blocks(
                sides=(1, 1), rows=numbers[scored], cols=numbers[scored], counts=counts[scored]
            )
            drawn = bootstrap(
                blocks,
                kept,
                unpredicted_is_wrong=wrong,
                resamples=self.wanted.resamples,
                seed=self.wanted.seed,
                photographs=True,
            )
        if self.wanted.stages is not None:
            target, excluded = self.wanted.stages.indices(self.legend)
            table = self.wanted.stages.table
            stages = tuple(
                stages_of_units(counts[:, p], table, target, excluded, unpredicted_is_wrong=wrong)
                for p in range(counts.shape[1])
            )
        return Findings(
            bootstrap=drawn,
            boundary=self._boundary(found, workers, progress),
            stages=stages,
            units=None if stages is None else units,
            notes=() if drawn is None else tuple(few_blocks(drawn)),
        )

    def _boundary(
        self,
        found: Sequence[tuple[Evaluation, ...]],
        workers: int,
        progress: Callable[[int], None] | None,
    ) -> tuple[Boundary, ...] | None:
        if self.wanted.boundary is None:
            return None
        total: tuple[Boundary, ...] | None = None
        for side, one in zip(self.sides, found, strict=True):
            rows = ClassRows(side.comparisons, self.legend)
            grid = side.comparisons[0].prediction.grid
            wanted = Wanted(boundary=self.wanted.boundary)
            got = find(rows, one, grid, wanted, workers=workers, progress=progress).boundary
            if got is not None:
                total = got if total is None else tuple(map(Boundary.plus, total, got))
        return total


def _counts(confusion: Confusion) -> list[Any]:
    """Return counts (4, classes) in the order of `Blocks.counts`."""
    counts = confusion.counts
    return [counts.sum(axis=1), confusion.unpredicted, counts.sum(axis=0), np.diagonal(counts)]


def _photograph(
    stem: str, found: Evaluation, findings: Findings, prediction: int, place: int
) -> dict[str, Any]:
    scores = found.scores

    def known(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    said: dict[str, Any] = {
        "name": stem,
        "scored_pixels": scores.scored,
        "wrong_pixels": scores.scored - int(scores.correct.sum()),
        "pixel_accuracy": known(scores.pixel_accuracy),
        "mean_iou": known(scores.mean_iou),
        "iou": [known(value) for value in scores.iou],
    }
    if findings.stages is not None:
        stages = findings.stages[prediction]
        names = stages.scores.names
        said |= {
            "coverage_labels": known(stages.true_percent[place]),
            "coverage": known(stages.found_percent[place]),
            "stage_labels": names[stages.true[place]],
            "stage": names[stages.found[place]],
        }
    return said


def _together(
    found: Sequence[Evaluation], name: str, labels: str, notes: tuple[str, ...]
) -> Evaluation:
    """Sum evaluations of the same classes."""
    first = found[0]
    tallies = [Tally(), Tally()]
    for one in found:
        for total, part in zip(tallies, (one.unknown_labels, one.unknown_predictions), strict=True):
            listed = part.listed
            total.pixels += part.pixels
            total.add_counts(
                np.array(list(listed)), np.array(list(listed.values()), np.int64), counted=True
            )
    prints = [
        hashlib.blake2b("".join(one.fingerprints[i] for one in found).encode(), digest_size=16)
        for i in (0, 1)
    ]
    said = dict.fromkeys((*notes, *(note for one in found for note in one.notes)))
    return replace(
        first,
        prediction=name,
        labels=labels,
        fingerprints=(prints[0].hexdigest(), prints[1].hexdigest()),
        confusion=Confusion.total([one.confusion for one in found], classes=len(first.legend)),
        pixels=sum(one.pixels for one in found),
        unlabelled=sum(one.unlabelled for one in found),
        ignored=sum(one.ignored for one in found),
        unknown_labels=tallies[0],
        unknown_predictions=tallies[1],
        notes=tuple(said),
    )


def compare_folders(
    folders: Sequence[str],
    *,
    wanted: Wanted,
    reports: Reports | None = None,
    settings: Mapping[str, Any] | None = None,
    classes: Legend | None = None,
    ignore: Sequence[int | str] = (),
    leave_out: Sequence[int | str] = (),
    unpredicted_is_wrong: bool = False,
) -> FolderJob:
    """Pair maps with masks by their names without ending, and lay them on each other.

    Parameters
    ----------
    folders
        Of maps, one or several, that of the masks last.
    wanted, reports, settings
        As `FolderJob`.
    classes, ignore, leave_out, unpredicted_is_wrong
        As `geoseg.assessment.evaluate.compare`.

    Raises
    ------
    InputError
        No map has a mask of its name.
    GridError
        A map and its mask differ in size.
    """
    names = [path.rstrip("/") for path in folders]
    files = [rasters_in(Path(folder)) for folder in folders]
    notes: list[str] = []
    by_stem: dict[str, list[str]] = {}
    for folder, found in zip(names[:-1], files[:-1], strict=True):
        paired = pair_by_stem(found, files[-1])
        for mine, mask in paired.pairs:
            by_stem.setdefault(Path(mine).stem, [mask]).append(mine)
        for alone, what in (
            (paired.first_alone, f"maps of {folder} without a mask are left out"),
            (paired.second_alone, f"masks without a map in {folder} are left out"),
        ):
            if alone:
                notes.append(f"{len(alone):,} {what}: {file_names(alone)}")
    whole = {s: paths for s, paths in sorted(by_stem.items()) if len(paths) == len(names)}
    if not whole:
        raise InputError(f"{names[-1]} holds no mask of the name of a map in {names[0]}")
    sides = []
    legend = classes
    for mask, *maps in whole.values():
        one = compare_sides(
            maps,
            mask,
            classes=legend,
            ignore=ignore,
            leave_out=leave_out,
            assume_aligned=True,
            unpredicted_is_wrong=unpredicted_is_wrong,
        )
        legend = legend or one.comparisons[0].legend
        sides.append(one)
    job = FolderJob(
        names=tuple(names),
        stems=tuple(whole),
        sides=tuple(sides),
        wanted=wanted,
        reports=reports or Reports(),
        settings=dict(settings or {}),
        notes=tuple(notes),
    )
    _ = job.legend
    return job
