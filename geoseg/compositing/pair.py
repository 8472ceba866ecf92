"""A multispectral scene and the panchromatic band that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoseg.compositing.product import Product
from geoseg.compositing.products import open_product
from geoseg.compositing.sensors import SENSORS, sensor
from geoseg.errors import BandError, GridError, OptionError
from geoseg.raster.average import Areas
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

PAN = "pan"
_LONGEST = 1.0
"""µm up to which a product's bands are sharpened by default: what a panchromatic band sees has
little to do with the rest."""
_FINER = 1.01
"""By how much pixels must at least be smaller."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What is to be joined."""

    name: str
    """For people: the multispectral scene's."""
    bands: Scene
    """The multispectral bands, on their own pixels."""
    scales: tuple[float, ...]
    """Physical value = scale × reading + offset, one a band."""
    offsets: tuple[float, ...]
    """See `scales`."""
    units: tuple[str, ...]
    """See `geoseg.compositing.product.ProductBand.unit`."""
    nodata: float | None
    """Reading that means "none" in the first band; None where any may be one."""
    pan: Scene
    """The panchromatic band, on its own pixels."""
    areas: Areas
    """Where the bands' pixels lie in the panchromatic band's."""
    window: Window
    """Part of the panchromatic band that lies on the bands."""
    words: tuple[str, ...] = ()
    """What names the two on a command line, without folders."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """How they were asked to be opened, by the names of the command's options."""

    @property
    def grid(self) -> Grid:
        """Where what is made of the two lies."""
        return self.pan.grid.crop(self.window)


def open_pair(
    source: str,
    pan: str | None,
    *,
    sensor_name: str | None = None,
    band_names: Sequence[str] | None = None,
    bands: Sequence[str] | None = None,
    pan_band: str | None = None,
) -> Pair:
    """Open a multispectral scene and its panchromatic band.

    Parameters
    ----------
    source
        A raster, or a product that `geoseg.compositing.products` knows.
    pan
        A raster of one band; None where the product has one itself (Landsat 7, 8 and 9, level 1).
    sensor_name
        What took a raster, "beijing-2" say: names its bands. Its fill then is that of both.
    band_names
        Names of a raster's bands.
    bands
        Which to use; by default all of a raster, and of a product all that see what a panchromatic
        band may, up to 1 µm.
    pan_band
        Which band of `pan`, by name or number.

    Raises
    ------
    RasterReadError
        A file is not there or cannot be read.
    BandError
        A band is not there, there is no panchromatic one, or it is not clear which.
    GridError
        The two do not overlap, differ in their coordinate systems, are turned against each other,
        or the panchromatic band's pixels are not the smaller ones.
    OptionError
        An option is not known, or means nothing here.
    """
    product = open_product(source, sensor=sensor_name, band_names=band_names)
    names = _default_bands(product) if bands is None else tuple(bands)
    if pan is None:
        if pan_band is not None:
            raise OptionError("--pan-band chooses a band of the panchromatic raster; give that")
        panchromatic = _own_pan(product)
    else:
        panchromatic = _other_pan(pan, sensor_name, pan_band)
    chosen = tuple(product.band(name) for name in names)
    if any(band.name == PAN for band in chosen):
        raise BandError(f"{product.name}: {PAN} is what the others are sharpened by; leave it out")
    scene = product.scene([band.name for band in chosen])
    areas, window = _overlap(scene, panchromatic)
    asked = {
        "sensor": sensor_name,
        "band-names": None if band_names is None else ",".join(band_names),
        "pan-band": pan_band,
    }
    nodata = next((band.nodata for band in scene.bands if band.nodata is not None), None)
    return Pair(
        name=product.name,
        bands=scene,
        scales=tuple(band.scale for band in chosen),
        offsets=tuple(band.offset for band in chosen),
        units=tuple(band.unit for band in chosen),
        nodata=nodata,
        pan=panchromatic,
        areas=areas,
        window=window,
        words=(product.word, *([] if pan is None else [_word(pan)])),
        asked={name: value for name, value in asked.items() if value is not None},
    )


def _word(path: str) -> str:
    return Path(path).name if is_local_file(path) else path


def _default_bands(product: Product) -> tuple[str, ...]:
    names = tuple(name for name in product.band_names if name != PAN)
    if product.sensor is not None and product.opened is None:
        seen = {b.name for b in product.sensor.bands if b.wavelengths[1] <= _LONGEST}
        names = tuple(name for name in names if name in seen)
    if not names:
        raise BandError(f"{product.name}: has no multispectral band to sharpen")
    return names


def _own_pan(product: Product) -> Scene:
    if PAN not in (band.name for band in (*product.bands, *product.missing)):
        raise BandError(
            f"{product.name}: has no panchromatic band; give the panchromatic raster after it "
            "(Landsat 7, 8 and 9 have one in their products of level 1)"
        )
    return product.scene([PAN])


def _other_pan(pan: str, sensor_name: str | None, pan_band: str | None) -> Scene:
    scene = Scene.open(pan)
    if pan_band is not None:
        scene = scene.select([_by_number(scene, pan_band)])
    elif len(scene.bands) > 1:
        raise BandError(
            f"{pan}: has {len(scene.bands)} bands ({', '.join(scene.band_names)}); say which is "
            "the panchromatic one (--pan-band)"
        )
    name = "" if sensor_name is None else f"{sensor(sensor_name).name}-{PAN}"
    band = scene.bands[0]
    if band.nodata is None and name in SENSORS and np.dtype(band.dtype).kind in "iu":
        scene = scene.with_nodata([SENSORS[name].fill])
    return scene


def _by_number(scene: Scene, which: str) -> str:
    """Return the name of a band that may be given by its number, from 1."""
    names = scene.band_names
    known = which.casefold() in (name.casefold() for name in names)
    if not known and which.isdecimal() and 1 <= int(which) <= len(names):
        return names[int(which) - 1]
    return which


def _overlap(bands: Scene, pan: Scene) -> tuple[Areas, Window]:
    """Where the two lie to each other; refuse what cannot be joined."""
    try:
        areas = Areas(grid=bands.grid, source=pan.grid)
    except GridError as error:
        raise GridError(f"{pan.paths[0]} and {bands.paths[0]}: {error}") from error
    if min(areas.scale) < _FINER:
        raise GridError(
            f"{pan.paths[0]}: its pixels ({pan.grid.describe()}) are no smaller than those of "
            f"{bands.paths[0]} ({bands.grid.describe()}); give the multispectral scene first, then "
            "the panchromatic one"
        )
    window = areas.covering()
    if window is None:
        raise GridError(
            f"{pan.paths[0]}: does not overlap {bands.paths[0]} ({pan.grid.describe()}; "
            f"{bands.grid.describe()})"
        )
    return areas, window
