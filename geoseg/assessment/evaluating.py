"""An evaluation from beginning to end: counted, measured, written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.confusion import Confusion, Scores
from geoseg.assessment.document import document
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.findings import Findings, Wanted, pixels_of
from geoseg.assessment.measures.boundary import check_distance
from geoseg.assessment.passes import differ_in_pixels, joined, read_again, total_common
from geoseg.assessment.sides import Sides
from geoseg.assessment.writing import check_report, write_report
from geoseg.errors import OptionError, OutputError
from geoseg.raster.outputs.checks import (
    check_folder_place,
    check_output,
    refuse_holding,
    refuse_inputs,
)

_RASTERS = (".tif", ".tiff")

PATCHES = 8
"""Worst patches that a page shows."""


@dataclass(frozen=True, kw_only=True)
class Reports:
    """What to write."""

    report: Path | None = None
    """*.json, *.html, or a folder for both and tables."""
    errors: Path | None = None
    """A raster of errors, *.tif; of many maps a folder of them."""
    scene: str | None = None
    """A raster whose bands are shown beside the worst patches."""
    overwrite: bool = False
    """Whether to replace what is there."""

    @property
    def with_page(self) -> bool:
        """Whether a page is written."""
        return self.report is not None and self.report.suffix.lower() != ".json"

    def check(self, inputs: Sequence[str]) -> None:
        """Refuse what cannot be written, before any work is done.

        Raises
        ------
        OutputError
            As `check_output`, or one is an input, or the raster would lie in the folder.
        OptionError
            A scene without a page to show it on.
        """
        if self.scene is not None and not self.with_page:
            raise OptionError("a scene is shown on the page: give -o FOLDER or -o PAGE.html")
        if self.report is not None:
            check_report(self.report, overwrite=self.overwrite)
        if self.errors is not None:
            if self.errors.suffix:
                check_output(self.errors, overwrite=self.overwrite, suffixes=_RASTERS)
            else:
                check_folder_place(self.errors)
            self._check_apart(self.errors)
        outputs = [path for path in (self.report, self.errors) if path is not None]
        refuse_inputs([path for path in outputs if not path.is_dir()], inputs)
        for path in outputs:
            refuse_holding(path, inputs)

    def _check_apart(self, errors: Path) -> None:
        """Refuse errors within the folder of the report, and the report within theirs."""
        if self.report is None:
            return
        one, other = self.report.resolve(), errors.resolve()
        if one == other or one in other.parents or other in one.parents:
            raise OutputError(
                f"{errors} lies in {self.report}, or is it, and each is written as a whole: name"
                " one beside the other"
            )


def reads_twice(wanted: Wanted, reports: Reports) -> bool:
    """Whether pixels are read once more, for what counts alone do not tell."""
    more = (wanted.boundary, wanted.seams, wanted.stages, reports.errors)
    return bool(wanted.resamples) or reports.with_page or any(one is not None for one in more)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluated:
    """What came out."""

    evaluations: tuple[Evaluation, ...]
    """One a prediction."""
    findings: Findings
    """What was found beyond scores."""
    content: dict[str, Any]
    """Everything as plain JSON objects."""

    @property
    def scores(self) -> Scores:
        """Every score of the first prediction."""
        return self.evaluations[0].scores

    @property
    def confusion(self) -> Confusion:
        """Counts of the first prediction."""
        return self.evaluations[0].confusion


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """Predictions, labels, and what is wanted of them."""

    sides: Sides
    """As `compare_sides` gave them."""
    wanted: Wanted
    """What to find beyond scores."""
    reports: Reports = field(default_factory=Reports)
    """What to write."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was asked for, for the report."""

    def check(self) -> None:
        """Refuse what cannot be done, before any pixel is read.

        Raises
        ------
        OptionError
            A raster of errors of several predictions, or a distance that makes no sense.
        GridError
            A distance is in units that the raster has not.
        LabelError
            A class of the stages is none.
        """
        first = self.sides.comparisons[0]
        if self.reports.errors is not None and len(self.sides.comparisons) > 1:
            raise OptionError("a raster of errors is of one prediction; evaluate them one by one")
        if self.reports.errors is not None and not self.reports.errors.suffix:
            raise OptionError(
                f"--errors of one map is one raster: name it {self.reports.errors}.tif, say"
            )
        grid, name = first.prediction.grid, first.names[0]
        if self.wanted.resamples:
            pixels_of(self.wanted.block, grid, name)
        if self.wanted.boundary is not None:
            check_distance(min(pixels_of(self.wanted.boundary, grid, name)))
        stages = self.wanted.stages
        if stages is not None:
            if stages.cell is None:
                raise OptionError("stages of a map are of cells: give their size with --cell")
            pixels_of(stages.cell, grid, name)
            if first.legend is not None:
                stages.indices(first.legend)
        if self.reports.scene is not None:
            from geoseg.assessment.gallery import open_scene  # noqa: PLC0415 — as it is wanted

            open_scene(self.reports.scene, first.prediction)

    @property
    def work(self) -> int:
        """Pixels that are read, for who shows progress."""
        may = len(self.sides.comparisons) > 1 or reads_twice(self.wanted, self.reports)
        again = self.sides.comparisons[0].window.area if may else 0
        return self.sides.work + again

    def run(self, *, workers: int = 4, progress: Callable[[int], None] | None = None) -> Evaluated:
        """Count, measure and write; see `Comparison.run` and `read_again`."""
        self.check()
        sides, evaluations = self.sides.run(workers=workers, progress=progress)
        findings = Findings()
        first, reports = sides.comparisons[0], self.reports
        legend = evaluations[0].legend
        wanted = self.wanted
        if reports.with_page and wanted.patches is None:
            wanted = replace(wanted, patches=PATCHES)
        rows = ClassRows(sides.comparisons, legend)
        with ExitStack() as stack:
            if reads_twice(wanted, reports) or differ_in_pixels(evaluations):
                maps = []
                if reports.errors is not None:
                    from geoseg.assessment.errormap import ErrorMap  # noqa: PLC0415 — as wanted

                    maps.append(
                        stack.enter_context(
                            ErrorMap(
                                reports.errors,
                                first,
                                evaluations[0],
                                options=self.settings,
                                workers=workers,
                                overwrite=reports.overwrite,
                            )
                        )
                    )
                found = read_again(
                    rows,
                    evaluations,
                    first.prediction.grid,
                    wanted,
                    takers=maps,
                    workers=workers,
                    progress=progress,
                )
                common = total_common([found], [evaluations])
                findings = joined([found], evaluations, wanted, common=common)
                for made in maps:
                    made.make()
            content = document(evaluations, findings, settings=self.settings)
            if reports.report is not None:
                page = None
                if reports.with_page:
                    from geoseg.assessment.gallery import open_scene, page_of  # noqa: PLC0415

                    scene = (
                        None
                        if reports.scene is None
                        else open_scene(reports.scene, first.prediction)
                    )
                    page = page_of(content, findings, rows, legend, scene=scene)
                write_report(reports.report, content, findings, page, overwrite=reports.overwrite)
        return Evaluated(evaluations=evaluations, findings=findings, content=content)
