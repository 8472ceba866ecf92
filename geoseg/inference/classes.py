"""Finished rows of probabilities as rows of classes, one band of rows behind what computes them.

While a band waits to be looked at, the next is computed already: threads never stand still for
it, and a card has its next work before it is asked for its last. Of a card's bands, class
indices alone come back, one byte a pixel, unless more is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import ModelError
from geoseg.inference.blend import best_class
from geoseg.inference.outputs import NODATA
from geoseg.inference.rows import MapRows
from geoseg.inference.stream import Crew
from geoseg.inference.transfers import arrival
from geoseg.raster.cog.tilepacking import PackedRows


class ClassRows(NamedTuple):
    """Finished rows of a map."""

    row: int
    """First row."""
    class_index: NDArray[np.uint8]
    """(rows, cols) class index, 255 where none is wanted."""
    confidence: NDArray[np.float32] | None
    """(rows, cols) probability of that class, NaN where none is wanted; None where no pixel of
    these rows is wanted, or confidence is not."""
    probabilities: NDArray[np.float32] | None
    """(classes, rows, cols), likewise."""
    packed: PackedRows | None = None
    """Rows of the map's tiles, these rows' and others', where who computed them packed some."""


def class_rows(
    rows: Iterator[MapRows], crew: Crew, *, confidence: bool, probabilities: bool
) -> Iterator[ClassRows]:
    """Turn rows of probabilities into classes; two bands are under way at most.

    Parameters
    ----------
    rows
        Of `geoseg.inference.rows.map_rows`, in order.
    crew
        Threads that computed them.
    confidence, probabilities
        Whether they are wanted, too.

    Raises
    ------
    ModelError
        A probability is NaN where a class is wanted.
    """
    before: _Begun | None = None
    for found in rows:
        begun = _begin(found, crew, confidence=confidence, probabilities=probabilities)
        if before is not None:
            yield before.finished()
        before = begun
    if before is not None:
        yield before.finished()


@dataclass(frozen=True)
class _Begun:
    """Rows whose classes are being found."""

    rows: ClassRows
    parts: list[Future[None]]
    finish: Callable[[], None]

    def finished(self) -> ClassRows:
        for part in self.parts:
            part.result()
        self.finish()
        return self.rows


def _begin(found: MapRows, crew: Crew, *, confidence: bool, probabilities: bool) -> _Begun:
    means, wanted = found.means, found.wanted.copy()  # rows that come meanwhile overwrite it
    index = np.full(wanted.shape, NODATA, np.uint8)
    if means is None:
        return _Begun(ClassRows(found.row, index, None, None), [], lambda: None)
    best = np.full(wanted.shape, np.nan, np.float32) if confidence else None
    every = np.full((len(means), *wanted.shape), np.nan, np.float32) if probabilities else None
    rows = ClassRows(found.row, index, best, every)
    if means.device.type != "cpu":
        return _Begun(rows, [], _fetched(means, wanted, rows))
    return _Begun(
        rows,
        crew.on_parts(
            len(wanted), lambda part: _take(rows, part, wanted, _classes_of(means[:, part], rows))
        ),
        lambda: None,
    )


def _classes_of(
    means: torch.Tensor, rows: ClassRows
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """Class index, NODATA where a probability is NaN; and what else is wanted."""
    with torch.inference_mode():
        index, best = best_class(means)
        index.masked_fill_(best.isnan(), NODATA)
    return (
        index,
        None if rows.confidence is None else best,
        None if rows.probabilities is None else means,
    )


def _fetched(means: torch.Tensor, wanted: NDArray[np.bool_], rows: ClassRows) -> Callable[[], None]:
    """Begin to bring a card's classes here; the function given back waits for them."""
    found = [
        None if values is None else values.to("cpu", non_blocking=True)
        for values in _classes_of(means, rows)
    ]
    wait = arrival(means.device)

    def finish() -> None:
        wait()
        _take(rows, slice(None), wanted, found)

    return finish


def _take(
    rows: ClassRows,
    part: slice,
    wanted: NDArray[np.bool_],
    found: tuple[torch.Tensor | None, ...] | list[torch.Tensor | None],
) -> None:
    """Put what was found where it is wanted."""
    here = wanted[part]
    for into, values in zip(rows[1:4], found, strict=True):
        if into is not None and values is not None:
            np.copyto(into[..., part, :], values.numpy(), where=here)
    if bool(((rows.class_index[part] == NODATA) & here).any()):
        raise ModelError(
            "the network's answer is not a number: the scene's values (see geoseg info) or the"
            " model's weights are beyond it"
        )
