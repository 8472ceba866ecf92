"""Many maps and what is wanted of them: each scored alone, and all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.confusion import Confusion
from geoseg.assessment.document import document
from geoseg.assessment.evaluating import PATCHES, Evaluated, Reports
from geoseg.assessment.evaluation import Evaluation, check_scored
from geoseg.assessment.findings import Findings, Wanted, pixels_of
from geoseg.assessment.many import few_notes, one_of_many, together
from geoseg.assessment.measures.blocks import Blocks
from geoseg.assessment.measures.boundary import check_distance
from geoseg.assessment.measures.stagetable import stages_of_units
from geoseg.assessment.passes import Pass, differ_in_pixels, joined, read_again, total_common
from geoseg.assessment.sides import Sides
from geoseg.assessment.text import counted
from geoseg.assessment.worst import Worst
from geoseg.assessment.writing import write_report
from geoseg.errors import LabelError, OptionError
from geoseg.raster.legend import Legend
from geoseg.raster.pairing import file_names

_OF_ONE = ("intervals", "boundary", "seams", "stages", "photographs", "maps")
"""What is said of each prediction, beyond its scores."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderJob:
    """Maps, their labels, and what is wanted of them; made by `compare_folders`."""

    names: tuple[str, ...]
    """Of the folders of maps, that of the labels last."""
    stems: tuple[str, ...]
    """Of the maps, names without ending."""
    sides: tuple[Sides, ...]
    """One a map, or a photograph."""
    photographs: bool = True
    """Whether the maps have no place on Earth: then each is a block, and a cell of stages."""
    wanted: Wanted
    """What to find beyond scores."""
    reports: Reports = field(default_factory=Reports)
    """What to write; a scene is the folder of the photographs or scenes, errors are a folder."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was asked for, for the report."""
    notes: tuple[str, ...] = ()
    """Files that were left out, in words."""
    alone: tuple[FolderJob, ...] = ()
    """Where folders hold different maps, each folder with all of its own."""

    def check(self) -> None:
        """Refuse what cannot be done, before any pixel is read.

        Raises
        ------
        OptionError
            Rasters of errors of several predictions, or stages without cells, or with them.
        GridError
            A distance is in units that a map has not.
        LabelError
            A class of the stages is none.
        OutputError
            The folder of rasters of errors cannot be made.
        RasterReadError
            The folder of photographs is none, or holds none.
        """
        if self.reports.errors is not None:
            from geoseg.assessment.errorfolder import check_errors  # noqa: PLC0415 — as wanted

            if len(self.names) > 2:
                raise OptionError("rasters of errors are of one prediction; evaluate one by one")
            check_errors(self.reports.errors, overwrite=self.reports.overwrite)
        for one in self.alone:
            one.check()
        stages = self.wanted.stages
        if stages is not None:
            if self.photographs and stages.cell is not None:
                raise OptionError("a photograph has one stage: leave out --cell")
            if not self.photographs and stages.cell is None:
                raise OptionError("stages of a map are of cells: give their size with --cell")
            stages.indices(self.legend)
        if self.reports.scene is not None:
            from geoseg.assessment.gallery import pictures_of  # noqa: PLC0415 — as it is wanted

            pictures_of(self.reports.scene, self.sides)  # told before any pixel is read
        sizes = [self.wanted.boundary]
        if not self.photographs:
            sizes += [None if stages is None else stages.cell]
            sizes += [self.wanted.block] if self.wanted.resamples else []
        for side in self.sides:
            first = side.comparisons[0]
            for size in sizes:
                if size is not None:
                    pixels_of(size, first.prediction.grid, first.names[0])
            if self.wanted.boundary is not None:
                grid = first.prediction.grid
                check_distance(min(pixels_of(self.wanted.boundary, grid, first.names[0])))

    @property
    def legend(self) -> Legend:
        """The classes, common to all."""
        legend = self.sides[0].comparisons[0].legend
        if legend is None:
            raise LabelError("the maps name no classes: say with --classes what their values mean")
        return legend

    @property
    def notes_of_maps(self) -> tuple[str, ...]:
        """What was done to lay labels on maps, in words; not all if there are many."""
        return few_notes([n for side in self.sides for one in side.comparisons for n in one.notes])

    @property
    def _wanted_of_each(self) -> Wanted:
        """What a second pass over each map is to find."""
        wanted = self.wanted
        if self.photographs:
            return Wanted(boundary=wanted.boundary, seams=wanted.seams)
        return replace(wanted, patches=PATCHES) if self.reports.with_page else wanted

    @property
    def _reads_each_twice(self) -> bool:
        wanted = self._wanted_of_each
        more = (wanted.boundary, wanted.seams, wanted.stages, wanted.patches, self.reports.errors)
        return bool(wanted.resamples) or any(one is not None for one in more)

    @property
    def work(self) -> int:
        """Pixels that are read, for who shows progress."""
        again = 1 if self._reads_each_twice or len(self.names) > 2 else 0
        mine = sum(side.work + again * side.comparisons[0].window.area for side in self.sides)
        return mine + sum(one.work for one in self.alone)

    def run(self, *, workers: int = 4, progress: Callable[[int], None] | None = None) -> Evaluated:
        """Count each map, sum up, and write; see `Comparison.run`."""
        self.check()
        own = [one.run(workers=workers, progress=progress) for one in self.alone]
        found = [
            tuple(
                one.run(workers=workers, progress=progress, may_be_empty=True)
                for one in side.comparisons
            )
            for side in self.sides
        ]
        job, found = self._without_empty(found)
        return job._finish(found, own, workers, progress)

    def _without_empty(
        self, found: list[tuple[Evaluation, ...]]
    ) -> tuple[FolderJob, list[tuple[Evaluation, ...]]]:
        """Leave out maps of which nothing is scored."""
        kept = [i for i, pair in enumerate(found) if any(one.scores.scored for one in pair)]
        if len(kept) == len(found) or not kept:
            return self, found
        gone = [stem for i, stem in enumerate(self.stems) if i not in set(kept)]
        what = counted(len(gone), "photograph" if self.photographs else "map")
        hold = "holds" if len(gone) == 1 else "hold"
        note = f"{what} {hold} nothing to score: {file_names(gone)}"
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
        own: Sequence[Evaluated],
        workers: int,
        progress: Callable[[int], None] | None,
    ) -> Evaluated:
        evaluations = tuple(
            together([one[p] for one in found], self.names[p], self.names[-1], self.notes)
            for p in range(len(self.names) - 1)
        )
        for total in evaluations:
            check_scored(total)
        reports = self.reports
        worst = Worst(most=PATCHES, predictions=len(evaluations))
        with ExitStack() as stack:
            errors = None
            if reports.errors is not None:
                from geoseg.assessment.errorfolder import ErrorFolder  # noqa: PLC0415 — as wanted

                errors = stack.enter_context(
                    ErrorFolder(
                        reports.errors,
                        evaluations[0],
                        settings=self.settings,
                        overwrite=reports.overwrite,
                    )
                )
            passes = []
            for number, (side, one) in enumerate(zip(self.sides, found, strict=True)):
                with ExitStack() as of_map:
                    takers = []
                    if errors is not None:
                        made = errors.raster(self.stems[number], side.comparisons[0], one[0])
                        takers.append(of_map.enter_context(made))
                    got = self._pass(side, one, takers, workers, progress)
                    for made in takers:
                        made.make()
                worst.add(number, got.overview)
                passes.append(replace(got, overview=None))
            findings = self._findings(passes, found, evaluations)
            each = self._one_by_one(found, findings)
            if own:
                evaluations = tuple(self._told(one.evaluations[0]) for one in own)
                findings = replace(findings, own=tuple(one.findings for one in own))
            content = self._content(evaluations, findings, each, own)
            self._write(content, findings, each, worst)
            if errors is not None:
                errors.publish()
        return Evaluated(evaluations=evaluations, findings=findings, content=content)

    def _write(
        self,
        content: dict[str, Any],
        findings: Findings,
        each: Sequence[Sequence[dict[str, Any]]],
        worst: Worst,
    ) -> None:
        """Write the report, if one is wanted."""
        reports = self.reports
        if reports.report is None:
            return
        page = None
        if reports.with_page:
            from geoseg.assessment.gallery import page_of_folders  # noqa: PLC0415

            page = page_of_folders(
                content,
                self.sides,
                self.stems,
                self.legend,
                each=each,
                worst=None if self.photographs else worst,
                scenes=reports.scene,
            )
        write_report(reports.report, content, findings, page, overwrite=reports.overwrite)

    def _pass(
        self,
        side: Sides,
        found: tuple[Evaluation, ...],
        takers: Sequence[Any],
        workers: int,
        progress: Callable[[int], None] | None,
    ) -> Pass:
        """Read one map again, if that tells anything."""
        got, wanted = Pass(), self._wanted_of_each
        if self._reads_each_twice or differ_in_pixels(found):
            first = side.comparisons[0]
            got = read_again(
                ClassRows(side.comparisons, self.legend),
                found,
                first.prediction.grid,
                wanted,
                takers=takers,
                workers=workers,
                progress=progress,
            )
        elif progress is not None and len(self.names) > 2:
            progress(side.comparisons[0].window.area)
        if not self.photographs or not self.wanted.resamples:
            return got
        common = [one.confusion for one in found] if got.common is None else got.common
        return replace(
            got,
            blocks=_as_block([one.confusion for one in found]),
            common_blocks=_as_block(list(common)),
        )

    def _findings(
        self,
        passes: Sequence[Pass],
        found: Sequence[tuple[Evaluation, ...]],
        evaluations: tuple[Evaluation, ...],
    ) -> Findings:
        common = total_common(passes, found)
        if self.alone:
            # What is drawn of each folder by itself is drawn from all of its own.
            shared = [p.common_blocks or p.blocks for p in passes]
            passes = [
                replace(p, blocks=None, common_blocks=b)
                for p, b in zip(passes, shared, strict=True)
            ]
            common = common or tuple(one.confusion for one in evaluations)
        findings = joined(
            passes, evaluations, self.wanted, common=common, photographs=self.photographs
        )
        if self.wanted.stages is None or not self.photographs:
            return findings
        counts = np.array([[_counts(one.confusion) for one in pair] for pair in found], np.int64)
        target, excluded = self.wanted.stages.indices(self.legend)
        table, wrong = self.wanted.stages.table, evaluations[0].unpredicted_is_wrong
        stages = tuple(
            stages_of_units(counts[:, p], table, target, excluded, unpredicted_is_wrong=wrong)
            for p in range(counts.shape[1])
        )
        return replace(findings, stages=stages)

    def _told(self, own: Evaluation) -> Evaluation:
        """Say of a folder that is scored on all of its own what there is to say of all folders."""
        return replace(own, notes=tuple(dict.fromkeys((*self.notes, *own.notes))))

    def _one_by_one(
        self, found: Sequence[tuple[Evaluation, ...]], findings: Findings
    ) -> list[list[dict[str, Any]]]:
        """Say how each map was scored, a list a prediction."""
        return [
            [
                one_of_many(stem, one[p], findings, p, place)
                for place, (stem, one) in enumerate(zip(self.stems, found, strict=True))
            ]
            for p in range(len(self.names) - 1)
        ]

    def _content(
        self,
        evaluations: tuple[Evaluation, ...],
        findings: Findings,
        each: Sequence[list[dict[str, Any]]],
        own: Sequence[Evaluated],
    ) -> dict[str, Any]:
        content = document(evaluations, findings, settings=self.settings)
        for p, side in enumerate(content.get("predictions", [content])):
            side["photographs" if self.photographs else "maps"] = each[p]
            if own:
                found = own[p].content
                side |= {key: found[key] for key in _OF_ONE if key in found}
        return content


def _counts(confusion: Confusion) -> list[Any]:
    """Return counts (4, classes) in the order of `Blocks.counts`."""
    counts = confusion.counts
    return [counts.sum(axis=1), confusion.unpredicted, counts.sum(axis=0), np.diagonal(counts)]


def _as_block(confusions: Sequence[Confusion]) -> Blocks:
    """Take a photograph as a block; none where nothing of it is labelled."""
    counts = np.array([[_counts(one) for one in confusions]], np.int64)
    some = slice(None) if counts[0, 0, :2].any() else slice(0)
    return Blocks(
        sides=(1, 1),
        rows=np.zeros(1, np.int64)[some],
        cols=np.zeros(1, np.int64)[some],
        counts=counts[some],
    )
