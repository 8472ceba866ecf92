"""Many dates to one scene: products, a grid and settings in, one raster out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.compositing.dates import Date, common_reading, not_shared, shared_bands
from geoseg.compositing.making import Making
from geoseg.compositing.outputs import CLEAR, Outputs
from geoseg.compositing.plan import described
from geoseg.compositing.product import Product
from geoseg.compositing.reduce import MOST_DATES
from geoseg.compositing.settings import CompositeResult, CompositeSettings
from geoseg.compositing.storage import Storage
from geoseg.compositing.together import bring_together
from geoseg.errors import BandError, GridError, OptionError
from geoseg.raster.cover.region import Region
from geoseg.raster.elsewhere import HandlesFrom
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import Handles
from geoseg.raster.outputs.checks import check_outputs, refuse_inputs
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.window import Window

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

__all__ = ["CLEAR", "CompositeResult", "CompositeSettings", "composite"]

_OPEN_FILES = 512
"""Over all threads; systems allow a process 1,024 or so."""
_LOOK = 256
"""Side in pixels of the windows that are looked at again where nothing is clear."""
_LOOKED = 8
"""Dates that are, about."""


def composite(
    products: Sequence[Product],
    output: str | Path,
    grid: Grid,
    *,
    settings: CompositeSettings,
    counts: str | Path | None = None,
    area: Region | None = None,
    area_name: str | None = None,
    workers: int = 4,
    overwrite: bool = False,
    keep: bool = False,
    resume: bool = False,
    cluster: Cluster | None = None,
    progress: Callable[[int], None] | None = None,
) -> CompositeResult:
    """Write the composite of several dates.

    Parameters
    ----------
    products
        One a date. Readings equal to their fill never enter.
    output
        GeoTIFF to write: the bands, float32 with nodata NaN by default, and as the last one
        "clear", the number of clear dates of each pixel, unless `counts` is given.
    grid
        Where the composite lies. A product on another grid gives each pixel that reading in which
        the pixel's centre lies, or as `settings.resampling` says.
    settings
        What to make.
    counts
        GeoTIFF for the numbers of clear dates instead, uint16.
    area, area_name
        Where to work on the grid, and what to call that. The composite is cut to the rows and
        columns around it; in them, what lies outside is nodata.
    workers
        Threads; the files do not depend on it.
    overwrite
        Whether files may be replaced.
    keep
        Whether finished pixels outlive this run if it is stopped: killed, interrupted, or by a disk
        that is full.
    resume
        Go on from such pixels, and `keep` them again. Where none are, all is made; where the files
        are whole and made of the same, nothing is.
    cluster
        Whose workers read and reduce, each opening the files itself; None for threads of this
        process. The files do not depend on it.
    progress
        Called with numbers of finished pixels.

    Raises
    ------
    InputError
        A product lacks a band or cannot be read; or none lies on the grid.
    OptionError
        Settings that do not go together.
    OutputError
        A file cannot be written; pixels that are kept are of other scenes, settings or grid.
    ClusterError
        The workers are gone.
    """
    began = time.perf_counter()
    outputs = tuple(Path(path) for path in (output, counts) if path is not None)
    # With resume, what is there is looked at when it is known what is to be there.
    check_outputs(outputs, overwrite=overwrite or resume, suffixes=(".tif", ".tiff"))
    if not products:
        raise OptionError("there is no scene to make a composite of")
    if len(products) > MOST_DATES:
        raise OptionError(f"{len(products)} scenes are more than can be counted")
    window = grid.window if area is None else area.window
    grid = grid.crop(window)
    most = max(8, _OPEN_FILES // workers)
    handles = Handles(most) if cluster is None else HandlesFrom(Path.cwd(), most)
    dates, outside = _placed(products, grid, settings, handles)
    read = [file for date in dates for file in date.files]
    refuse_inputs(outputs, read)
    handles.know(read)
    making = Making(
        dates=dates,
        grid=grid,
        area=area,
        area_origin=(window.row, window.col),
        reduction=settings.reduction,
        reading=common_reading(dates),
        storage=Storage.of(settings.dtype, dates[0].bands),
        beside=counts is not None,
        workers=workers,
    )
    tags, plan = _described(making, outputs, settings, area_name, kept=keep or resume)
    wanted = Outputs(
        paths=outputs, making=making, tags=tags, plan=plan, resume=resume, overwrite=overwrite
    )
    with closing(handles):
        made = wanted.make(cluster=cluster, progress=progress or (lambda _: None))
        hidden = {} if made.found.counts[1:].any() else _hidden_by(dates, grid)
    names = tuple(band.name for band in dates[0].bands)
    return CompositeResult(
        outputs=outputs,
        grid=grid,
        bands=names,
        dates=tuple(date.name for date in dates),
        outside=tuple(outside),
        left_out=() if settings.bands is not None else not_shared(products, names),
        unmasked=tuple(date.name for date in dates if date.quality is None),
        counts=made.found.counts,
        clipped=made.found.clipped,
        keep=settings.rule.keep,
        hidden_by=hidden,
        taken_over=made.taken_over,
        whole=made.whole,
        seconds=time.perf_counter() - began,
    )


def _placed(
    products: Sequence[Product], grid: Grid, settings: CompositeSettings, handles: Handles
) -> tuple[list[Date], list[str]]:
    """Bring products to the grid: as dates, one at least; and the names of those beside it."""
    dates, outside = bring_together(
        products,
        shared_bands(products) if settings.bands is None else settings.bands,
        grid,
        rule=settings.rule,
        handles=handles,
        resampling=settings.resampling,
    )
    if not dates:
        raise GridError(
            f"none of the {len(products)} scenes lies on the grid of the composite "
            f"({grid.describe()})"
        )
    if any(band.name == CLEAR for band in dates[0].bands):
        raise BandError(f"a band of {dates[0].name} is called “{CLEAR}”, as the counts will be")
    _check_units(dates)
    return dates, outside


def _described(
    making: Making,
    outputs: Sequence[Path],
    settings: CompositeSettings,
    area_name: str | None,
    *,
    kept: bool,
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Say what is made: in the outputs' metadata, and for a later run where pixels are kept."""
    dates, area = making.dates, making.area
    with ThreadPoolExecutor(making.workers) as pool:
        digests = list(pool.map(Date.fingerprint, dates))
    tags = _tags(dates, digests, settings, area, area_name)
    if not kept:
        return tags, None
    grid = making.grid
    return tags, described(dates, digests, grid, outputs, area=area, area_name=area_name, tags=tags)


def _hidden_by(dates: Sequence[Date], grid: Grid) -> dict[str, float]:
    """Find what hides readings, from some windows of some dates; see `CompositeResult`."""
    readings, flags = 0, Counter[str]()
    rows, cols = (
        [max(0, min(size - _LOOK, size * k // 6 - _LOOK // 2)) for k in (1, 3, 5)]
        for size in (grid.height, grid.width)
    )
    places = sorted({(row, col) for row in rows for col in cols})
    for date in dates[:: max(1, len(dates) // _LOOKED)]:
        for row, col in places:
            window = Window(row, col, _LOOK, _LOOK).intersection(grid.window)
            if window is not None:
                found, flagged = date.flags(window)
                readings += found
                flags.update(flagged)
    return {name: count / readings for name, count in flags.most_common()}


def _check_units(dates: Sequence[Date]) -> None:
    """Refuse to mix numbers that mean different things."""
    for other in dates[1:]:
        for one, two in zip(dates[0].bands, other.bands, strict=True):
            if one.unit != two.unit and (one.scale, one.offset) != (two.scale, two.offset):
                raise BandError(
                    f"band {one.name} is {one.unit or 'bare numbers'} in {dates[0].name} and "
                    f"{two.unit or 'bare numbers'} in {other.name}: composite them apart, or put "
                    "the MTL file beside the bands of a level-1 product that lacks it"
                )


def _tags(
    dates: Sequence[Date],
    digests: Sequence[str],
    settings: CompositeSettings,
    area: Region | None,
    area_name: str | None,
) -> dict[str, str]:
    options = settings.words() | {"bands": ",".join(band.name for band in dates[0].bands)}
    inputs: dict[str, str] = {}
    for date, digest in zip(dates, digests, strict=True):
        alike = sum(name.split(" (")[0] == date.name for name in inputs)
        inputs[f"{date.name} ({alike + 1})" if alike else date.name] = digest
    if area_name is not None:
        options["region"] = area_name
        if area is not None:
            inputs[area_name] = area.fingerprint()
    command = ["geoseg", "composite", *(date.word for date in dates), *option_words(options)]
    return provenance(command, inputs, options=options)
