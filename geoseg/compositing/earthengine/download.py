"""A composite of Earth Engine to a file: settings and a place in, rasters out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ee
import numpy as np

from geoseg.compositing.earthengine.asking import Asked, ask_for
from geoseg.compositing.earthengine.assembly import Assembly
from geoseg.compositing.earthengine.client import Asker
from geoseg.compositing.earthengine.expression import CLEAR, KNOWN, LABEL, fingerprint
from geoseg.compositing.earthengine.fetch import Fetching, Request
from geoseg.compositing.earthengine.outputs import Outputs, Written
from geoseg.compositing.earthengine.plan import Layer, check_size, windows
from geoseg.compositing.earthengine.planned import described
from geoseg.compositing.earthengine.settings import (
    EarthEngineResult,
    EarthEngineSettings,
    Place,
)
from geoseg.compositing.earthengine.store import Store, check_leftover
from geoseg.compositing.settings import CompositeResult
from geoseg.errors import OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.placing import definition
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
        Whether to go on from what a run of the same settings left; of that, what is damaged is
        fetched again.
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
        A file cannot be written, there are windows of another run, or one was damaged meanwhile.
    """
    began = time.perf_counter()
    asker = asker or Asker()
    target = Path(output)
    paths = [target, *(Path(path) for path in (counts, labels_output) if path is not None)]
    check_outputs(paths, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    if (labels_output is None) != (settings.labels is None):
        raise OptionError("--labels-collection and --labels-output go together; give both")
    check_leftover(target, resume=resume, overwrite=overwrite)
    side = settings.window_side
    check_size(place.grid, side)
    asked = ask_for(settings, place, asker)
    outputs = Outputs(
        settings=settings,
        place=place,
        asked=asked,
        composite=target,
        counts=None if counts is None else Path(counts),
        labels=None if labels_output is None else Path(labels_output),
        overwrite=overwrite,
    )
    images = _expressions(asked)
    prints = {key: fingerprint(image) for key, image in images.items()}
    plan = described(settings, place, asked, side=side, expressions=prints)
    layers = _layers(asked)
    parts = windows(place.grid, side, place.area, place.origin)
    report = _guarded(progress)
    report(len(layers) * (place.grid.window.area - sum(part.area for part in parts)))
    with Store(target, plan, resume=resume, overwrite=overwrite) as store:
        Fetching(
            store=store,
            requests={key: _request(image, place.grid) for key, image in images.items()},
            asker=asker,
            workers=settings.workers,
            progress=report,
        ).fetch([(layer, part) for part in parts for layer in layers.values()])
        assembly = Assembly(
            store=store, grid=place.grid, windows=parts, area=place.area, origin=place.origin
        )
        written = outputs.write(assembly, layers)
        store.remove()
    return EarthEngineResult(
        composite=_result(outputs, written, time.perf_counter() - began),
        images={name: len(images) for name, images in asked.images.items()},
        requests=asker.requests,
        labels=outputs.labels,
        classes=written.classes,
    )


def _result(outputs: Outputs, written: Written, seconds: float) -> CompositeResult:
    asked = outputs.asked
    return CompositeResult(
        outputs=outputs.paths,
        grid=outputs.place.grid,
        bands=outputs.bands,
        dates=asked.names,
        outside=(),
        left_out=(),
        unmasked=tuple(one.id for one in asked.recipe.collections if not one.quality_kind),
        counts=written.counts,
        clipped=written.clipped,
        seconds=seconds,
    )


def _layers(asked: Asked) -> dict[str, Layer]:
    fields = [*((name, "<f4") for name in asked.recipe.ids), (CLEAR, "<u2")]
    found = [Layer(key="composite", dtype=np.dtype(fields))]
    if asked.labels is not None:
        found.append(Layer(key="labels", dtype=np.dtype([(LABEL, "<i4"), (KNOWN, "u1")])))
    return {layer.key: layer for layer in found}


def _expressions(asked: Asked) -> dict[str, Any]:
    """Return what the server computes, by layer."""
    found = {"composite": asked.recipe.composite()}
    if asked.labels is not None:
        found["labels"] = asked.labels.image
    return found


def _request(image: Any, grid: Grid) -> Request:
    """Return what fetches a window of an image.

    As NPY: that holds a type for each band and needs no GDAL. A masked pixel comes as 0 there,
    which is why every layer has a band that says where there is something.
    """

    def ask(window: Window) -> bytes:
        asked_for = {"expression": image, "fileFormat": "NPY", "grid": pixel_grid(grid, window)}
        answer: bytes = ee.data.computePixels(asked_for)
        return answer

    return ask


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
