"""What is asked of Earth Engine, where it lies, and what came of it; imports no client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geoseg.compositing.earthengine.collections import Collection, CollectionBand, common_bands
from geoseg.compositing.earthengine.plan import LEAST_SIDE, MOST_AT_ONCE, Layer, window_side
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.reduce import Reduction
from geoseg.compositing.settings import CompositeResult
from geoseg.compositing.storage import StoredType
from geoseg.errors import OptionError
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.placing import grid_around, is_metric
from geoseg.raster.scene import Scene

LabelChoice = Literal["latest", "mode"]


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days of which images are taken."""

    start: date
    """The first, UTC."""
    end: date
    """The one after the last, UTC."""

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise OptionError(
                f"no day lies between --start {self.start} and --end {self.end}; the end is the "
                "first day that is not used"
            )

    @classmethod
    def of(cls, start: date | None, end: date | None) -> Period:
        """Period of what a user gave.

        Raises
        ------
        OptionError
            A day is missing, or they lie the wrong way round.
        """
        if start is None or end is None:
            raise OptionError(
                "--earth-engine needs --start and --end: the days of which images are taken"
            )
        return cls(start=start, end=end)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels that are fetched beside a composite."""

    collection: str
    """Id of an image or a collection."""
    band: str | None = None
    """Its band; by default the only one that can be meant."""
    choice: LabelChoice = "latest"
    """What of several images: the latest that has a label, pixel by pixel, or the commonest."""


@dataclass(frozen=True, kw_only=True)
class EarthEngineSettings:
    """What is asked of Earth Engine."""

    collections: tuple[Collection, ...]
    """Whose images make the composite."""
    period: Period
    """When they were taken."""
    bands: tuple[str, ...] | None = None
    """Names, in order; None for all that the collections share."""
    reduction: Reduction = field(default_factory=Reduction)
    """How images become one: by median, mean or percentile."""
    rule: ClearRule = field(default_factory=ClearRule)
    """What counts as clear."""
    dtype: StoredType = "float32"
    """Type in the file; whole numbers are stored with scale and offset."""
    labels: Labels | None = None
    """Labels to fetch beside it."""
    project: str | None = None
    """Google Cloud project that requests are counted for; None for the credentials' own."""
    url: str | None = None
    """Another server."""
    workers: int = 8
    """Requests at once."""
    side: int | None = None
    """Rows and columns of a request, at most."""

    def __post_init__(self) -> None:
        if not self.collections:
            raise OptionError("no collection was named; give one with --earth-engine")
        names = [one.id for one in self.collections]
        if len(set(names)) < len(names):
            raise OptionError(
                "a collection of --earth-engine is named twice; its images count once"
            )
        if self.reduction.method == "medoid":
            raise OptionError(
                "--method medoid is not made on Earth Engine; choose median, mean or percentile"
            )
        if not 1 <= self.workers <= MOST_AT_ONCE:
            raise OptionError(
                f"{self.workers} requests at once: Earth Engine takes from 1 to {MOST_AT_ONCE}; "
                "choose --workers so"
            )
        if self.side is not None and self.side < LEAST_SIDE:
            raise OptionError(
                f"requests of {self.side} pixels a side are too small; give 16 at least"
            )
        common_bands(self.collections, self.bands)

    @property
    def chosen(self) -> list[tuple[CollectionBand, ...]]:
        """The bands in each collection, in the same order."""
        return common_bands(self.collections, self.bands)

    @property
    def window_side(self) -> int:
        """Rows and columns of the windows that are fetched; all layers have the composite's."""
        values = [(str(number), "<f4") for number in range(len(self.chosen[0]))]
        whole = Layer(key="composite", dtype=np.dtype([*values, ("clear", "<u2")]))
        return window_side([whole], self.side)  # labels have fewer bytes than any composite

    def words(self) -> dict[str, Any]:
        """Return what determines the result by the names of the command's options."""
        words: dict[str, Any] = {
            "start": self.period.start.isoformat(),
            "end": self.period.end.isoformat(),
            "method": self.reduction.method,
        }
        if self.reduction.percentile is not None:
            words["percentile"] = self.reduction.percentile
        return words | {
            "keep": ",".join(sorted(self.rule.keep)) or "none",
            "confidence": self.rule.confidence,
            "dilate": self.rule.dilate,
            "dtype": self.dtype,
            "bands": ",".join(band.name for band in self.chosen[0]),
        }


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a composite lies."""

    grid: Grid
    """Its grid."""
    area: Region | None = None
    """Where there are pixels, on a grid of which this one is a part."""
    origin: tuple[int, int] = (0, 0)
    """Row and column there of this grid's first pixel."""
    name: str | None = None
    """What to call the area."""

    @classmethod
    def choose(
        cls,
        bands: tuple[CollectionBand, ...],
        *,
        region: str | None,
        like: str | None,
        crs: str | None,
        scale: float | None,
    ) -> Place:
        """Choose a place.

        Parameters
        ----------
        bands
            Of one collection; the smallest of their pixels is the size by default.
        region
            Polygons to cover; everything else is nodata.
        like
            A raster whose grid to take; without a region all of it.
        crs
            Coordinate system; by default the UTM zone of the region's middle.
        scale
            Side of a pixel in its units.

        Raises
        ------
        OptionError
            Options that exclude each other, or too few.
        InputError
            A file cannot be read, or its place cannot be used.
        """
        from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports GDAL's vector side

        if like is not None:
            if crs is not None or scale is not None:
                raise OptionError(
                    "--like takes the whole grid of a raster; leave out --crs, --scale"
                )
            with Scene.open(like) as scene:
                whole = scene.grid
            if region is None:
                return cls(grid=whole)
        elif region is None:
            raise OptionError("say where the composite shall lie: with --region, --like, or both")
        else:
            whole = grid_around(region, resolution=_side(bands, crs, scale), crs=crs)
        area = read_region(region, whole)
        window = area.window
        return cls(grid=whole.crop(window), area=area, origin=(window.row, window.col), name=region)


def _side(bands: tuple[CollectionBand, ...], crs: str | None, scale: float | None) -> float:
    if scale is not None:
        return scale
    known = [band.resolution for band in bands if band.resolution is not None]
    if not known or not is_metric(crs):
        raise OptionError(
            "say how large a pixel shall be, in units of the coordinate system: --scale"
        )
    return min(known)


@dataclass(frozen=True, kw_only=True)
class EarthEngineResult:
    """What came of a download."""

    composite: CompositeResult
    """Of the composite; its dates are images."""
    images: Mapping[str, int]
    """Collection → how many of its images went in."""
    requests: int
    """How many were made, repeated ones included."""
    labels: Path | None
    """Raster of the labels, if they were asked for."""
    classes: Mapping[str, int]
    """Name (or value) of a label → how many pixels have it."""


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What came of an export."""

    tasks: Mapping[str, str]
    """Description → id of the task."""
    state: str
    """"COMPLETED", or "STARTED" where nobody waited."""
    where: str
    """Where the files appear, in words."""
    grid: Grid
    """Where they lie."""
    bands: tuple[str, ...]
    """What they hold."""
