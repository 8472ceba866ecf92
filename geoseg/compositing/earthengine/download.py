"""A composite of Earth Engine to a file: settings and a place in, rasters out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import ee
import numpy as np

from geoseg.compositing.earthengine.asking import ASSETS, Asked, ask_for
from geoseg.compositing.earthengine.assembly import Assembly
from geoseg.compositing.earthengine.client import Asker
from geoseg.compositing.earthengine.expression import CLEAR, KNOWN, LABEL, fingerprint
from geoseg.compositing.earthengine.fetch import Fetching, Request
from geoseg.compositing.earthengine.labels import MOST
from geoseg.compositing.earthengine.plan import Layer, check_size, windows
from geoseg.compositing.earthengine.planned import described
from geoseg.compositing.earthengine.settings import (
    EarthEngineResult,
    EarthEngineSettings,
    Place,
)
from geoseg.compositing.earthengine.store import Store, check_leftover
from geoseg.compositing.settings import CompositeResult
from geoseg.compositing.storage import Storage
from geoseg.errors import OptionError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.placing import definition
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.window import Window

__all__ = ["download"]


def download(
    settings: EarthEngineSettings,
    place: Place,
    output: str | Path,
    *,
    counts: str | Path | None = None,
    labels_output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    asker: Asker | None = None,
) -> EarthEngineResult:
    """Let Earth Engine compute a composite, fetch it, and write it.

    The file does not depend on the windows in which it was fetched, nor on how often that was
    interrupted: finished windows are kept beside the output until it is made.

    Parameters
    ----------
    settings
        What to ask for.
    place
        Where.
    output
        GeoTIFF to write: the bands, float32 with nodata NaN by default, and as the last one
        "clear", the number of clear images of each pixel, unless `counts` is given.
    counts
        GeoTIFF for the numbers of clear images instead, uint16.
    labels_output
        Class raster of the labels, where the settings name some.
    resume
        Whether to go on from what a run of the same settings left.
    overwrite
        Whether files, and what another run left, may be replaced.
    progress
        Called with numbers of finished pixels.
    asker
        Asks the server; patiently by default.

    Raises
    ------
    EarthEngineError
        The server knows nobody, cannot be reached, has no image, or refuses.
    OptionError, InputError
        What is asked for makes no sense, or is too much.
    OutputError
        A file cannot be written, or there are windows of another run.
    """
    began = time.perf_counter()
    asker = asker or Asker()
    paths = [Path(output)]
    paths += [Path(path) for path in (counts, labels_output) if path is not None]
    check_outputs(paths, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    if (labels_output is None) != (settings.labels is None):
        raise OptionError("--labels-collection and --labels-output go together; give both")
    check_leftover(paths[0], resume=resume, overwrite=overwrite)
    side = settings.window_side
    check_size(place.grid, side)
    asked = ask_for(settings, place, asker)
    layers = _layers(asked)
    parts = windows(place.grid, side, place.area, place.origin)
    report = _guarded(progress)
    report(len(layers) * (place.grid.window.area - sum(part.area for part in parts)))
    plan = described(
        settings,
        place,
        asked,
        side=side,
        expressions={key: fingerprint(image) for key, image in _expressions(asked).items()},
    )
    with ExitStack() as stack:
        store = stack.enter_context(Store(paths[0], plan, resume=resume, overwrite=overwrite))
        Fetching(
            store=store,
            requests=_requests(asked, place.grid),
            asker=asker,
            workers=settings.workers,
            progress=report,
        ).fetch([(layer, part) for part in parts for layer in layers])
        assembly = Assembly(
            store=store, grid=place.grid, windows=parts, area=place.area, origin=place.origin
        )
        result = _write(settings, place, asked, layers, assembly, paths, counts, overwrite, began)
        store.remove()
    return replace(result, requests=asker.requests)


def _layers(asked: Asked) -> list[Layer]:
    fields = [*((name, "<f4") for name in asked.recipe.ids), (CLEAR, "<u2")]
    found = [Layer(key="composite", dtype=np.dtype(fields))]
    if asked.labels is not None:
        found.append(Layer(key="labels", dtype=np.dtype([(LABEL, "<i4"), (KNOWN, "u1")])))
    return found


def _expressions(asked: Asked) -> dict[str, Any]:
    found = {"composite": asked.recipe.composite()}
    if asked.labels is not None:
        found["labels"] = asked.labels.image
    return found


def _requests(asked: Asked, grid: Grid) -> dict[str, Request]:
    """Return what fetches a window, by layer.

    As NPY: that holds a type for each band and needs no GDAL. A masked pixel comes as 0 there,
    which is why every layer has a band that says where there is something.
    """

    def request(image: Any) -> Request:
        def ask(window: Window) -> bytes:
            asked_for = {"expression": image, "fileFormat": "NPY", "grid": pixel_grid(grid, window)}
            answer: bytes = ee.data.computePixels(asked_for)
            return answer

        return ask

    return {key: request(image) for key, image in _expressions(asked).items()}


def pixel_grid(grid: Grid, window: Window) -> dict[str, Any]:
    """Return a window of a grid as Earth Engine's PixelGrid."""
    text, is_code = definition(grid)
    t = grid.crop(window).transform
    return {
        "dimensions": {"width": window.width, "height": window.height},
        "affineTransform": {
            "scaleX": t.a,
            "shearX": t.b,
            "translateX": t.c,
            "shearY": t.d,
            "scaleY": t.e,
            "translateY": t.f,
        },
        "crsCode" if is_code else "crsWkt": text,
    }


def _guarded(progress: Callable[[int], None] | None) -> Callable[[int], None]:
    """Let threads report one after the other."""
    lock = threading.Lock()

    def report(pixels: int) -> None:
        if progress is not None:
            with lock:
                progress(pixels)

    return report


def _write(
    settings: EarthEngineSettings,
    place: Place,
    asked: Asked,
    layers: Sequence[Layer],
    assembly: Assembly,
    paths: Sequence[Path],
    counts: str | Path | None,
    overwrite: bool,
    began: float,
) -> EarthEngineResult:
    """Make the files of what was fetched; they appear together."""
    bands = asked.recipe.bands[0]
    names = tuple(band.name for band in bands)
    whole_numbers = settings.dtype != "float32"
    storage = Storage(
        dtype=settings.dtype,
        scales=tuple(band.stored[0] if whole_numbers else 1.0 for band in bands),
        offsets=tuple(band.stored[1] if whole_numbers else 0.0 for band in bands),
    )
    beside = counts is not None
    more = [] if beside else [CLEAR]
    tags = _tags(settings, place, asked)
    shared: dict[str, Any] = {"tags": tags, "overwrite": overwrite, "workers": settings.workers}
    with ExitStack() as stack:
        writer = RasterWriter(
            paths[0],
            place.grid,
            band_names=[*names, *more],
            dtype=storage.dtype,
            nodata=storage.nodata,
            scales=[*storage.scales, *(1.0 for _ in more)] if storage.is_scaled else None,
            offsets=[*storage.offsets, *(0.0 for _ in more)] if storage.is_scaled else None,
            units=[*(band.unit for band in bands), *("" for _ in more)]
            if any(band.unit for band in bands)
            else None,
            **shared,
        )
        writers = [stack.enter_context(writer)]
        if counts is not None:
            second = RasterWriter(
                counts, place.grid, band_names=[CLEAR], dtype="uint16", nodata=None, **shared
            )
            writers.append(stack.enter_context(second))
        numbers, clipped = assembly.write_composite(layers[0], storage, writers, len(asked.names))
        classes: dict[str, int] = {}
        if asked.labels is not None:
            found = assembly.label_counts(layers[1])
            legend = asked.labels.legend(found)
            third = stack.enter_context(_label_writer(paths[-1], place.grid, legend, shared))
            assembly.write_labels(layers[1], legend, third)
            writers.append(third)
            classes = _by_name(found, legend)
        for one in writers:
            one.make()
    return EarthEngineResult(
        composite=CompositeResult(
            outputs=tuple(paths),
            grid=place.grid,
            bands=names,
            dates=asked.names,
            outside=(),
            left_out=(),
            unmasked=tuple(one.id for one in asked.recipe.collections if not one.quality_kind),
            counts=numbers,
            clipped=clipped,
            seconds=time.perf_counter() - began,
        ),
        images={name: len(images) for name, images in asked.images.items()},
        requests=0,
        labels=None if asked.labels is None else paths[-1],
        classes=classes,
    )


def _label_writer(
    path: Path, grid: Grid, legend: Legend | None, shared: Mapping[str, Any]
) -> RasterWriter:
    if legend is None:
        return RasterWriter(
            path,
            grid,
            band_names=["class"],
            dtype="uint16",
            nodata=MOST + 1,
            overview_resampling="mode",
            **shared,
        )
    return RasterWriter(
        path, grid, band_names=["class"], dtype="uint8", nodata=NODATA, legend=legend, **shared
    )


def _by_name(counts: Mapping[int, int], legend: Legend | None) -> dict[str, int]:
    if legend is None:
        return {str(value): counts[value] for value in sorted(counts)}
    return {one.name: counts[one.id] for one in legend.classes}


def _tags(settings: EarthEngineSettings, place: Place, asked: Asked) -> dict[str, str]:
    options = settings.words()
    if place.name is not None:
        options["region"] = place.name
    inputs = asked.inputs()
    if asked.labels is not None:
        options |= {"labels-collection": asked.labels.id, "labels-band": asked.labels.band}
        inputs[ASSETS + asked.labels.id] = fingerprint(asked.labels.image)
    command = ["geoseg", "composite"]
    for one in settings.collections:
        command += ["--earth-engine", one.id]
    options["earth-engine"] = ",".join(one.id for one in settings.collections)
    words = option_words({name: value for name, value in options.items() if name != "earth-engine"})
    return provenance([*command, *words], inputs, options=options)
