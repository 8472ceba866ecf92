"""A composite as a person asks for it, in words and paths; made the job that does it.

What the command and the function share: options mean the same in both, and are checked alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from geoseg.compositing.composite import composite
from geoseg.compositing.dates import shared_bands
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import Opened, open_products
from geoseg.compositing.plan import COMPOSITE
from geoseg.compositing.reduce import Reduction
from geoseg.compositing.settings import CompositeResult, CompositeSettings, Resampling
from geoseg.compositing.storage import StoredType, check_stored
from geoseg.compositing.target import Target, target_grid
from geoseg.errors import OptionError
from geoseg.processors import thread_count
from geoseg.raster.cover.region import Region
from geoseg.raster.elsewhere import workers_elsewhere
from geoseg.raster.named import area_of
from geoseg.raster.opening.heads import heads_kept
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.outputs.unfinished import check_leftover, finished_parts
from geoseg.raster.resampling.regrid import Extent
from geoseg.raster.window import Window

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

Method = Literal["median", "mean", "percentile", "medoid"]


@dataclass(frozen=True, kw_only=True)
class CompositeAsked:
    """What is asked of a composite; fields are named as the options of ``geoseg composite``."""

    scenes: tuple[str, ...]
    """Products, catalogs, rasters, or patterns of them."""
    output: str
    """GeoTIFF to write."""
    bands: tuple[str, ...] | None = None
    """Common names; None for those that all scenes have."""
    method: Method = "median"
    """How the clear dates of a pixel become one."""
    percentile: float | None = None
    """From 0 to 100, for the method of that name."""
    keep: str = "water"
    """What counts as clear besides clear land, between commas."""
    dilate: int = 0
    """Pixels by which what is masked grows."""
    confidence: str = "high"
    """From which confidence on a pixel is masked."""
    start: date | None = None
    """First day wanted."""
    end: date | None = None
    """The day after the last one."""
    sensor: str | None = None
    """What took plain rasters."""
    quality: str | None = None
    """What masks them."""
    band_names: tuple[str, ...] | None = None
    """What their bands are called."""
    like: str | None = None
    """A raster whose grid to take."""
    crs: str | None = None
    """Coordinate system."""
    resolution: float | None = None
    """Side of a pixel in its units."""
    extent: Extent | None = None
    """Ground to cover."""
    resampling: Resampling = "nearest"
    """How readings of other grids come to the composite's."""
    region: str | None = None
    """Polygons, or "xmin,ymin,xmax,ymax", outside of which there is no data."""
    counts: str | None = None
    """GeoTIFF for the numbers of clear dates."""
    dtype: StoredType = "float32"
    """Type in the file."""
    workers: int | None = None
    """Threads; one a processor by default. Of a cluster, of each of its workers."""
    cluster: str | None = None
    """Address of a dask scheduler, or "local"."""
    overwrite: bool = False
    """Whether files may be replaced."""
    resume: bool = False
    """Whether to go on from what a stopped run left."""

    def __post_init__(self) -> None:
        if not self.scenes:
            raise OptionError("there is no scene to make a composite of")
        check_stored(self.dtype)
        thread_count(self.workers)

    @property
    def settings(self) -> CompositeSettings:
        """What the composite is to be; OptionError where options do not go together."""
        return CompositeSettings(
            bands=self.bands,
            reduction=Reduction(method=self.method, percentile=self.percentile),
            rule=ClearRule.from_text(self.keep, dilate=self.dilate, confidence=self.confidence),
            resampling=self.resampling,
            dtype=self.dtype,
            asked={
                "start": self.start,
                "end": self.end,
                "sensor": self.sensor,
                "band-names": None if self.band_names is None else ",".join(self.band_names),
                "quality": self.quality,
                "like": self.like,
                "crs": self.crs,
                "resolution": None if self.resolution is None else f"{self.resolution:.15g}",
                "extent": self.extent,
                "counts": self.counts,
            },
        )

    @contextmanager
    def job(self, *, say: Callable[[str], None] | None = None) -> Iterator[CompositeJob]:
        """Check what is asked and open what it is of, for as long as the context lasts.

        Parameters
        ----------
        say
            Told, a sentence without its full stop, what a user should know before it begins.

        Raises
        ------
        OptionError, InputError, OutputError
            Options do not go together, a scene cannot be read, or an output not written.
        """
        self._check_outputs(say)
        settings = self.settings
        with heads_kept():
            opened = open_products(
                self.scenes,
                sensor=self.sensor,
                band_names=self.band_names,
                quality=self.quality,
                start=self.start,
                end=self.end,
            )
            target = target_grid(
                opened.products,
                shared_bands(opened.products) if self.bands is None else self.bands,
                like=self.like,
                crs=self.crs,
                resolution=self.resolution,
                extent=self.extent,
            )
            area = area_of(self.region, target.grid)
            yield CompositeJob(
                asked=self, settings=settings, opened=opened, target=target, area=area
            )

    def _check_outputs(self, say: Callable[[str], None] | None) -> None:
        """Refuse outputs that cannot be written, before anything is opened."""
        outputs = [Path(path) for path in (self.output, self.counts) if path is not None]
        # With resume, what is there is looked at when it is known what is to be there.
        overwrite = self.overwrite or self.resume
        check_outputs(outputs, overwrite=overwrite, suffixes=(".tif", ".tiff"))
        check_leftover(outputs, COMPOSITE, resume=self.resume, overwrite=self.overwrite)
        nothing = not outputs[0].exists() and not finished_parts(self.output, COMPOSITE)
        if say is not None and self.resume and nothing:
            say(f"nothing is kept of {self.output}; it begins with the first row")


@dataclass(frozen=True, kw_only=True, eq=False)
class CompositeJob:
    """A composite that can be made: what it is of is open, and where it lies is known."""

    asked: CompositeAsked
    """As it was asked for."""
    settings: CompositeSettings
    """What it is to be."""
    opened: Opened
    """Its scenes."""
    target: Target
    """The grid."""
    area: Region | None
    """Where to work on it; everywhere if None."""

    @property
    def window(self) -> Window:
        """Rows and columns of the grid that the composite has."""
        return self.target.grid.window if self.area is None else self.area.window

    @property
    def notes(self) -> tuple[str, ...]:
        """What opening told, a sentence each without its full stop."""
        return self.opened.notes

    @property
    def left_out(self) -> float:
        """Share of the scenes' ground that is not covered, though nobody asked for that."""
        return 0.0 if self.area is not None else self.target.left_out

    def elsewhere(self) -> AbstractContextManager[Cluster | None]:
        """Reach the workers of the cluster that was asked for; None where none was."""
        return workers_elsewhere(self.asked.cluster, self.asked.workers)

    def run(
        self,
        *,
        cluster: Cluster | None,
        keep: bool,
        progress: Callable[[int], None] | None,
    ) -> CompositeResult:
        """Make it; see `geoseg.compositing.composite.composite`.

        Parameters
        ----------
        cluster
            What `elsewhere` gave.
        keep
            Whether finished pixels outlive this run if it is stopped; they do where it takes the
            place of those of another, which go when it is done.
        progress
            Called with numbers of finished pixels.
        """
        asked = self.asked
        return composite(
            self.opened.products,
            asked.output,
            self.target.grid,
            settings=self.settings,
            counts=asked.counts,
            area=self.area,
            area_name=asked.region,
            workers=thread_count(asked.workers),
            overwrite=asked.overwrite,
            keep=keep or finished_parts(asked.output, COMPOSITE) > 0,
            resume=asked.resume,
            cluster=cluster,
            progress=progress,
        )
