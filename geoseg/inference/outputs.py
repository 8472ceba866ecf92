"""The rasters that a prediction leaves: classes, and by wish probabilities and confidence.

All are written row by row and appear together when all are whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, OutputError
from geoseg.inference.packing import MapPacking
from geoseg.inference.unfinished import Done, Unfinished
from geoseg.raster.cog.tilepacking import PackedRows
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend, Ramp
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.outputs.kept import KeptFolder

NODATA = 255
"""Class index, and class id in the raster, of pixels without a class."""
_FEW = 24
"""Classes that are counted quicker one by one."""


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

    def absolute(self) -> Outputs:
        """Return the same by their full paths."""
        return Outputs(
            classes=self.classes.absolute(),
            probabilities=None if self.probabilities is None else self.probabilities.absolute(),
            confidence=None if self.confidence is None else self.confidence.absolute(),
        )

    def words(self) -> dict[str, str | None]:
        """Say by option where further outputs go, as seen from the map: folders may be moved."""
        return {
            "--probabilities": self._beside(self.probabilities),
            "--confidence": self._beside(self.confidence),
        }

    def _beside(self, path: Path | None) -> str | None:
        if path is None:
            return None
        try:
            return os.path.relpath(path, self.classes.parent)
        except ValueError:  # on another drive
            return str(path.absolute())


def hectares_of(pixels: Mapping[str, int], grid: Grid) -> dict[str, float] | None:
    """Turn numbers of pixels into areas; None where pixels have no area on Earth."""
    if grid.crs is None:
        return None
    one = grid.pixel_area_m2() / 1e4
    return {name: count * one for name, count in pixels.items()}


class _Kept(TypedDict, total=False):
    """How a writer goes on."""

    kept: KeptFolder
    arrived: int
    sums: tuple[int, ...]


class Maps:
    """Takes finished rows from top to bottom; a context manager.

    Left without `finish`, or by an exception, nothing is written. Rows that an unfinished run left
    are taken over, and those that this one finishes are kept, where `unfinished` says so.
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
        unfinished: Unfinished | None = None,
    ) -> None:
        outputs.check(overwrite=overwrite)
        self._outputs = outputs
        self._grid = grid
        self._legend = legend
        self._tags = tags
        self._min_area = min_area
        self._workers = workers
        self._overwrite = overwrite
        self._unfinished = unfinished
        self._stack = ExitStack()
        self.counts: NDArray[np.int64] = np.zeros(256, np.int64)
        """(256,) pixels of each class index as written."""
        self.valid_pixels = 0
        """Pixels with a class so far, before cleaning."""
        self.rows = 0
        """Rows finished so far, before cleaning."""

    def __enter__(self) -> Self:
        cleans = self._min_area > 1
        with ExitStack() as stack:
            if self._unfinished is not None and cleans:
                self._unfinished.keep_index(self._grid.height, self._grid.width)
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
                    **self._kept(self._outputs.classes, rows=not cleans),
                )
            )
            self._probabilities = self._continuous(
                stack, self._outputs.probabilities, list(self._legend.names), "viridis"
            )
            self._confidence = self._continuous(
                stack, self._outputs.confidence, ["confidence"], "confidence"
            )
            self._small = None
            if cleans:
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
            self._take_over()
            self._stack = stack.pop_all()
        return self

    def _kept(self, output: Path, *, rows: bool = True) -> _Kept:
        """Say where a writer keeps its rows, and how many are there (none without `rows`)."""
        if self._unfinished is None:
            return {}
        kept, done = self._unfinished, self._unfinished.done
        if not rows or not done.rows:
            return {"kept": kept.folder(output)}
        sums = dict(zip(kept.outputs, done.sums, strict=True)).get(output, ())
        return {"kept": kept.folder(output), "arrived": done.rows, "sums": sums}

    def _take_over(self) -> None:
        """Go on from what is finished."""
        if self._unfinished is None or self._unfinished.done.rows == 0:
            return
        done = self._unfinished.done
        self.rows, self.valid_pixels = done.rows, done.valid
        if self._small is None:
            self.counts[:] = done.counts
            return
        for index in self._unfinished.kept_index(self._grid.width):
            self._small.add_rows(index)

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
                **self._kept(path),
            )
        )

    @property
    def packing(self) -> MapPacking | None:
        """How others may pack the map's tiles; None where it is cleaned first."""
        if self._small is not None:
            return None
        return MapPacking(
            tiles=self._classes.packing, ids=self._legend.id_lut, height=self._grid.height
        )

    def write(
        self,
        row: int,
        index: NDArray[np.uint8],
        confidence: NDArray[np.float32] | None,
        probabilities: NDArray[np.float32] | None,
        packed: PackedRows | None = None,
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
        packed
            Rows of the map's tiles that were packed elsewhere, as `packing` says.

        Raises
        ------
        ValueError
            Other rows come next: those above could not be written.
        """
        if row != self.rows:
            raise ValueError(f"rows from {row} on; those from {self.rows} on come next")
        if self._small is None:
            self._classes.write_rows(row, self._legend.id_lut.take(index), packed)
        else:
            self._small.add_rows(index)
            if self._unfinished is not None:
                self._unfinished.put_index(row, index)
        for writer, values, bands in (
            (self._confidence, confidence, 1),
            (self._probabilities, probabilities, len(self._legend)),
        ):
            if writer is not None:
                if values is None:
                    values = np.full((bands, *index.shape), np.nan, np.float32)  # noqa: PLW2901
                writer.write_rows(row, values)
        # Rows are finished, and counted, when all of their outputs are written.
        if self._small is None:
            self._count(index)
        self.valid_pixels += int(np.count_nonzero(index != NODATA))
        self.rows = row + len(index)
        if self._unfinished is not None and self._unfinished.due:
            self._note(self._unfinished)

    def _note(self, unfinished: Unfinished, *, made: bool = False) -> None:
        """Note that what was written so far is finished."""
        done = Done(
            rows=self.rows,
            valid=self.valid_pixels,
            counts=tuple(self.counts.tolist()),
            made=made,
        )
        writers = (
            self._classes if self._small is None else None,
            self._probabilities,
            self._confidence,
        )
        unfinished.note(done, {one.path: one for one in writers if one is not None})

    def _count(self, index: NDArray[np.uint8]) -> None:
        if len(self._legend) > _FEW:
            self.counts += np.bincount(index.ravel(), minlength=256)
            return
        for value in (*range(len(self._legend)), NODATA):
            self.counts[value] += np.count_nonzero(index == value)

    @property
    def pixels(self) -> dict[str, int]:
        """Pixels of each class as written, by name; known when `finish` is through."""
        counts = self.counts.tolist()
        return {c.name: n for c, n in zip(self._legend.classes, counts, strict=False)}

    @property
    def hectares(self) -> dict[str, float] | None:
        """The same as areas, where pixels have an area on Earth."""
        return hectares_of(self.pixels, self._grid)

    def finish(self) -> None:
        """Clean small components, if that was asked for, and make all rasters.

        All rows have been written; leaving the ``with`` block gives the rasters their names.
        """
        if self._small is not None:
            row = 0
            for index in self._small.finish():
                self._classes.write_rows(row, self._legend.id_lut.take(index))
                self._count(index)
                row += len(index)
        for writer in (self._classes, self._probabilities, self._confidence):
            if writer is not None:
                writer.make()
        if self._unfinished is not None:
            self._note(self._unfinished, made=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Who interrupts a run, or frees a full disk, goes on from the last row.
        if error is not None and not isinstance(error, InputError) and self._unfinished is not None:
            with suppress(OutputError):
                self._note(self._unfinished)
        self._stack.__exit__(kind, error, trace)
