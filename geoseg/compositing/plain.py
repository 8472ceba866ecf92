"""Any raster as a product: a stack of bands, perhaps with a quality band among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from geoseg.compositing import masks
from geoseg.compositing.product import Product, ProductBand
from geoseg.compositing.sensors import Sensor, SensorBand, sensor
from geoseg.errors import BandError, OptionError
from geoseg.raster.bands import Band, find_name, said_files, unique_names
from geoseg.raster.scene import Scene

_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_SCENE_ID = re.compile(r"L[COTEM]\d{7}(?P<year>(?:19|20)\d{2})(?P<day>\d{3})[A-Z]{3}\d\d")
"""Landsat's identifiers before collections: satellite, path and row, year and day of the year."""
_CALLED = {
    "qa_pixel": "qa_pixel",
    "fmask": "fmask",
    "cfmask": "fmask",
    "scl": "scl",
}
"""Name of a band in a file → kind of quality that it surely is. BQA is not among them: its bits
mean different things for different sensors."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is said of rasters that do not say it themselves; see `products.open_product`."""

    sensor: str | None = None
    band_names: Sequence[str] | None = None
    quality: str | None = None

    def refuse(self, path: str) -> None:
        """Refuse what is for rasters alone.

        Raises
        ------
        OptionError
            Something is said that the product says itself.
        """
        if self.sensor is not None or self.band_names is not None:
            raise OptionError(
                f"{path}: is a product that says its sensor and bands itself; leave them out"
            )
        if self.quality not in {None, "none"}:
            raise OptionError(
                f"{path}: is a product that says its quality bands itself; leave “{self.quality}” "
                "out, or give “none”"
            )


def open_raster(path: str, options: Options) -> Product:
    """Open a raster, or a folder of bands in separate files.

    Raises
    ------
    RasterReadError
        It cannot be opened.
    BandError
        Names and bands do not match, or there is no such quality band.
    OptionError
        The sensor or the kind of quality is not known.
    """
    taken_by = sensor(options.sensor) if options.sensor else None
    scene = Scene.open(path, band_names=options.band_names)
    if taken_by is not None and not scene.bands_are_named:
        scene = _named_by(path, scene, taken_by)
    kind, at = _quality(scene, options.quality, taken_by)
    # The name of the one needed is that of its kind; QA_RADSAT comes with QA_PIXEL.
    codes = {position: name for name, position in at.items()}
    meant = [taken_by.find(band.name) if taken_by else None for band in scene.bands]
    own = iter(
        unique_names(
            [
                found.name if found else band.name
                for i, (band, found) in enumerate(zip(scene.bands, meant, strict=True))
                if i not in codes
            ]
        )
    )
    names = [codes[i] if i in codes else next(own) for i in range(len(scene.bands))]
    made = [
        _band(name, band, found, taken_by)
        for name, band, found in zip(names, scene.bands, meant, strict=True)
    ]
    bands = tuple(band for i, band in enumerate(made) if i not in codes)
    if not bands:
        raise BandError(f"{path}: has no band but quality bands")
    return Product(
        name=scene.name,
        source=path,
        sensor=taken_by,
        acquired=_date(scene.name),
        cloud_cover=None,
        bands=bands,
        quality_bands=tuple(_bare(made[position]) for position in at.values()),
        quality_kind=kind,
        opened=scene.renamed(names),
    )


def _named_by(path: str, scene: Scene, taken_by: Sensor) -> Scene:
    """Name bands that have no names in the sensor's order, if they are as many."""
    names = taken_by.band_names
    if len(scene.bands) == len(names):
        return scene.renamed(names)
    # A fourth of four bytes is taken for alpha; with a name to each it is a band.
    try:
        return Scene.open(path, band_names=names)
    except BandError:
        raise BandError(
            f"{path}: has {len(scene.bands)} bands without names, {taken_by.title} has "
            f"{len(names)} ({', '.join(names)}); name the bands"
        ) from None


def _quality(
    scene: Scene, said: str | None, taken_by: Sensor | None
) -> tuple[str | None, dict[str, int]]:
    """Kind of quality, and name in `masks` → position of each band of it."""
    if said is not None and said.strip().casefold() == "none":
        return None, {}
    known = [band.name.casefold() for band in scene.bands]
    if said is not None:
        kind, equals, which = (part.strip() for part in said.partition("="))
        if not equals or not which:
            raise OptionError(
                f"quality “{said}” is not understood; give “none”, or KIND=BAND with a kind of: "
                f"{', '.join(masks.KINDS)}"
            )
        kind = kind.casefold()
        found = {masks.band_of(kind): _position(scene, which)}
    elif taken_by is not None and taken_by.quality_kind is not None:
        kind = taken_by.quality_kind
        name, file = taken_by.quality_files[0]
        if file.casefold() not in known:
            return None, {}
        found = {name: known.index(file.casefold())}
    else:
        called = [name for name in known if name in _CALLED]
        if not called:
            return None, {}
        kind = _CALLED[called[0]]
        found = {masks.band_of(kind): known.index(called[0])}
    if kind == "qa_pixel" and "qa_radsat" in known:
        found["qa_radsat"] = known.index("qa_radsat")
    return kind, found


def _position(scene: Scene, which: str) -> int:
    """Position of a band by its number, from 1, or its name."""
    names = scene.band_names
    found = find_name(names, which, where=said_files(scene.paths))
    if found is not None:
        return found
    if which.isdecimal() and 1 <= int(which) <= len(names):
        return int(which) - 1
    raise BandError(
        f"{said_files(scene.paths)}: has no band “{which}” for quality; there are: "
        f"{', '.join(names)}"
    )


def _band(name: str, band: Band, found: SensorBand | None, taken_by: Sensor | None) -> ProductBand:
    scale, offset, unit = band.scale, band.offset, ""
    whole = np.dtype(band.dtype).kind in "iu"
    if found is not None and whole and (scale, offset) == (1.0, 0.0):
        scale, offset, unit = found.scale, found.offset, found.unit
    fill = band.nodata
    if fill is None and taken_by is not None and whole:
        fill = taken_by.fill
    return ProductBand(
        name=name,
        path=band.path,
        index=band.index,
        aliases=tuple(n for n in (band.name, *(found.names if found else ())) if n != name),
        scale=scale,
        offset=offset,
        fill=fill,
        unit=unit,
    )


def _bare(band: ProductBand) -> ProductBand:
    """Return a quality band without fill of the sensor's: 0 may be a code."""
    return ProductBand(name=band.name, path=band.path, index=band.index, aliases=band.aliases)


def _date(name: str) -> date | None:
    """Day in a name, where there is one."""
    scene = _SCENE_ID.search(name)
    if scene is not None:
        first = date(int(scene["year"]), 1, 1)
        day = first + timedelta(days=int(scene["day"]) - 1)
        return day if day.year == first.year else None
    for match in _DATE.finditer(name):
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            continue
    return None
