"""A class raster as polygons: what is wanted, and the way from file to file.

`geoseg.raster.polygons` traces and writes; here it is said which classes become polygons, how large
they must be, how much simpler their borders, and what each polygon says of itself. The raster is
read once from top to bottom.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.measure import Measure, tolerance_on
from geoseg.errors import BandError, GridError, LabelError
from geoseg.raster.ellipsoid import PixelAreas
from geoseg.raster.grid import Grid
from geoseg.raster.legend import NODATA, Legend, LegendClass
from geoseg.raster.output import refuse_inputs
from geoseg.raster.palette import class_colors
from geoseg.raster.polygons.files import PolygonFile, check_polygon_output
from geoseg.raster.polygons.simplify import Simplifier
from geoseg.raster.polygons.stream import AREA_BLOCK, Polygons, Tally, trace_polygons
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.style import category_qml
from geoseg.raster.window import Window

_AREA_BITS = 26
"""Areas are counted in this power of two of parts of a usual pixel, so that sums are exact."""


@dataclass(frozen=True, kw_only=True)
class VectoriseSettings:
    """What becomes polygons, as one value."""

    classes: tuple[int | str, ...] = ()
    """Ids or names of the classes that are wanted; empty for all."""
    min_area: Measure | None = None
    """Polygons smaller than this are left out."""
    simplify: Measure | None = None
    """How far borders may move; None leaves them on the edges of pixels."""

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        words: dict[str, Any] = {}
        if self.classes:
            words["classes"] = ",".join(map(str, self.classes))
        if self.min_area is not None:
            words["min-area"] = str(self.min_area)
        if self.simplify is not None:
            words["simplify"] = str(self.simplify)
        return words


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much ground some polygons have."""

    polygons: int
    """Number of polygons."""
    pixels: int
    """Their pixels."""
    hectares: float | None
    """Their area on the ellipsoid; None where pixels have no place on Earth."""


@dataclass(frozen=True, kw_only=True)
class Vectorised:
    """What was written."""

    files: tuple[Path, ...]
    """The file of polygons, and its style if it has one beside it."""
    classes: Mapping[LegendClass, Amount]
    """What each class has, in the order of the legend; those without polygons are not there."""
    left_out: Amount
    """What was too small."""
    notes: tuple[str, ...]
    """What a person should know, in words."""
    seconds: float
    """How long it took."""


def vectorise(
    source: str | Path,
    output: str | Path,
    *,
    settings: VectoriseSettings | None = None,
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Vectorised:
    """Write the polygons of a class raster.

    Each polygon has the columns ``class`` (id), ``name``, ``pixels`` and, where pixels have an area
    on Earth, ``area_ha``: that of its pixels on the ellipsoid, whatever was made simpler.

    Parameters
    ----------
    source
        Raster of one band: class ids, 0 to 254; nodata and 255 are no class.
    output
        ``.gpkg``, ``.geojson`` or ``.parquet``; see `geoseg.raster.polygons.files`.
    settings
        Which classes, how large, how simple.
    workers
        Threads that read and trace; they do not change the result.
    overwrite
        Replace a file that is there.
    progress
        Called with numbers of finished pixels.

    Raises
    ------
    RasterReadError, BandError
        The raster cannot be read, or has several bands.
    LabelError
        A pixel is no class id, a class is none, or nothing is left to write.
    GridError
        An area on Earth was asked for and pixels have none.
    OutputError
        The file cannot be written.
    """
    began = time.perf_counter()
    settings = settings or VectoriseSettings()
    target = check_polygon_output(output, overwrite=overwrite)
    scene = Scene.open(source)
    if len(scene.bands) != 1:
        raise BandError(
            f"{source} has {len(scene.bands)} bands ({', '.join(scene.band_names[:6])}), not the"
            " one of a class raster"
        )
    refuse_inputs([target], scene.files)
    grid = scene.grid
    legend = Legend.of_raster(scene.paths[0])
    ground = _Ground(grid)
    notes = [*ground.notes]
    if target.suffix.lower() in (".geojson", ".json"):
        if grid.crs is None:
            raise GridError(
                f"{source} has no coordinate system, and GeoJSON is in longitude and latitude"
                " alone; name the output *.gpkg"
            )
        notes.append("GeoJSON is in longitude and latitude (WGS 84): coordinates are reprojected")
    ids = _Ids(str(source), legend, settings.classes)
    tally = Tally()
    with ExitStack() as stack:
        file = stack.enter_context(
            PolygonFile(target, grid, overwrite=overwrite, metadata=_tags(scene, settings))
        )
        simplifier = None
        if settings.simplify is not None:
            tolerance, metric = tolerance_on(grid, settings.simplify)
            simplifier = stack.enter_context(
                Simplifier(
                    grid.height,
                    grid.width,
                    tolerance=tolerance,
                    metric=metric,
                    folder=file.folder,
                )
            )
        least_pixels, least_area = ground.least(settings.min_area)
        rows = stack.enter_context(closing(_rows(scene, ids, workers, progress)))
        polygons = trace_polygons(
            rows,
            grid.width,
            areas=ground.rows if ground.known else None,
            least_pixels=least_pixels,
            least_area=least_area,
            simplifier=simplifier,
            tally=tally,
            workers=workers,
        )
        for some in stack.enter_context(closing(polygons)):
            file.write(some, _columns(some, ids.names, ground))
        left_out = ground.amount(
            tally.left_out.sum(), tally.left_out_pixels.sum(), tally.left_out_areas.sum()
        )
        if not tally.polygons.any():
            raise LabelError(_nothing(source, settings, left_out))
        classes = _classes(legend, ids.names, tally)
        if legend is not None:
            notes += [
                f"{source}: the value {c.id} is none of its classes; its polygons are named"
                f" '{c.name}'"
                for c in classes
                if c.id not in legend.ids
            ]
        else:
            notes.append(f"{source} names no classes: polygons are named by their values")
        style = category_qml("class", {str(c.id): (c.name, c.color) for c in classes}, alpha=255)
        files = file.publish(style)
    if len(files) == 1:
        notes.append(
            f"{target.with_suffix('.qml').name} is the style of a raster and stays; "
            + (
                "the GeoPackage holds its own"
                if target.suffix.lower() == ".gpkg"
                else "name the output otherwise to get one for the polygons"
            )
        )
    return Vectorised(
        files=tuple(files),
        classes={
            c: ground.amount(tally.polygons[c.id], tally.pixels[c.id], tally.areas[c.id])
            for c in classes
        },
        left_out=left_out,
        notes=tuple(notes),
        seconds=time.perf_counter() - began,
    )


def _rows(
    scene: Scene, ids: _Ids, workers: int, progress: Callable[[int], None] | None
) -> Generator[NDArray[np.uint8], None, None]:
    """Read rows (rows, cols) of class ids, from the top."""
    with closing(read_strips([scene], workers=workers, convert=ids.convert)) as strips:
        for strip in strips:
            yield strip.arrays[0]
            if progress is not None:
                progress(strip.height * scene.grid.width)


class _Ids:
    """Pixels to the ids of wanted classes, and ids to names."""

    def __init__(self, source: str, legend: Legend | None, wanted: tuple[int | str, ...]) -> None:
        self._source = source
        names = {} if legend is None else {c.id: c.name for c in legend.classes}
        self.names = np.array([names.get(i, f"class {i}") for i in range(256)], dtype=object)
        self._lut: NDArray[np.uint8] | None = None
        if wanted:
            self._lut = np.full(256, NODATA, np.uint8)
            for item in wanted:
                one = self._id(item, legend)
                self._lut[one] = one

    def _id(self, item: int | str, legend: Legend | None) -> int:
        if legend is None:
            if isinstance(item, str):
                raise LabelError(f"no class is named {item!r}: {self._source} names no classes")
            if not 0 <= item < NODATA:
                raise LabelError(f"no class has the id {item}; ids are from 0 to 254")
            return item
        if isinstance(item, str):
            return legend.ids[legend.index_of_name(item)]
        return legend.ids[legend.index_of(item)]

    def convert(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[np.uint8], ...], NDArray[np.bool_]]:
        """Turn what was read into ids, 255 where there is none (runs in the reading threads)."""
        del window
        values, valid = pixels[0].data[0], pixels[0].valid
        if values.dtype != np.uint8:
            given = values
            with np.errstate(invalid="ignore"):  # NaN is nodata
                values = given.astype(np.uint8)
            wrong = valid & (values != given)
            if wrong.any():
                raise LabelError(
                    f"{self._source}: {given[wrong][0]:g} is no class id, which are from 0 to 254:"
                    " this is no class raster"
                )
        if self._lut is not None:
            values = self._lut[values]
        if not valid.all():
            values = np.where(valid, values, np.uint8(NODATA))
        return (values,), valid


class _Ground:
    """Areas of pixels on the ellipsoid, in whole numbers of a small unit."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.notes: tuple[str, ...] = ()
        self._areas: PixelAreas | None = None
        self._unit = 1.0
        try:
            self._areas = PixelAreas(grid)
            middle = self._areas.rows(grid.height // 2, grid.height // 2 + 1)
            self._unit = float(middle.at(np.array([grid.width // 2]))[0, 0]) / 2**_AREA_BITS
        except GridError as error:
            self.notes = (f"areas are in pixels alone: {error}",)
            self._why = error
        blocks = np.arange(0, grid.width, AREA_BLOCK)
        self._cols = (blocks + np.minimum(blocks + AREA_BLOCK, grid.width)) // 2

    @property
    def known(self) -> bool:
        """Whether pixels have an area on Earth."""
        return self._areas is not None

    def rows(self, first: int, stop: int) -> NDArray[np.int64]:
        """(rows, blocks) areas of pixels in the middle of blocks of columns."""
        if self._areas is None:
            raise self._why
        areas = self._areas.rows(first, stop).at(self._cols)
        return np.ascontiguousarray(np.rint(areas / self._unit), np.int64)

    def hectares(self, areas: NDArray[Any]) -> NDArray[np.float64]:
        """Areas in hectares."""
        return np.asarray(areas * (self._unit / 1e4), np.float64)

    def amount(self, polygons: int, pixels: int, area: float) -> Amount:
        """Put an amount of ground in words."""
        known = float(area * self._unit / 1e4) if self.known else None
        return Amount(polygons=int(polygons), pixels=int(pixels), hectares=known)

    def least(self, area: Measure | None) -> tuple[int, int]:
        """Least pixels and least area of a polygon."""
        if area is None:
            return 0, 0
        if area.unit == "px":
            return math.ceil(area.value), 0
        if self._areas is None:
            raise GridError(f"{self._why}; give the least area in pixels ({area.value:g}px)")
        metres = area.value * (1e4 if area.unit == "ha" else 1.0)
        # A millionth less: what is as large to the last digit shall not fall for its rounding.
        return 0, math.ceil(metres / self._unit * (1 - 1e-6))


def _columns(some: Polygons, names: NDArray[Any], ground: _Ground) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        "class": some.values.astype(np.int32),
        "name": names[some.values],
        "pixels": some.pixels,
    }
    if ground.known:
        columns["area_ha"] = np.round(ground.hectares(some.areas), 6)
    return columns


def _classes(legend: Legend | None, names: NDArray[Any], tally: Tally) -> list[LegendClass]:
    """Classes that have polygons: those of the legend in its order, then others by their values."""
    known = [] if legend is None else [c for c in legend.classes if tally.polygons[c.id]]
    ids = {c.id for c in known}
    others = [i for i in np.flatnonzero(tally.polygons).tolist() if i not in ids]
    colors = class_colors(
        [c.name for c in known] + [names[i] for i in others],
        [c.color for c in known] + [None] * len(others),
    )
    return known + [
        LegendClass(i, names[i], color)
        for i, color in zip(others, colors[len(known) :], strict=True)
    ]


def _nothing(source: str | Path, settings: VectoriseSettings, left_out: Amount) -> str:
    if left_out.polygons:
        return (
            f"all {left_out.polygons:,} polygons of {source} are smaller than"
            f" {settings.min_area}: give a smaller --min-area"
        )
    which = " of the classes that are wanted" if settings.classes else ""
    return f"{source} has no pixel{which or ' with a class'}: there is nothing to write"


def _tags(scene: Scene, settings: VectoriseSettings) -> dict[str, str]:
    options = settings.words()
    command = ["geoseg", "vectorise", *scene.paths, *option_words(options)]
    return provenance(command, {scene.name: scene.fingerprint()}, options=options)
