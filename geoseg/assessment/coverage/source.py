"""What coverage is measured of: a class raster, or probabilities of classes, strip by strip."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.codes import Tally
from geoseg.assessment.coverage.share import Shares, coverage_of_counts
from geoseg.errors import BandError, LabelError, OptionError
from geoseg.raster.cover.ellipsoid import PixelAreas, RowAreas
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import Strip, read_strips
from geoseg.raster.window import Window

_VALUES = 255
"""Classes of a raster that names none: its values 0…254."""
_BEYOND = 1e-3
"""By how much a probability may leave 0 to 1: rounding of sums of many tiles."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Which sums stand for what: classes first, then what is left of a pixel, then no data.

    Of probabilities the place before the last holds whole pixels; `classes` makes of it what the
    classes that were read leave of them.
    """

    size: int
    """Number of sums of a place."""
    slots: NDArray[np.uint8] | None
    """(256,) which sum a code goes to; None for probabilities."""
    target: tuple[int, ...]
    """Which of the classes are wanted."""
    excluded: tuple[int, ...]
    """Which of the classes count for nothing."""

    def classes(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, classes) amounts of classes out of sums (…, size)."""
        if self.slots is not None:
            return sums[..., :-1]
        bands = sums[..., :-2]
        rest = sums[..., -2] - bands.sum(axis=-1)
        return np.concatenate([bands, np.maximum(rest, 0.0)[..., np.newaxis]], axis=-1)

    def shares(self, sums: NDArray[np.float64]) -> Shares:
        """Coverage out of sums (…, size)."""
        return coverage_of_counts(self.classes(sums), self.target, self.excluded)

    def valid(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…,) amount with a class, excluded ones among it."""
        return np.asarray(sums[..., :-1].sum(axis=-1) if self.slots is not None else sums[..., -2])

    def missing(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…,) amount of pixels without data."""
        return sums[..., -1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A raster, and which of its classes are wanted; made by `open_source`."""

    scene: Scene
    """One band of classes, or a band of probabilities for each class."""
    name: str
    """What it is called."""
    legend: Legend | None
    """Classes; None where they are the values of the raster."""
    target: tuple[int, ...]
    """Indices of the classes whose share is wanted."""
    excluded: tuple[int, ...]
    """Indices of the classes that count for nothing."""
    probabilities: bool
    """Whether pixels hold probabilities."""
    areas: PixelAreas | None
    """Areas of pixels; None without a coordinate system."""
    said: str | None = None
    """What a user said of the classes: in words, or the file that says it."""
    strays: Tally = field(default_factory=Tally)
    """Values that are no class; known when all is read."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def counts_pixels(self) -> bool:
        """Whether shares are of numbers of pixels, because all are of one size, or none is known.

        Otherwise they are of areas on the ellipsoid.
        """
        return self.areas is None or self.areas.even

    def class_name(self, index: int) -> str:
        """Name of a class."""
        return f"class {index}" if self.legend is None else self.legend.names[index]

    def names(self, indices: Sequence[int]) -> tuple[str, ...]:
        """Names of classes."""
        return tuple(map(self.class_name, indices))

    def row_areas(self, first: int, stop: int) -> RowAreas:
        """Areas of pixels of some rows, in square metres; of 1 where there is no place on Earth."""
        if self.areas is None:
            return RowAreas(np.ones((stop - first, 2)), 62)
        return self.areas.rows(first, stop)

    def by_class(self) -> Layout:
        """Lay out sums for every class."""
        if self.probabilities:
            return Layout(
                size=len(self.scene.bands) + 2,
                slots=None,
                target=self.target,
                excluded=self.excluded,
            )
        count = _VALUES if self.legend is None else len(self.legend)
        slots = np.minimum(np.arange(256), count).astype(np.uint8)
        return Layout(size=count + 1, slots=slots, target=self.target, excluded=self.excluded)

    def by_role(self) -> tuple[Source, Layout]:
        """Lay out sums for the target, the excluded and the rest; with the source to read."""
        if self.probabilities:
            order = (*self.target, *self.excluded)
            bands = self.scene.select([self.scene.band_names[i] for i in order])
            cut = len(self.target)
            roles = tuple(range(len(order)))
            source = Source(
                scene=bands,
                name=self.name,
                legend=None,
                target=roles[:cut],
                excluded=roles[cut:],
                probabilities=True,
                areas=self.areas,
            )
            return source, source.by_class()
        slots = np.full(256, 3, np.uint8)
        slots[: _VALUES if self.legend is None else len(self.legend)] = 2
        slots[list(self.target)], slots[list(self.excluded)] = 0, 1
        return self, Layout(size=4, slots=slots, target=(0,), excluded=(1,))

    def strips(self, window: Window, workers: int) -> Iterator[Strip]:
        """Read rows of codes (rows, cols) uint8, or of probabilities (bands, rows, cols) float32.

        A code is the index of a class, 255 for none.
        """
        strips = read_strips(
            [self.scene],
            window=window,
            target_rows=64 if self.probabilities else 256,
            workers=workers,
            convert=self._values if self.probabilities else self._codes,
        )
        with closing(strips):
            yield from strips

    def _codes(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        del window
        values, valid = pixels[0].data[0], pixels[0].valid
        codes = values if self.legend is None else self.legend.lookup(values)
        if self.legend is not None:
            stray = valid & (codes == NODATA)
            if values.dtype == np.uint8:
                stray &= values != NODATA  # nodata of class rasters, tagged or not
            if stray.any():
                with self._lock:
                    self.strays.add(values[stray])
        if not valid.all():
            codes = np.where(valid, codes, np.uint8(NODATA))
        return (codes,), valid

    def _values(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        del window
        data, valid = pixels[0].data, pixels[0].valid
        values = np.empty(data.shape, np.float32)
        for place, band in enumerate(self.scene.bands):
            values[place] = data[place] * band.scale + band.offset
            if valid.any():
                seen = values[place][valid]
                for value in (float(seen.min()), float(seen.max())):
                    if not -_BEYOND <= value <= 1 + _BEYOND:
                        raise LabelError(
                            f"{self.name}: band {band.name!r} holds {value:g}, which is no"
                            " probability from 0 to 1; leave --from-probabilities out for classes"
                        )
        return (values,), valid


def open_source(
    source: str | Path,
    *,
    target: Sequence[str],
    excluded: Sequence[str] = (),
    classes: Legend | str | Path | None = None,
    probabilities: bool = False,
) -> Source:
    """Open what coverage is measured of.

    Parameters
    ----------
    source
        A class raster; or, with `probabilities`, a raster of a band a class, named by it.
    target, excluded
        Classes by name or id, several in one text with commas between; of probabilities, names of
        bands or their numbers from 1.
    classes
        The classes and the values that mean them, where the raster does not say; as a text or file
        (see `parse_legend`) they are named in the metadata of what is made.

    Raises
    ------
    RasterReadError
        It cannot be opened.
    BandError
        A class raster has more bands than one.
    LabelError
        A class is none of the raster's; or the raster names none and is not of 8 bits.
    OptionError
        No target, or a class is both target and excluded.
    GridError
        Areas of pixels cannot be measured.
    """
    said = None if classes is None or isinstance(classes, Legend) else str(classes)
    if classes is not None and not isinstance(classes, Legend):
        classes = parse_legend(classes)
    scene = Scene.open(source)
    name = str(source)
    if probabilities:
        if classes is not None:
            raise OptionError("classes of probabilities are the names of their bands: no --classes")
        rows = [(i, band, None, ()) for i, band in enumerate(scene.band_names, 1)]
        legend: Legend | None = Legend.of(rows)
    else:
        if len(scene.bands) != 1:
            names = ", ".join(scene.band_names[:6])
            raise BandError(
                f"{name} has {len(scene.bands)} bands ({names}), not the one of a class raster;"
                " --from-probabilities reads a band a class"
            )
        legend = classes or raster_legend(scene.paths[0])
        if legend is None and scene.dtype != np.uint8:
            raise LabelError(
                f"{name} names no classes and holds {scene.dtype} values: say with --classes what"
                " they mean"
            )
    wanted, left_out = _find(target, legend, name), _find(excluded, legend, name)
    both = [i for i in wanted if i in left_out]
    if both:
        shown = f"class {both[0]}" if legend is None else legend.names[both[0]]
        raise OptionError(f"{shown!r} is both --target and --exclude; it can be one")
    if not wanted:
        raise OptionError("no class to measure: name one with --target")
    return Source(
        scene=scene,
        name=name,
        legend=legend,
        target=wanted,
        excluded=left_out,
        probabilities=probabilities,
        areas=None if scene.grid.crs is None else PixelAreas(scene.grid),
        said=said,
    )


def _find(texts: Sequence[str], legend: Legend | None, name: str) -> tuple[int, ...]:
    """Find indices of classes by names or ids, each once, in the order given."""
    found: list[int] = []
    for text in texts:
        whole = legend is not None and text.strip() in legend.names  # a name may hold a comma
        for part in [text] if whole else text.split(","):
            word = part.strip()
            if not word:
                raise OptionError(f"'{text}' holds an empty class")
            found.append(_index(word, legend, name))
    return tuple(dict.fromkeys(found))


def _index(word: str, legend: Legend | None, name: str) -> int:
    number = int(word) if word.isascii() and word.isdigit() else None
    if legend is None:
        if number is None or number >= _VALUES:
            raise LabelError(
                f"{name} names no classes, so {word!r} is none: give values from 0 to 254, or say"
                " with --classes what they mean"
            )
        return number
    try:
        if word not in legend.names and number is not None:
            return legend.index_of(number)
        return legend.index_of_name(word)
    except LabelError as error:
        raise LabelError(f"{name}: {error}") from None
