"""A composite of Earth Engine as a person asks for it; made the job that does it.

What the command and the function share. Imports no client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal, get_args

from geoseg.compositing.earthengine.collections import collection
from geoseg.compositing.earthengine.plan import check_size
from geoseg.compositing.earthengine.settings import (
    EarthEngineResult,
    EarthEngineSettings,
    LabelChoice,
    Labels,
    Period,
    Place,
)
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.reduce import Reduction
from geoseg.compositing.storage import StoredType, check_stored
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.compositing.earthengine.client import Asker

_WORKERS = 8
"""Requests at once; most of the time is the server's."""


@dataclass(frozen=True, kw_only=True)
class EarthEngineWanted:
    """What is asked; fields are named as the parameters of `geoseg.composite_earth_engine`."""

    collections: tuple[str, ...]
    """Ids."""
    output: str | None
    """GeoTIFF to write; None where the server writes elsewhere."""
    start: date | None
    """First day of images wanted, UTC."""
    end: date | None
    """The day after the last one."""
    region: str | None = None
    """Polygons to cover."""
    bands: tuple[str, ...] | None = None
    """Names, in order; None for all that the collections share."""
    method: Literal["median", "mean", "percentile", "medoid"] = "median"
    """How the clear images of a pixel become one."""
    percentile: float | None = None
    """From 0 to 100, for the method of that name."""
    keep: str = "water"
    """What counts as clear besides clear land, between commas."""
    dilate: int = 0
    """Pixels by which what is masked grows."""
    confidence: str = "high"
    """From which confidence on a pixel is masked."""
    like: str | None = None
    """A raster whose grid to take."""
    crs: str | None = None
    """Coordinate system."""
    scale: float | None = None
    """Side of a pixel in its units."""
    counts: str | None = None
    """GeoTIFF for the numbers of clear images."""
    dtype: StoredType = "float32"
    """Type in the file."""
    labels_collection: str | None = None
    """Labels of the same ground."""
    labels_band: str | None = None
    """Their band."""
    labels_method: LabelChoice | None = None
    """What of several images; the latest by default."""
    labels_output: str | None = None
    """Class raster of them to write."""
    project: str | None = None
    """Google Cloud project that is counted."""
    url: str | None = None
    """Another server than Google's."""
    request_size: int | None = None
    """Most rows and columns of a request."""
    workers: int | None = None
    """Requests at once."""
    overwrite: bool = False
    """Whether files may be replaced."""
    resume: bool = False
    """Whether to go on from what a stopped run left."""
    spelled: Callable[[str], str] = str
    """How a field is called where it was asked for."""

    def __post_init__(self) -> None:
        check_stored(self.dtype)
        if self.labels_method not in (None, *get_args(LabelChoice)):
            raise OptionError(
                f"{self.spelled('labels_method')} is {' or '.join(get_args(LabelChoice))}, not"
                f" {self.labels_method!r}"
            )
        named = self.spelled("labels_collection")
        if self.labels_collection is None:
            for name in ("labels_band", "labels_method", "labels_output"):
                if getattr(self, name) is not None:
                    raise OptionError(
                        f"{self.spelled(name)} goes with {named}, which names the labels"
                    )
        elif self.output is not None and self.labels_output is None:
            raise OptionError(
                f"{named} needs {self.spelled('labels_output')}, where to write the labels"
            )

    @property
    def settings(self) -> EarthEngineSettings:
        """What the server is to compute; OptionError where options do not go together."""
        labels = None
        if self.labels_collection is not None:
            labels = Labels(
                collection=self.labels_collection,
                band=self.labels_band,
                choice=self.labels_method or "latest",
            )
        return EarthEngineSettings(
            collections=tuple(collection(name) for name in self.collections),
            period=Period.of(self.start, self.end),
            bands=self.bands,
            reduction=Reduction(method=self.method, percentile=self.percentile),
            rule=ClearRule.from_text(self.keep, dilate=self.dilate, confidence=self.confidence),
            dtype=self.dtype,
            labels=labels,
            project=self.project,
            url=self.url,
            workers=_WORKERS if self.workers is None else self.workers,
            side=self.request_size,
        )

    def job(self) -> EarthEngineJob:
        """Check what is asked, and find out where it lies; nothing is asked of the server.

        Raises
        ------
        OptionError, InputError
            Options do not go together, or are too much; or a file cannot be read.
        """
        settings = self.settings
        place = Place.choose(
            settings.chosen[0], region=self.region, like=self.like, crs=self.crs, scale=self.scale
        )
        if self.output is not None:
            check_size(place.grid, settings.window_side)
        return EarthEngineJob(wanted=self, settings=settings, place=place)


@dataclass(frozen=True, kw_only=True)
class EarthEngineJob:
    """A composite that can be asked for."""

    wanted: EarthEngineWanted
    """As it was asked for."""
    settings: EarthEngineSettings
    """What the server is to compute."""
    place: Place
    """Where."""

    @property
    def work(self) -> int:
        """Pixels to be fetched, of all rasters."""
        return (1 if self.settings.labels is None else 2) * self.place.grid.window.area

    def download(
        self, *, progress: Callable[[int], None] | None, asker: Asker | None = None
    ) -> EarthEngineResult:
        """Fetch it; see `geoseg.compositing.earthengine.download.download`."""
        from geoseg.compositing.earthengine.download import download  # noqa: PLC0415 — imports ee

        wanted = self.wanted
        if wanted.output is None:
            raise OptionError("say where to write the composite (-o), or --export it")
        return download(
            self.settings,
            self.place,
            wanted.output,
            counts=wanted.counts,
            labels_output=wanted.labels_output,
            resume=wanted.resume,
            overwrite=wanted.overwrite,
            progress=progress,
            asker=asker,
        )
