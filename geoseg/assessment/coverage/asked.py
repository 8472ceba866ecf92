"""Coverage as a person asks for it, in words and paths; made the job that does it.

What the command and the function share: options mean the same in both, and are checked alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from geoseg.assessment.coverage.cells import coverage_by_cell, grid_of_cells, stage_path
from geoseg.assessment.coverage.photographs import PhotographCoverage, coverage_of_photographs
from geoseg.assessment.coverage.result import Result
from geoseg.assessment.coverage.source import Source, open_source
from geoseg.assessment.stages import StageTable
from geoseg.errors import OptionError
from geoseg.processors import thread_count
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.checks import check_output, refuse_inputs

Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class CoverageAsked:
    """What is asked of coverage; fields are named as the options of ``geoseg coverage``."""

    raster: str
    """Class raster, probabilities, or a folder of maps of photographs."""
    output: str
    """``.tif`` by cell, ``.gpkg`` by zone, ``.csv`` of photographs."""
    target: Sequence[str]
    """Classes whose share is wanted."""
    exclude: Sequence[str] = ()
    """Classes that count for nothing."""
    cell: str | None = None
    """Side of the cells."""
    like: str | None = None
    """Raster whose pixels are the cells."""
    zones: str | None = None
    """Polygons to measure inside of."""
    zone_field: str | None = None
    """Attribute that names them."""
    stages: str | None = None
    """"agde", or a table of stages."""
    hectares: bool = False
    """Whether cells get a band of areas."""
    classes: str | None = None
    """What values mean, as `parse_legend` reads it."""
    from_probabilities: bool = False
    """Whether pixels hold probabilities."""
    images: str | None = None
    """Folder of the photographs."""
    previews: str | None = None
    """Folder to make of them, drawn with their classes."""
    workers: int | None = None
    """Threads; one a processor by default."""
    overwrite: bool = False
    """Whether files may be replaced."""
    spelled: Callable[[str], str] = str
    """How a field is called where it was asked for."""

    def __post_init__(self) -> None:
        thread_count(self.workers)
        call = self.spelled
        measures = (self.cell, self.like, self.zones)
        if self.of_photographs:
            if any((*measures, self.zone_field, self.hectares, self.from_probabilities)):
                raise OptionError(
                    "a table (.csv) is of photographs, each measured whole: no cells, zones,"
                    " hectares or probabilities"
                )
            return
        if self.images is not None or self.previews is not None:
            raise OptionError(
                f"{call('images')} and {call('previews')} go with an output that ends in .csv"
            )
        if sum(given is not None for given in measures) != 1:
            raise OptionError(
                f"give one of {call('cell')}, {call('like')} and {call('zones')}: what to measure"
                " by; or, for maps of photographs, an output that ends in .csv"
            )
        if self.zones is None and self.zone_field is not None:
            raise OptionError(f"{call('zone_field')} names polygons; it goes with {call('zones')}")
        if self.zones is not None and self.hectares:
            raise OptionError(f"{call('hectares')} goes with cells; zones always have them")

    @property
    def of_photographs(self) -> bool:
        """Whether maps of photographs are measured, each as a whole."""
        return self.output.lower().endswith(".csv")

    @property
    def _tables(self) -> list[str]:
        """Files that say what classes or stages are."""
        # Path.is_file raises where a text is too long for a name.
        return [g for g in (self.stages, self.classes) if g is not None and os.path.isfile(g)]

    def _stage_table(self) -> StageTable | None:
        return None if self.stages is None else StageTable.parse(self.stages)

    def measure_photographs(self, *, progress: Progress | None) -> PhotographCoverage:
        """Measure each map of a folder; `progress` is told of maps.

        Raises
        ------
        As `coverage_of_photographs`.
        """
        refuse_inputs([self.output], self._tables)
        return coverage_of_photographs(
            self.raster,
            self.output,
            target=self.target,
            excluded=self.exclude,
            classes=self.classes,
            stages=self._stage_table(),
            images=self.images,
            previews=self.previews,
            workers=thread_count(self.workers),
            overwrite=self.overwrite,
            progress=progress,
        )

    def job(self) -> CoverageJob:
        """Check what is asked of one raster, and open it.

        Raises
        ------
        OptionError, InputError, OutputError
            A class is none, a file cannot be read, or the output not written.
        """
        suffixes = (".tif", ".tiff") if self.zones is None else (".gpkg",)
        check_output(self.output, overwrite=self.overwrite, suffixes=suffixes)
        stages = self._stage_table()
        source = open_source(
            self.raster,
            target=self.target,
            excluded=self.exclude,
            classes=self.classes,
            probabilities=self.from_probabilities,
        )
        read = [*source.scene.files, *self._tables]
        if self.zones is not None:
            from geoseg.assessment.coverage.zones import table_path  # noqa: PLC0415 — geopandas

            polygons = self.zones.partition("|layername=")[0]
            refuse_inputs([self.output, table_path(self.output)], [*read, polygons])
            return CoverageJob(asked=self, source=source, stages=stages, cells=None)
        refuse_inputs([self.output, stage_path(self.output)], [*read, *filter(None, [self.like])])
        cells = grid_of_cells(source, size=self.cell, like=self.like)
        return CoverageJob(asked=self, source=source, stages=stages, cells=cells)


@dataclass(frozen=True, kw_only=True, eq=False)
class CoverageJob:
    """Coverage that can be measured: the raster is open."""

    asked: CoverageAsked
    """As it was asked for."""
    source: Source
    """What is measured."""
    stages: StageTable | None
    """Stages by percent."""
    cells: Grid | None
    """The cells; None for zones."""

    @property
    def work(self) -> int:
        """Pixels to be read."""
        return self.source.scene.grid.window.area

    def run(self, *, progress: Progress | None) -> Result:
        """Measure; `progress` is told of pixels.

        Raises
        ------
        As `coverage_by_zone` and `coverage_by_cell`.
        """
        asked = self.asked
        workers = thread_count(asked.workers)
        if self.cells is None:
            from geoseg.assessment.coverage.zones import (  # noqa: PLC0415 — geopandas
                coverage_by_zone,
            )

            return coverage_by_zone(
                self.source,
                asked.output,
                str(asked.zones),
                name_field=asked.zone_field,
                stages=self.stages,
                workers=workers,
                overwrite=asked.overwrite,
                progress=progress,
            )
        return coverage_by_cell(
            self.source,
            asked.output,
            self.cells,
            how=self._how,
            stages=self.stages,
            hectares=asked.hectares,
            workers=workers,
            overwrite=asked.overwrite,
            progress=progress,
        )

    @property
    def _how(self) -> Mapping[str, str]:
        """What chose the cells, for the metadata."""
        asked = self.asked
        return {"cell": asked.cell} if asked.cell is not None else {"like": str(asked.like)}
