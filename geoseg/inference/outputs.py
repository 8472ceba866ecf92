"""The rasters that a prediction leaves: classes, and by wish probabilities and confidence.

All are written row by row and appear together when all are whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend, Ramp
from geoseg.raster.output import check_outputs
from geoseg.raster.writer import RasterWriter

NODATA = 255
"""Class index, and class id in the raster, of pixels without a class."""


@dataclass(frozen=True)
class Outputs:
    """Where rasters go."""

    classes: Path
    probabilities: Path | None = None
    confidence: Path | None = None

    @classmethod
    def of(
        cls,
        classes: str | Path,
        probabilities: str | Path | None = None,
        confidence: str | Path | None = None,
    ) -> Outputs:
        """Take paths as the user gave them."""
        return cls(
            classes=Path(classes),
            probabilities=None if probabilities is None else Path(probabilities),
            confidence=None if confidence is None else Path(confidence),
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """Those that are wanted."""
        every = (self.classes, self.probabilities, self.confidence)
        return tuple(path for path in every if path is not None)

    def check(self, *, overwrite: bool) -> None:
        """Refuse what cannot be written, before any work is done.

        Raises
        ------
        OptionError
            Two outputs are one file.
        OutputError
            There already, or a folder is missing.
        """
        check_outputs(self.paths, overwrite=overwrite)


class Maps:
    """Takes finished rows from top to bottom; a context manager.

    Left without `finish`, or by an exception, nothing is written.
    """

    def __init__(
        self,
        outputs: Outputs,
        *,
        grid: Grid,
        legend: Legend,
        tags: Mapping[str, str],
        min_area: int,
        workers: int,
        overwrite: bool,
    ) -> None:
        outputs.check(overwrite=overwrite)
        self._outputs = outputs
        self._grid = grid
        self._legend = legend
        self._tags = tags
        self._min_area = min_area
        self._workers = workers
        self._overwrite = overwrite
        self._stack = ExitStack()
        self.counts: NDArray[np.int64] = np.zeros(256, np.int64)
        """(256,) pixels of each class index as written."""
        self.valid_pixels = 0
        """Pixels with a class so far, before cleaning."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._classes = stack.enter_context(
                RasterWriter(
                    self._outputs.classes,
                    self._grid,
                    band_names=["class"],
                    dtype="uint8",
                    nodata=NODATA,
                    legend=self._legend,
                    tags=self._tags,
                    overwrite=self._overwrite,
                )
            )
            self._probabilities = self._continuous(
                stack, self._outputs.probabilities, list(self._legend.names), "viridis"
            )
            self._confidence = self._continuous(
                stack, self._outputs.confidence, ["confidence"], "confidence"
            )
            self._small = None
            if self._min_area > 1:
                from geoseg.inference.cleanup import SmallComponents  # noqa: PLC0415 — compiles

                self._small = stack.enter_context(
                    SmallComponents(
                        self._grid.width,
                        self._min_area,
                        classes=len(self._legend),
                        folder=self._outputs.classes.parent,
                        workers=self._workers,
                    )
                )
            self._stack = stack.pop_all()
        return self

    def _continuous(
        self, stack: ExitStack, path: Path | None, names: list[str], ramp: str
    ) -> RasterWriter | None:
        if path is None:
            return None
        return stack.enter_context(
            RasterWriter(
                path,
                self._grid,
                band_names=names,
                dtype="float32",
                nodata=float("nan"),
                ramp=Ramp(name=ramp, minimum=0.0, maximum=1.0),
                tags=self._tags,
                overwrite=self._overwrite,
            )
        )

    def write(
        self,
        row: int,
        index: NDArray[np.uint8],
        confidence: NDArray[np.float32] | None,
        probabilities: NDArray[np.float32] | None,
    ) -> None:
        """Take the next rows.

        Parameters
        ----------
        row
            First row.
        index
            (rows, cols) class index, 255 where there is none.
        confidence
            (rows, cols), NaN where there is no class; None where no pixel of these rows has one.
        probabilities
            (classes, rows, cols), likewise.
        """
        self.valid_pixels += int(np.count_nonzero(index != NODATA))
        if self._small is None:
            self._write_classes(row, index)
        else:
            self._small.add_rows(index)
        for writer, values, bands in (
            (self._confidence, confidence, 1),
            (self._probabilities, probabilities, len(self._legend)),
        ):
            if writer is not None:
                if values is None:
                    values = np.full((bands, *index.shape), np.nan, np.float32)  # noqa: PLW2901
                writer.write_rows(row, values)

    def _write_classes(self, row: int, index: NDArray[np.uint8]) -> None:
        self.counts += np.bincount(index.ravel(), minlength=256)
        self._classes.write_rows(row, self._legend.id_lut[index])

    @property
    def pixels(self) -> dict[str, int]:
        """Pixels of each class as written, by name; known when `finish` is through."""
        counts = self.counts.tolist()
        return {c.name: n for c, n in zip(self._legend.classes, counts, strict=False)}

    @property
    def hectares(self) -> dict[str, float] | None:
        """The same as areas, where pixels have an area on Earth."""
        if self._grid.crs is None:
            return None
        one = self._grid.pixel_area_m2() / 1e4
        return {name: count * one for name, count in self.pixels.items()}

    def finish(self) -> None:
        """Clean small components, if that was asked for, and make all rasters.

        All rows have been written; leaving the ``with`` block gives the rasters their names.
        """
        if self._small is not None:
            row = 0
            for index in self._small.finish():
                self._write_classes(row, index)
                row += len(index)
        for writer in (self._classes, self._probabilities, self._confidence):
            if writer is not None:
                writer.make()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
