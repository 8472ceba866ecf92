"""What a run leaves: activation maps, and by wish weak labels, confidence, a report, a model.

Rasters are written row by row, can be read back meanwhile, and appear together when all are whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.inference.outputs import Maps, Outputs
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend, Ramp
from geoseg.raster.maker import document_with, page_with
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.outputs.temporary import TemporaryFolder

_PAGE = "page"


@dataclass(frozen=True, kw_only=True)
class CamOutputs:
    """Where files go."""

    maps: Path
    """Activation maps, a band a class, float32."""
    weak_labels: Path | None = None
    """Class raster."""
    confidence: Path | None = None
    """How sure the weak labels are, float32 from 0 to 1."""
    report: Path | None = None
    """Page for a browser; its numbers appear beside it, see `scores`."""
    fitted_model: Path | None = None
    """The model with the regression in it."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Those that are wanted."""
        every = (
            *(self.maps, self.weak_labels, self.confidence),
            *(self.report, self.scores, self.fitted_model),
        )
        return tuple(path for path in every if path is not None)

    @property
    def scores(self) -> Path | None:
        """The report's numbers for programs, beside it under its name."""
        return None if self.report is None else self.report.with_suffix(".json")

    @property
    def labelled(self) -> bool:
        """Whether weak labels are wanted."""
        return self.weak_labels is not None

    def fits(self, combine: str) -> bool:
        """Tell whether a regression has to be fitted, if there are labels to do so."""
        return combine == "logistic" or self.report is not None or self.fitted_model is not None

    def check(self, *, overwrite: bool, reference: bool) -> None:
        """Refuse what cannot be written, before any work is done.

        Raises
        ------
        OptionError
            Outputs do not go together, or two are one file.
        OutputError
            There already, or a folder is missing.
        """
        if self.confidence is not None and self.weak_labels is None:
            raise OptionError("--confidence is that of weak labels: give --weak-labels too")
        if self.fitted_model is not None and not reference:
            raise OptionError("--fitted-model keeps a regression fitted on --reference: give that")
        if self.fitted_model is not None and self.fitted_model.suffix != ".safetensors":
            raise OptionError(f"{self.fitted_model}: a model is called NAME.safetensors")
        if self.report is not None and self.report.suffix.casefold() not in (".html", ".htm"):
            raise OptionError(f"{self.report}: a report is a page for a browser, NAME.html")
        if self.report is not None and not (reference or self.labelled):
            raise OptionError("--report is about weak labels: give --weak-labels or --reference")
        check_outputs(self.paths, overwrite=overwrite)


class CamFiles:
    """Takes rows from top to bottom; a context manager.

    Left without `finish`, or by an exception, nothing is written.
    """

    def __init__(
        self,
        outputs: CamOutputs,
        *,
        grid: Grid,
        legend: Legend,
        tags: Mapping[str, str],
        min_area: int,
        workers: int,
        overwrite: bool,
    ) -> None:
        self._outputs = outputs
        self._grid = grid
        self._tags = tags
        self._overwrite = overwrite
        self._stack = ExitStack()
        self._page: TemporaryFolder | None = None
        self._numbers: dict[Path, str | bytes] = {}
        self._maps = RasterWriter(
            outputs.maps,
            grid,
            band_names=list(legend.names),
            dtype="float32",
            nodata=float("nan"),
            ramp=Ramp(name="activation", minimum=-1.0, maximum=1.0),
            tags=tags,
            overwrite=overwrite,
        )
        self._labels: Maps | None = None
        if outputs.weak_labels is not None:
            self._labels = Maps(
                Outputs.of(outputs.weak_labels, confidence=outputs.confidence),
                grid=grid,
                legend=legend,
                tags=tags,
                min_area=min_area,
                workers=workers,
                overwrite=overwrite,
            )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._maps)
            if self._labels is not None:
                stack.enter_context(self._labels)
            if self._outputs.report is not None:
                self._page = stack.enter_context(TemporaryFolder(self._outputs.report))
            self._stack = stack.pop_all()
        return self

    @property
    def keeps_regression(self) -> bool:
        """Whether the model is wanted with the regression in it."""
        return self._outputs.fitted_model is not None

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self._grid.height

    def write_maps(self, row: int, data: NDArray[np.float32]) -> None:
        """Take rows of maps, (classes, rows, width)."""
        self._maps.write_rows(row, data)

    def read_maps(self, first: int, stop: int) -> NDArray[np.float32]:
        """Give rows of maps that were taken, (classes, stop − first, width)."""
        rows: NDArray[np.float32] = self._maps.read_rows(first, stop)
        return rows

    def set_limit(self, limit: float) -> None:
        """Say at which activation, above and below 0, the maps' colours end."""
        self._maps.ramp = Ramp(name="activation", minimum=-limit, maximum=limit)

    def write_labels(
        self, row: int, index: NDArray[np.uint8], confidence: NDArray[np.float32]
    ) -> None:
        """Take rows of weak labels, (rows, width) class index and confidence, if wanted."""
        if self._labels is not None:
            self._labels.write(row, index, confidence, None)

    @property
    def pixels(self) -> dict[str, int]:
        """Pixels of each class as written, by name; known when `finish` is through."""
        return {} if self._labels is None else self._labels.pixels

    @property
    def hectares(self) -> dict[str, float] | None:
        """The same as areas, where pixels have an area on Earth."""
        return None if self._labels is None else self._labels.hectares

    def finish(self) -> None:
        """Clean small components, if that was asked for, and make the rasters.

        Leaving the ``with`` block gives everything its name.
        """
        self._maps.make()
        if self._labels is not None:
            self._labels.finish()

    def add_report(self, page: str, scores: Mapping[str, object]) -> None:
        """Take the page that appears with the rasters, and its numbers as plain JSON objects."""
        if self._page is not None and self._outputs.scores is not None:
            content = document_with(scores, self._tags)
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2)
            self._numbers = {self._outputs.scores: f"{text}\n"}
            page = page_with(page, self._tags)
            (self._page.path / _PAGE).write_text(page, encoding="utf-8", newline="\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The page's folder was entered last and is left first: the page appears before the rasters.
        with ExitStack() as stack:
            stack.push(self._stack)
            if error is not None:
                self._stack.pop_all().__exit__(kind, error, trace)
            elif self._page is not None and (self._page.path / _PAGE).exists():
                self._page.publish(
                    self._page.path / _PAGE, self._numbers, overwrite=self._overwrite
                )
