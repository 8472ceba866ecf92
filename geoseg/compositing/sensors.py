"""Sensors as data: which bands a product has, what its readings mean, how it says what is clear.

Knows numbers and names; opens no files.

Sources
-------
Landsat: USGS, "What are the band designations for the Landsat satellites?"; for scale and offset
the Collection 2 level 2 science product guides of Landsat 8-9 (LSDS-1619) and 4-7 (LSDS-1618).
Sentinel-2: ESA, Sentinel-2 Products Specification Document, with BOA_ADD_OFFSET (−1000) from
processing baseline 04.00 on. Beijing-2 (TripleSat): CATALYST, "GDB: TripleSat". NAIP: Leica ADS100
(the cameras of other years differ a little).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geoseg.errors import BandError, OptionError

__all__ = ["SENSORS", "Sensor", "SensorBand", "landsat", "sensor", "sentinel2"]


@dataclass(frozen=True, kw_only=True)
class SensorBand:
    """One band of a product."""

    name: str
    """Common name, the same for all sensors: "blue", "nir", "swir1"."""
    file: str
    """What the product's files call it: "SR_B2"."""
    aliases: tuple[str, ...] = ()
    """Other names that users and catalogues give it."""
    wavelengths: tuple[float, float]
    """Shortest and longest wavelength in µm."""
    resolution: float
    """Side of a pixel in m, as distributed."""
    scale: float = 1.0
    """Physical value = scale × reading + offset."""
    offset: float = 0.0
    """See `scale`."""
    unit: str = ""
    """"reflectance", "K", or "" where a scale alone gives readings no unit."""

    def __post_init__(self) -> None:
        low, high = self.wavelengths
        if not 0 < low < high:
            raise ValueError(f"{self.name}: wavelengths {low}–{high} µm")

    @property
    def names(self) -> tuple[str, ...]:
        """All names that mean this band."""
        return (self.name, self.file, *self.aliases)


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """A kind of product of one instrument."""

    name: str
    """Its name here: "landsat-8-c2-l2"."""
    title: str
    """For people."""
    bands: tuple[SensorBand, ...]
    """In the order in which a file that holds them all has them."""
    fill: float | None
    """Reading that means "none", also where files do not declare it."""
    quality_kind: str | None = None
    """Which code its quality bands are written in; see `geoseg.compositing.masks`."""
    quality_files: tuple[tuple[str, str], ...] = ()
    """(name in `masks`, name in the product's files) of the quality bands, the needed one first."""

    def __post_init__(self) -> None:
        names = [name.casefold() for band in self.bands for name in set(band.names)]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: one name for two bands")

    @property
    def band_names(self) -> tuple[str, ...]:
        """Common names."""
        return tuple(band.name for band in self.bands)

    def find(self, name: str) -> SensorBand | None:
        """Return the band that a name means, upper and lower case alike; None where none is."""
        return find(self.bands, name)

    def band(self, name: str) -> SensorBand:
        """Return the band that a name means.

        Raises
        ------
        BandError
            It means none; the message lists what there is.
        """
        found = self.find(name)
        if found is None:
            raise BandError(
                f"{self.title} has no band “{name}”; there are: {', '.join(self.band_names)}"
            )
        return found


def find(bands: Iterable[SensorBand], name: str) -> SensorBand | None:
    """Return the band of these that a name means, upper and lower case alike."""
    wanted = name.strip().casefold()
    for band in bands:
        if wanted in (known.casefold() for known in band.names):
            return band
    return None


_Row = tuple[str, str, tuple[float, float], float, tuple[str, ...]]

# Common name, number in the files' names, wavelengths in µm, pixel in m, names in STAC catalogues.
_TM: tuple[_Row, ...] = (
    ("blue", "1", (0.45, 0.52), 30, ()),
    ("green", "2", (0.52, 0.60), 30, ()),
    ("red", "3", (0.63, 0.69), 30, ()),
    ("nir", "4", (0.76, 0.90), 30, ("nir08",)),
    ("swir1", "5", (1.55, 1.75), 30, ("swir16",)),
    ("swir2", "7", (2.08, 2.35), 30, ("swir22",)),
    ("thermal", "6", (10.40, 12.50), 30, ("lwir",)),
)
_ETM: tuple[_Row, ...] = (
    ("blue", "1", (0.45, 0.52), 30, ()),
    ("green", "2", (0.52, 0.60), 30, ()),
    ("red", "3", (0.63, 0.69), 30, ()),
    ("nir", "4", (0.77, 0.90), 30, ("nir08",)),
    ("swir1", "5", (1.55, 1.75), 30, ("swir16",)),
    ("swir2", "7", (2.09, 2.35), 30, ("swir22",)),
    ("thermal", "6", (10.40, 12.50), 30, ("lwir",)),
)
_OLI: tuple[_Row, ...] = (
    ("ultra blue", "1", (0.43, 0.45), 30, ("coastal",)),
    ("blue", "2", (0.45, 0.51), 30, ()),
    ("green", "3", (0.53, 0.59), 30, ()),
    ("red", "4", (0.64, 0.67), 30, ()),
    ("nir", "5", (0.85, 0.88), 30, ("nir08",)),
    ("swir1", "6", (1.57, 1.65), 30, ("swir16",)),
    ("swir2", "7", (2.11, 2.29), 30, ("swir22",)),
    ("thermal", "10", (10.60, 11.19), 30, ("lwir11",)),
)
_ETM_PAN: _Row = ("pan", "8", (0.52, 0.90), 15, ())
_OLI_PAN: _Row = ("pan", "8", (0.50, 0.68), 15, ())
_CIRRUS: _Row = ("cirrus", "9", (1.36, 1.38), 30, ())
_THERMAL2: _Row = ("thermal2", "11", (11.50, 12.51), 30, ("lwir12",))

_TABLES: dict[int, tuple[tuple[_Row, ...], tuple[_Row, ...]]] = {
    4: (_TM, ()),
    5: (_TM, ()),
    7: (_ETM, (_ETM_PAN,)),
    8: (_OLI, (_OLI_PAN, _CIRRUS, _THERMAL2)),
    9: (_OLI, (_OLI_PAN, _CIRRUS, _THERMAL2)),
}
"""Satellite → bands of level 2, and those that level 1 has besides."""

_SR = (0.0000275, -0.2)
_ST = (0.00341802, 149.0)
_COLLECTION_2 = (("qa_pixel", "QA_PIXEL"), ("qa_radsat", "QA_RADSAT"))
_COLLECTION_1 = (("bqa", "BQA"),)


def _level_2(rows: Sequence[_Row]) -> tuple[SensorBand, ...]:
    bands = []
    for name, number, wavelengths, resolution, aliases in rows:
        warm = name == "thermal"
        scale, offset = _ST if warm else _SR
        bands.append(
            SensorBand(
                name=name,
                file=f"{'ST' if warm else 'SR'}_B{number}",
                aliases=(f"B{number}", *aliases),
                wavelengths=wavelengths,
                resolution=resolution,
                scale=scale,
                offset=offset,
                unit="K" if warm else "reflectance",
            )
        )
    return tuple(bands)


def _level_1(rows: Sequence[_Row], *, etm: bool) -> tuple[SensorBand, ...]:
    bands = []
    for name, number, wavelengths, resolution, aliases in rows:
        # Landsat 7 takes its thermal band twice, at low and at high gain.
        gains = (("", "_VCID_1"), ("2", "_VCID_2")) if etm and name == "thermal" else (("", ""),)
        for more, gain in gains:
            bands.append(
                SensorBand(
                    name=name + more,
                    file=f"B{number}{gain}",
                    aliases=aliases if not more else (),
                    wavelengths=wavelengths,
                    resolution=resolution,
                )
            )
    return tuple(bands)


def _landsat(satellite: int, collection: int, level: int) -> Sensor:
    shared, more = _TABLES[satellite]
    return Sensor(
        name=f"landsat-{satellite}-c{collection}-l{level}",
        title=f"Landsat {satellite} Collection {collection} level {level}",
        bands=_level_2(shared) if level == 2 else _level_1((*shared, *more), etm=satellite == 7),
        fill=0,
        quality_kind="qa_pixel" if collection == 2 else "bqa" if satellite >= 8 else "bqa-tm",
        quality_files=_COLLECTION_2 if collection == 2 else _COLLECTION_1,
    )


# Common name, name in the files, centre and width in nm (Sentinel-2A), pixel in m, names in STAC.
_MSI: tuple[tuple[str, str, float, float, float, tuple[str, ...]], ...] = (
    ("ultra blue", "B01", 443, 20, 60, ("B1", "coastal")),
    ("blue", "B02", 490, 65, 10, ("B2",)),
    ("green", "B03", 560, 35, 10, ("B3",)),
    ("red", "B04", 665, 30, 10, ("B4",)),
    ("red edge 1", "B05", 705, 15, 20, ("B5", "rededge1")),
    ("red edge 2", "B06", 740, 15, 20, ("B6", "rededge2")),
    ("red edge 3", "B07", 783, 20, 20, ("B7", "rededge3")),
    ("nir", "B08", 842, 115, 10, ("B8",)),
    ("narrow nir", "B8A", 865, 20, 20, ("nir08",)),
    ("water vapour", "B09", 945, 20, 60, ("B9", "nir09")),
    ("swir1", "B11", 1610, 90, 20, ("swir16",)),
    ("swir2", "B12", 2190, 180, 20, ("swir22",)),
)


def _sentinel2(name: str, title: str, offset: float) -> Sensor:
    return Sensor(
        name=name,
        title=title,
        bands=tuple(
            SensorBand(
                name=common,
                file=file,
                aliases=aliases,
                wavelengths=((centre - width / 2) / 1000, (centre + width / 2) / 1000),
                resolution=resolution,
                scale=0.0001,
                offset=offset,
                unit="reflectance",
            )
            for common, file, centre, width, resolution, aliases in _MSI
        ),
        fill=0,
        quality_kind="scl",
        quality_files=(("scl", "SCL"),),
    )


def _plain(
    name: str, title: str, fill: float | None, rows: Sequence[tuple[str, float, float, float]]
) -> Sensor:
    return Sensor(
        name=name,
        title=title,
        fill=fill,
        bands=tuple(
            SensorBand(name=band, file=f"B{i}", wavelengths=(low, high), resolution=resolution)
            for i, (band, low, high, resolution) in enumerate(rows, start=1)
        ),
    )


_ALL = (
    *(_landsat(satellite, 2, 2) for satellite in _TABLES),
    *(_landsat(satellite, 2, 1) for satellite in _TABLES),
    *(_landsat(satellite, 1, 1) for satellite in _TABLES if satellite != 9),
    _sentinel2("sentinel-2-l2a", "Sentinel-2 L2A from baseline 04.00", -0.1),
    _sentinel2("sentinel-2-l2a-before-04", "Sentinel-2 L2A before baseline 04.00", 0.0),
    _plain(
        "beijing-2",
        "Beijing-2 multispectral",
        0,
        (
            ("blue", 0.44, 0.51, 3.2),
            ("green", 0.51, 0.59, 3.2),
            ("red", 0.60, 0.67, 3.2),
            ("nir", 0.76, 0.91, 3.2),
        ),
    ),
    _plain("beijing-2-pan", "Beijing-2 panchromatic", 0, (("pan", 0.45, 0.65, 0.8),)),
    _plain(
        "naip",
        "NAIP",
        None,
        (
            ("red", 0.619, 0.651, 1.0),
            ("green", 0.525, 0.585, 1.0),
            ("blue", 0.435, 0.495, 1.0),
            ("nir", 0.808, 0.882, 1.0),
        ),
    ),
)

SENSORS: dict[str, Sensor] = {one.name: one for one in _ALL}
"""All sensors by name."""


def sensor(name: str) -> Sensor:
    """Return the sensor of a name, upper and lower case alike.

    Raises
    ------
    OptionError
        None is called so; the message lists what there is.
    """
    found = SENSORS.get(name.strip().casefold())
    if found is None:
        near = difflib.get_close_matches(name.casefold(), SENSORS, n=1)
        guess = f" (did you mean “{near[0]}”?)" if near else ""
        raise OptionError(f"no sensor is called “{name}”{guess}; there are: {', '.join(SENSORS)}")
    return found


def landsat(satellite: int, *, collection: int, level: int) -> Sensor | None:
    """Return a Landsat product; None where it is none of those known here."""
    return SENSORS.get(f"landsat-{satellite}-c{collection}-l{level}")


def sentinel2(baseline: str | None, *, offset_applied: bool = False) -> Sensor:
    """Return Sentinel-2 L2A by its processing baseline.

    Parameters
    ----------
    baseline
        "04.00", "0509", "N0212" and the like; None is taken for a recent one.
    offset_applied
        Whether the provider has added the offset to the readings already, as Earth Search says of
        its items.

    Raises
    ------
    ValueError
        The text is no baseline.
    """
    digits = "".join(c for c in baseline or "0400" if c.isdigit())
    if len(digits) != 4:
        raise ValueError(f"“{baseline}” is no processing baseline (04.00)")
    old = int(digits) < 400 or offset_applied
    return SENSORS["sentinel-2-l2a-before-04" if old else "sentinel-2-l2a"]
