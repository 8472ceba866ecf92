"""Rasters of one colour and what belongs beside them, written into a folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise.colour import Colour, Line, written_nodata
from geoseg.compositing.homogenise.group import FittedGroup
from geoseg.compositing.homogenise.preview import Sheet, Thumb
from geoseg.compositing.homogenise.settings import HomogeniseResult, ImageResult
from geoseg.compositing.homogenise.standard import COLOUR_TAG
from geoseg.compositing.homogenise.tables import bars_of, page_of, seams_csv
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.legend.style import stretch_qml
from geoseg.raster.maker import document_with, page_with, picture_with
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window
from geoseg.report.homogenise import colours as stretched
from geoseg.report.homogenise import seam_picture
from geoseg.report.pictures import show_bands

__all__ = ["RECORDS", "Writing"]

RECORDS = ("colour.json", "seams.csv", "seams.png", "report.html")
"""Files beside the rasters."""

_CLIPPED = 0.01
"""Share of clipped readings from which on it is told."""


class Writing:
    """Files that are being made."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        fitted: FittedGroup,
        options: dict[str, Any],
        folder: Path,
        workers: int,
        count: Callable[[int], None],
    ) -> None:
        self.scenes, self.fitted, self.options = scenes, fitted, options
        self.folder, self.workers, self.count = folder, workers, count
        self.sheet = Sheet([s.grid for s in scenes], show_bands(scenes[0].band_names))
        self.names = _unique([scene.name for scene in scenes])
        self._digests: dict[int, str] = {}

    def write_all(self) -> tuple[list[ImageResult], list[str]]:
        """Write the rasters; return what came of each, and what a person should know."""
        made: list[ImageResult] = []
        for number, scene in enumerate(self.scenes):
            made.append(self._write(number, scene))
            scene.close()
        notes = [
            f"{one.name}: {100 * one.clipped / one.readings:.1f} % of the readings did not fit "
            "into the type and became the nearest that does"
            for one in made
            if one.readings and one.clipped > _CLIPPED * one.readings
        ]
        return made, notes

    def _write(self, number: int, scene: Scene) -> ImageResult:
        colour, name = self.fitted.colours[number], self.names[number]
        nodata = written_nodata(scene)
        thumb = self.sheet.thumb(number, scene.grid)
        painter = _Painter(colour, nodata, thumb)
        path = self.folder / f"{name}.tif"
        scaled = any((band.scale, band.offset) != (1, 0) for band in scene.bands)
        writer = RasterWriter(
            path,
            scene.grid,
            band_names=scene.band_names,
            dtype=scene.dtype.name,
            nodata=nodata,
            tags=self._tags([number]),
            scales=[band.scale for band in scene.bands] if scaled else None,
            offsets=[band.offset for band in scene.bands] if scaled else None,
            workers=self.workers,
        )
        strips = read_strips([scene], workers=self.workers, convert=painter.paint)
        with writer, closing(strips):
            for strip in strips:
                writer.write_rows(strip.row, strip.arrays[0])
                self.count(strip.height * scene.grid.width)
        self.sheet.lay(number, thumb)
        lines = [band for band in colour.bands if isinstance(band, Line)]
        plain = colour.local is None and len(lines) == len(colour.bands)
        return ImageResult(
            name=name,
            output=path,
            gains=tuple(line.gain for line in lines) if plain else None,
            offsets=tuple(line.offset for line in lines) if plain else None,
            clipped=painter.clipped,
            readings=painter.readings,
        )

    def _tags(self, numbers: Iterable[int]) -> dict[str, str]:
        """Say what made a file of these images."""
        words = ["geoseg", "homogenise", *(s.name for s in self.scenes)]
        tags = provenance(
            [*words, *option_words(self.options)],
            {self.names[number]: self._digest(number) for number in numbers},
            options=self.options,
        )
        return tags | {COLOUR_TAG: self.fitted.standard.digest}

    def _digest(self, number: int) -> str:
        if number not in self._digests:
            self._digests[number] = self.scenes[number].fingerprint()
        return self._digests[number]

    def write_records(self, result: HomogeniseResult) -> None:
        """Write all but the rasters."""
        tags = self._tags(range(len(self.scenes)))
        content = document_with(result.standard.to_json(), tags)
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        self._text("colour.json", text + "\n")
        self._styles()
        self._text("seams.csv", seams_csv(result))
        before, after = self.sheet.pixels
        limits = self.sheet.limits()
        bars = bars_of(result)
        png = seam_picture(stretched(before, limits), stretched(after, limits), bars)
        (self.folder / "seams.png").write_bytes(picture_with(png, tags))
        page = page_of(result, before, after, limits, self.sheet.bands)
        self._text("report.html", page_with(page, tags))

    def _styles(self) -> None:
        """Give all images one stretch in QGIS, which else stretches each by itself."""
        places = list(dict.fromkeys(self.sheet.bands))
        limits = self.sheet.limits(after_alone=True)[: len(places)].tolist()
        for name, scene in zip(self.names, self.scenes, strict=True):
            bands = [scene.bands[place] for place in places]
            shown = [
                (low * band.scale + band.offset, high * band.scale + band.offset)
                for band, (low, high) in zip(bands, limits, strict=True)
            ]
            self._text(f"{name}.qml", stretch_qml([place + 1 for place in places], shown))

    def _text(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8", newline="\n")


class _Painter:
    """Changes rectangles of an image as they are read, in threads, and counts."""

    def __init__(self, colour: Colour, nodata: float | None, thumb: Thumb) -> None:
        self.colour, self.nodata, self.thumb = colour, nodata, thumb
        self.clipped = self.readings = 0
        self._lock = threading.Lock()

    def paint(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Change the readings of a rectangle."""
        data, valid = pixels[0].data, np.ascontiguousarray(pixels[0].valid)
        self.thumb.take(data, valid, window, after=False)
        clipped = self.colour.apply(data, valid, window)
        if self.nodata is not None:
            data[:, ~valid] = self.nodata
        self.thumb.take(data, valid, window, after=True)
        with self._lock:
            self.clipped += clipped
            self.readings += int(np.count_nonzero(valid)) * len(data)
        return (data,), valid


def _unique(names: Sequence[str]) -> list[str]:
    """Make names of files different, upper and lower case alike, by numbers behind them."""
    taken: set[str] = set()
    out = []
    for name in names:
        number, candidate = 1, name
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate.casefold())
        out.append(candidate)
    return out
