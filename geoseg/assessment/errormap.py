"""A raster of errors for QGIS: which pixel is right, and what the others were taken for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.evaluate import Comparison
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.measures.errors import error_kinds
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.legend import NODATA
from geoseg.raster.provenance import option_words, provenance

BAND = "error"
"""Name of the band of such a raster."""

_OF_ERRORS = ("classes", "field", "assume-aligned", "strict-grid")
"""Settings that tell what is compared; those of other measures change no pixel."""


class ErrorMap:
    """Takes rows in any order; a context manager, and all or nothing as `RasterWriter`.

    Its grid is the part of the prediction's that was read. 255 is where nothing is labelled.
    """

    def __init__(
        self,
        path: str | Path,
        comparison: Comparison,
        evaluation: Evaluation,
        *,
        options: Mapping[str, Any] | None = None,
        workers: int = 4,
        overwrite: bool = False,
    ) -> None:
        self._kinds = error_kinds(evaluation.confusion, evaluation.legend)
        self._window = comparison.window
        asked = {"ignore": list(evaluation.ignored_values), "region": evaluation.region}
        asked |= {name: value for name, value in (options or {}).items() if name in _OF_ERRORS}
        said = {name: value for name, value in asked.items() if value not in (None, [])}
        self._writer = RasterWriter(
            path,
            comparison.prediction.grid.crop(comparison.window),
            band_names=[BAND],
            dtype="uint8",
            nodata=NODATA,
            legend=self._kinds.legend,
            tags=provenance(
                ["geoseg", "evaluate", *comparison.names, *option_words(said)],
                dict(zip(comparison.names, evaluation.fingerprints, strict=True)),
                options=said,
            ),
            overwrite=overwrite,
            workers=workers,
        )

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.__exit__(exc_type, exc, traceback)

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Write rows, of the first prediction; as `BlockCounter.take`."""
        self._writer.write_rows(row - self._window.row, self._kinds.ids(truth, found[0]))

    def make(self) -> None:
        """Make the file but give it no name yet; see `RasterWriter.make`."""
        self._writer.make()
