"""Collections of Earth Engine as data: names, scales and quality bands; imports no client.

Sources
-------
The pages of the collections in the Earth Engine data catalogue. Level 2 of Landsat has the readings
of the files, "TOA" holds reflectance and kelvin already, and of S2_SR_HARMONIZED the offset of
recent baselines has been taken off. Fill is masked by Earth Engine itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from geoseg.compositing.sensors import SENSORS, Sensor, SensorBand
from geoseg.errors import BandError, OptionError

__all__ = ["Collection", "CollectionBand", "collection", "common_bands"]


@dataclass(frozen=True, kw_only=True)
class CollectionBand:
    """One band of a collection."""

    name: str
    """Common name."""
    id: str
    """Earth Engine's name of it."""
    aliases: tuple[str, ...] = ()
    """Other names that mean it."""
    scale: float = 1.0
    """Physical value = scale × reading + offset."""
    offset: float = 0.0
    """See `scale`."""
    unit: str = ""
    """"reflectance", "K" or ""."""
    stored: tuple[float, float] = (1.0, 0.0)
    """Scale and offset by which whole numbers hold its values."""
    resolution: float | None = None
    """Side of a pixel in m, as distributed."""

    @property
    def is_scaled(self) -> bool:
        """Whether readings are not values yet."""
        return (self.scale, self.offset) != (1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A collection of images."""

    id: str
    """Earth Engine's name of it."""
    bands: tuple[CollectionBand, ...] = ()
    """Those that are known; none of a collection of which nothing is known."""
    quality_kind: str | None = None
    """Code of its quality bands, for `geoseg.compositing.masks`; None for no mask."""
    quality_bands: tuple[tuple[str, str], ...] = ()
    """(name in `masks`, Earth Engine's) of the quality bands."""
    level: str = ""
    """What its values are; collections of different levels are not mixed."""

    @property
    def is_known(self) -> bool:
        """Whether geoseg knows what its bands mean."""
        return bool(self.bands)

    def band(self, name: str) -> CollectionBand:
        """Return the band that a name means; of an unknown collection that of exactly this name.

        Raises
        ------
        BandError
            It means none; the message lists what there is.
        """
        if not self.is_known:
            return CollectionBand(name=name, id=name)
        wanted = name.strip().casefold()
        for band in self.bands:
            if wanted in (known.casefold() for known in (band.name, band.id, *band.aliases)):
                return band
        raise BandError(
            f"{self.id}: has no band “{name}”; there are: "
            f"{', '.join(band.name for band in self.bands)}"
        )


_LANDSAT = re.compile(r"LANDSAT/L([TEC])0([45789])/C02/T[12](?:_RT)?_(L2|TOA)")
_LETTERS = {4: "T", 5: "T", 7: "E", 8: "C", 9: "C"}
_SENTINEL = "COPERNICUS/S2_SR_HARMONIZED"
_MIXED = "COPERNICUS/S2_SR"
_TENTHS_OF_MILLE, _HUNDREDTHS = (0.0001, 0.0), (0.01, 0.0)


def collection(name: str) -> Collection:
    """Return what is known of a collection.

    Parameters
    ----------
    name
        Its id: Landsat 4, 5, 7, 8, 9 Collection 2 level 2 and top of atmosphere ("T1_L2",
        "T1_TOA", tier 2 alike), COPERNICUS/S2_SR_HARMONIZED; any other has bands by Earth Engine's
        names, neither scale nor mask.

    Raises
    ------
    OptionError
        The text is no id, or that of a collection that mixes readings of two kinds.
    """
    name = name.strip().strip("/")
    if not re.fullmatch(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_.-]+)+", name):
        raise OptionError(
            f"“{name}” is no collection of Earth Engine; give an id like LANDSAT/LC08/C02/T1_L2"
        )
    if name == _MIXED:
        raise OptionError(f"{name} mixes readings with and without an offset; use {_SENTINEL}")
    if name == _SENTINEL:
        return _sentinel2(name)
    found = _LANDSAT.fullmatch(name)
    if found is not None and _LETTERS[int(found[2])] == found[1]:
        return _landsat(name, int(found[2]), found[3])
    return Collection(id=name)


def common_bands(
    collections: Sequence[Collection], names: Sequence[str] | None
) -> list[tuple[CollectionBand, ...]]:
    """Return the bands of a composite in each collection, in the same order.

    Parameters
    ----------
    collections
        One at least, of one level.
    names
        Names of bands; None for those that all have, except panchromatic ones.

    Raises
    ------
    BandError
        A collection lacks one, or one comes twice; or none is named of an unknown collection.
    OptionError
        Values of the collections are not of one kind.
    """
    levels = list(dict.fromkeys(one.level for one in collections))
    if len(levels) > 1:
        raise OptionError(
            "these collections hold different things and make no composite together: "
            + "; ".join(f"{one.id}: {one.level or 'not known here'}" for one in collections)
        )
    if names is None:
        first, *others = collections
        if not first.is_known:
            raise BandError(
                f"{first.id}: geoseg does not know this collection; name its bands (--bands)"
            )
        shared = [{band.name for band in other.bands} for other in others]
        names = [
            band.name
            for band in first.bands
            if band.name != "pan" and all(band.name in other for other in shared)
        ]
    chosen = [tuple(one.band(name) for name in names) for one in collections]
    for bands in chosen:
        if not bands or len({band.name for band in bands}) != len(bands):
            raise BandError(f"bands {', '.join(names) or '(none)'}: name some, each once")
    return chosen


def _landsat(name: str, satellite: int, level: str) -> Collection:
    sensor = SENSORS[f"landsat-{satellite}-c2-l{2 if level == 'L2' else 1}"]
    bands = _level_2(sensor) if level == "L2" else _toa(sensor)
    return Collection(
        id=name,
        bands=tuple(bands),
        quality_kind=sensor.quality_kind,
        quality_bands=sensor.quality_files,
        level="surface reflectance" if level == "L2" else "reflectance at the top of atmosphere",
    )


def _level_2(sensor: Sensor) -> list[CollectionBand]:
    return [
        CollectionBand(
            name=band.name,
            id=band.file,
            aliases=band.aliases,
            scale=band.scale,
            offset=band.offset,
            unit=band.unit,
            stored=(band.scale, band.offset),
            resolution=band.resolution,
        )
        for band in sensor.bands
    ]


def _toa(sensor: Sensor) -> list[CollectionBand]:
    found = []
    for band in sensor.bands:
        warm = band.name.startswith("thermal")
        found.append(
            CollectionBand(
                name=band.name,
                id=band.file,
                aliases=band.aliases,
                unit="K" if warm else "reflectance",
                stored=_HUNDREDTHS if warm else _TENTHS_OF_MILLE,
                resolution=band.resolution,
            )
        )
    return found


def _sentinel2(name: str) -> Collection:
    # Harmonised: as before baseline 04.00, all of it.
    sensor = SENSORS["sentinel-2-l2a-before-04"]
    return Collection(
        id=name,
        bands=tuple(
            CollectionBand(
                name=band.name,
                id=_unpadded(band),
                aliases=(band.file, *band.aliases),
                scale=band.scale,
                offset=band.offset,
                unit=band.unit,
                stored=(band.scale, band.offset),
                resolution=band.resolution,
            )
            for band in sensor.bands
        ),
        quality_kind=sensor.quality_kind,
        quality_bands=sensor.quality_files,
        level="surface reflectance",
    )


def _unpadded(band: SensorBand) -> str:
    """Earth Engine writes B2 for B02, and B8A."""
    return f"B{band.file[1:].lstrip('0')}"
