"""An evaluation from beginning to end: counted, measured, written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.document import document
from geoseg.assessment.evaluate import Evaluation
from geoseg.assessment.findings import Findings, Wanted, find, pixels_of
from geoseg.assessment.measures.boundary import check_distance
from geoseg.assessment.sides import Sides
from geoseg.assessment.writing import check_report, write_report
from geoseg.errors import OptionError, OutputError
from geoseg.raster.output import check_output, refuse_holding, refuse_inputs

_PATCHES = 8
"""Worst patches that a page shows."""


@dataclass(frozen=True, kw_only=True)
class Reports:
    """What to write."""

    report: Path | None = None
    """*.json, *.html, or a folder for both and tables."""
    errors: Path | None = None
    """A raster of errors, *.tif."""
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
            check_output(self.errors, overwrite=self.overwrite, suffixes=(".tif", ".tiff"))
            if self.report is not None and self.report.resolve() in self.errors.resolve().parents:
                raise OutputError(
                    f"{self.errors} lies in {self.report}, which is written as a whole: name it"
                    " beside the folder"
                )
        outputs = [path for path in (self.report, self.errors) if path is not None]
        refuse_inputs([path for path in outputs if not path.is_dir()], inputs)
        if self.report is not None:
            refuse_holding(self.report, inputs)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluated:
    """What came out."""

    evaluations: tuple[Evaluation, ...]
    """One a prediction."""
    findings: Findings
    """What was found beyond scores."""
    content: dict[str, Any]
    """Everything as plain JSON objects."""


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
    def reads_twice(self) -> bool:
        """Whether pixels are read once more, for what counts alone do not tell."""
        wanted = self.wanted
        return (
            bool(wanted.resamples)
            or any(w is not None for w in (wanted.boundary, wanted.seams, wanted.stages))
            or self.reports.errors is not None
            or self.reports.with_page
        )

    @property
    def work(self) -> int:
        """Pixels that are read, for who shows progress."""
        again = self.sides.comparisons[0].window.area if self.reads_twice else 0
        return self.sides.work + again

    def run(self, *, workers: int = 4, progress: Callable[[int], None] | None = None) -> Evaluated:
        """Count, measure and write; see `Comparison.run` and `find`."""
        self.check()
        sides, evaluations = self.sides.run(workers=workers, progress=progress)
        findings = Findings()
        first, reports = sides.comparisons[0], self.reports
        legend = evaluations[0].legend
        wanted = self.wanted
        if reports.with_page and wanted.patches is None:
            wanted = replace(wanted, patches=_PATCHES)
        with ExitStack() as stack:
            if self.reads_twice:
                from geoseg.assessment.errormap import ErrorMap  # noqa: PLC0415 — as it is wanted

                rows = ClassRows(sides.comparisons, legend)
                maps = []
                if reports.errors is not None:
                    maps.append(
                        stack.enter_context(
                            ErrorMap(
                                reports.errors,
                                first,
                                evaluations[0],
                                workers=workers,
                                overwrite=reports.overwrite,
                            )
                        )
                    )
                findings = find(
                    rows,
                    evaluations,
                    first.prediction.grid,
                    wanted,
                    takers=maps,
                    workers=workers,
                    progress=progress,
                )
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
