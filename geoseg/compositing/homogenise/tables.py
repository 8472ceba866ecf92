"""What was found, as rows of tables: for seams.csv and for the report."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise.seams import Seam
from geoseg.compositing.homogenise.settings import HomogeniseResult
from geoseg.report.homogenise import Bar
from geoseg.report.homogenise_page import ImageRow, Mosaics, SeamRow, homogenise_page

__all__ = ["bars_of", "page_of", "seams_csv"]

_MEASURES = ("difference", "absolute", "relative")


def seams_csv(result: HomogeniseResult) -> str:
    """Write all seams as CSV, a line a pair and band.

    Columns: the names of both images, "overlap" or "border", the band, how many pixels; then,
    before and after, mean of first − second, mean of |first − second|, and that divided by the
    standard deviation of both sides; at last, before and after, the median of |first − second|.
    Fields without a number are empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    measures = [f"{measure}_{when}" for when in ("before", "after") for measure in _MEASURES]
    measures += ["median_before", "median_after"]
    writer.writerow(["first", "second", "kind", "band", "pixels", *measures])
    both = zip(result.before, result.after, strict=True)
    medians = [pair for one, two in both for pair in zip(one.median, two.median, strict=True)]
    for row, middle in zip(_rows(result), medians, strict=True):
        values = (*row.before, *row.after, *middle)
        numbers = [f"{v:.9g}" if math.isfinite(v) else "" for v in values]
        writer.writerow([row.first, row.second, row.kind, row.band, row.pixels, *numbers])
    return out.getvalue()


def _rows(result: HomogeniseResult) -> list[SeamRow]:
    return [
        SeamRow(
            first=result.names[one.pair.first],
            second=result.names[one.pair.second],
            kind=one.pair.kind,
            band=band,
            pixels=one.pixels,
            before=_numbers(one, k),
            after=_numbers(two, k),
        )
        for one, two in zip(result.before, result.after, strict=True)
        for k, band in enumerate(result.standard.names)
    ]


def _numbers(seam: Seam, band: int) -> tuple[float, float, float]:
    return seam.difference[band], seam.absolute[band], seam.relative[band]


def bars_of(result: HomogeniseResult) -> list[Bar]:
    """Return a bar for each pair: means over the bands."""
    return [
        Bar(
            f"{result.names[one.pair.first]} – {result.names[one.pair.second]}",
            sum(one.relative) / len(one.relative),
            sum(two.relative) / len(two.relative),
        )
        for one, two in zip(result.before, result.after, strict=True)
    ]


def page_of(
    result: HomogeniseResult,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    limits: NDArray[np.float64],
    shown: tuple[int, ...],
) -> str:
    """Write the report.

    Parameters
    ----------
    result
        What was found.
    before, after
        (3, rows, cols) pictures of all images.
    limits
        (3, 2) their stretch.
    shown
        Positions of the three bands.
    """
    names = result.standard.names
    red, green, blue = (names[k] for k in shown)
    return homogenise_page(
        colour=result.standard.text,
        bands=names,
        images=[
            ImageRow(
                name=image.name,
                gains=image.gains,
                offsets=image.offsets,
                clipped=image.clipped / image.readings if image.readings else None,
            )
            for image in result.images
        ],
        seams=_rows(result),
        bars=bars_of(result),
        overall=(result.relative_before, result.relative_after),
        middle=(result.median_before, result.median_after),
        kept=result.kept,
        notes=result.notes,
        mosaics=Mosaics(before=before, after=after, limits=limits, bands=(red, green, blue)),
        options=result.options,
    )
