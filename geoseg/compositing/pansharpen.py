"""Pansharpening: a multispectral scene at the panchromatic band's pixels.

Twice from top to bottom: first bands and panchromatic band are compared at the bands' pixels
(`geoseg.compositing.gsa`), then the bands are brought to the panchromatic pixels, by the true
places of their centres, and get its detail. Memory depends on the width of the scenes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.gsa import Fusion, Moments
from geoseg.compositing.pair import Pair
from geoseg.errors import OptionError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.checks import check_output, refuse_inputs
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Pixels
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window

Upsampling = Literal["cubic", "bilinear"]
DTYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")

_MOST_PIXELS = 1 << 22
"""Of a strip."""


@dataclass(frozen=True, kw_only=True)
class PansharpenSettings:
    """What is to be made."""

    method: Literal["gsa"] = "gsa"
    """Adaptive Gram–Schmidt."""
    resampling: Upsampling = "cubic"
    """How the bands come to the panchromatic band's pixels."""
    dtype: str | None = None
    """One of `DTYPES`; by default that of the bands."""

    def __post_init__(self) -> None:
        if self.method != "gsa":
            raise OptionError(f"method “{self.method}” is not known; there is: gsa")
        if self.resampling not in {"cubic", "bilinear"}:
            raise OptionError(
                f"bands cannot be upsampled by “{self.resampling}”; give cubic or bilinear"
            )
        if self.dtype is not None and self.dtype not in DTYPES:
            raise OptionError(f"pixels cannot be {self.dtype} here; there are: {', '.join(DTYPES)}")


@dataclass(frozen=True, kw_only=True)
class PansharpenResult:
    """What came of it."""

    output: Path
    """The file written."""
    grid: Grid
    """Where it lies."""
    bands: tuple[str, ...]
    """Names of its bands."""
    fusion: Fusion
    """What was fitted."""
    compared: int
    """Pixels of the bands that it was fitted on."""
    pixels: int
    """Pixels of the output that have a reading."""
    clipped: int
    """Values that the type could not hold, or that would have been taken for nodata; they became
    the nearest that it can."""
    seconds: float
    """How long it took."""


def work(pair: Pair) -> int:
    """Return how many pixels `pansharpen` tells its `progress` of."""
    return _compared(pair).area + pair.grid.height * pair.grid.width


def pansharpen(
    pair: Pair,
    output: str | Path,
    *,
    settings: PansharpenSettings | None = None,
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PansharpenResult:
    """Write the bands of a scene at the panchromatic band's pixels.

    The output lies on the panchromatic pixels whose centres lie on the multispectral scene. A pixel
    has a reading where the panchromatic one is valid and lies in a valid one of the bands; what is
    invalid enters nowhere. Readings stay readings: scale, offset and unit of the bands go with
    them.

    Parameters
    ----------
    pair
        What to join.
    output
        GeoTIFF to write. Its nodata is the bands' own; without one NaN for floats, else the lowest
        number.
    settings
        What to make.
    workers
        Threads; the file does not depend on it.
    overwrite
        Whether a file may be replaced.
    progress
        Called with numbers of finished pixels, `work` in all.

    Raises
    ------
    InputError
        A file cannot be read, or the bands have nothing to do with the panchromatic one.
    OptionError
        The bands are of a type that is not written.
    OutputError
        The file cannot be written.
    """
    began = time.perf_counter()
    settings = settings or PansharpenSettings()
    tell = progress or (lambda _: None)
    check_output(output, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    refuse_inputs([Path(output)], [*pair.bands.files, *pair.pan.files])
    store = _Store.of(pair, settings.dtype)
    with ExitStack() as stack:
        stack.callback(pair.bands.close)
        stack.callback(pair.pan.close)
        moments = _compare(pair, workers, tell)
        fusion = Fusion.of(moments)
        writer = stack.enter_context(
            RasterWriter(
                output,
                pair.grid,
                band_names=pair.bands.band_names,
                dtype=store.dtype.name,
                nodata=store.nodata,
                tags=_tags(pair, settings),
                overwrite=overwrite,
                scales=pair.scales if _is_scaled(pair) else None,
                offsets=pair.offsets if _is_scaled(pair) else None,
                units=pair.units if any(pair.units) else None,
                workers=workers,
            )
        )
        _sharpen(pair, fusion, store, settings.resampling, writer, workers, tell)
    return PansharpenResult(
        output=Path(output),
        grid=pair.grid,
        bands=pair.bands.band_names,
        fusion=fusion,
        compared=moments.pixels,
        pixels=store.pixels,
        clipped=store.clipped,
        seconds=time.perf_counter() - began,
    )


def _is_scaled(pair: Pair) -> bool:
    return any(scale != 1 for scale in pair.scales) or any(pair.offsets)


def _tags(pair: Pair, settings: PansharpenSettings) -> dict[str, str]:
    options: dict[str, Any] = {
        "method": settings.method,
        "resampling": settings.resampling,
        "bands": ",".join(pair.bands.band_names),
    }
    if settings.dtype is not None:
        options["dtype"] = settings.dtype
    options |= pair.asked
    named = {pair.name: pair.bands.fingerprint(), pair.pan.paths[0]: pair.pan.fingerprint()}
    command = ["geoseg", "pansharpen", *(pair.words or named), *option_words(options)]
    return provenance(command, named, options=options)


def _rows(width: int) -> int:
    """Height of strips."""
    return max(16, min(512, _MOST_PIXELS // width))


def _compared(pair: Pair) -> Window:
    """Part of the bands that the panchromatic band lies on."""
    areas, pan = pair.areas, pair.pan.grid
    low, high = areas.rows(0, pair.bands.grid.height)
    first, last = areas.cols(0, pair.bands.grid.width)
    rows = np.nonzero((high > 0) & (low < pan.height))[0]
    cols = np.nonzero((last > 0) & (first < pan.width))[0]
    return Window(
        int(rows[0]), int(cols[0]), int(rows[-1] - rows[0] + 1), int(cols[-1] - cols[0] + 1)
    )


def _compare(pair: Pair, workers: int, tell: Callable[[int], None]) -> Moments:
    """Gather what bands and averaged panchromatic band have in common."""
    moments = Moments(len(pair.bands.bands))

    def convert(
        pixels: Sequence[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        means, valid = pair.areas.means(pair.pan, window)
        return (pixels[0].data, means), valid & pixels[0].valid

    window = _compared(pair)
    for strip in read_strips(
        [pair.bands],
        window=window,
        target_rows=_rows(window.width),
        workers=workers,
        convert=convert,
    ):
        bands, means = strip.arrays
        moments.add(bands, means, strip.valid)
        tell(strip.valid.size)
    return moments


def _sharpen(
    pair: Pair,
    fusion: Fusion,
    store: _Store,
    resampling: str,
    writer: RasterWriter,
    workers: int,
    tell: Callable[[int], None],
) -> None:
    """Write all rows."""
    pan = pair.pan.on_grid(pair.grid)
    bands = pair.bands.on_grid(pair.grid, resampling=resampling)

    def convert(
        pixels: Sequence[Pixels], _window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        valid = pixels[0].valid & pixels[1].valid
        # What is invalid may be NaN, and is replaced anyway.
        with np.errstate(invalid="ignore", over="ignore"):
            values = fusion.sharpen(pixels[1].data, pixels[0].data[0])
        return (store.stored(values, valid),), valid

    for strip in read_strips(
        [pan, bands], target_rows=_rows(pair.grid.width), workers=workers, convert=convert
    ):
        writer.write_rows(strip.row, strip.arrays[0])
        tell(strip.valid.size)


@dataclass
class _Store:
    """How values become numbers in the file, and what is counted on the way."""

    dtype: np.dtype[Any]
    nodata: float
    pixels: int = 0
    clipped: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @classmethod
    def of(cls, pair: Pair, dtype: str | None) -> _Store:
        """Choose type and nodata."""
        kind = np.dtype(dtype or pair.bands.dtype)
        if kind.name not in DTYPES:
            raise OptionError(
                f"{pair.name}: its pixels are {kind}, which is not written here; choose another "
                "type (--dtype)"
            )
        own = pair.nodata
        if kind.kind == "f":
            return cls(kind, math.nan if own is None or dtype is not None else own)
        limits = np.iinfo(kind)
        fits = own is not None and limits.min <= own <= limits.max and own == int(own)
        return cls(kind, float(own) if own is not None and fits else float(limits.min))

    def stored(self, values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[Any]:
        """Return (bands, rows, cols) as they are in the file; safe from any thread."""
        if self.dtype.kind == "f":
            out = np.where(valid, values, self.nodata).astype(self.dtype)
            taken = valid & (out == self.dtype.type(self.nodata))
            out[taken] = np.nextafter(self.dtype.type(self.nodata), self.dtype.type(math.inf))
            clipped = int(np.count_nonzero(taken))
        else:
            whole = np.rint(values)
            limits = np.iinfo(self.dtype)
            held = np.clip(whole, limits.min, limits.max)
            # A value is no "none": it becomes the next one on the side of the other numbers.
            beside = self.nodata + 1 if self.nodata < limits.max else self.nodata - 1
            held[held == self.nodata] = beside
            clipped = int(np.count_nonzero((held != whole) & valid))
            out = np.where(valid, held, self.nodata).astype(self.dtype)
        with self._lock:
            self.pixels += int(np.count_nonzero(valid))
            self.clipped += clipped
        return out
