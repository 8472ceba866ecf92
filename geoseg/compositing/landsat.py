"""Landsat products as they are downloaded: a folder of one file a band, and metadata (MTL)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from geoseg.compositing.product import Product, ProductBand
from geoseg.compositing.sensors import Sensor, SensorBand, landsat
from geoseg.errors import RasterReadError
from geoseg.raster.naming import product_and_band, stem

Groups = Mapping[str, Mapping[str, str]]
"""A metadata file: group → key → value."""

_ID = re.compile(
    r"L[COTEM](?P<satellite>\d{2})_L(?P<level>\d)\w{2}_\d{6}_(?P<day>\d{8})"
    r"(?:_\d{8})?(?:_(?P<collection>\d{2})_(?:T1|T2|RT))?",
    re.IGNORECASE,
)
_METADATA = re.compile(r".*_MTL\.(?:json|txt|xml)", re.IGNORECASE)
_LINE = re.compile(r"\s*(\w+)\s*=\s*(?:\"([^\"]*)\"|(.*?))\s*")
_LARGEST = 4 << 20
"""Bytes; a metadata file has some ten thousand."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a Landsat product's identifier says."""

    name: str
    """The identifier."""
    satellite: int
    level: int
    collection: int | None
    """None where it is not said, as in shortened names."""
    acquired: date

    @classmethod
    def of(cls, text: str) -> Identity | None:
        """Read an identifier that a text begins with; None where it begins with none."""
        match = _ID.match(text)
        if match is None:
            return None
        try:
            acquired = date.fromisoformat(match["day"])
        except ValueError:
            return None
        return cls(
            name=match[0],
            satellite=int(match["satellite"]),
            level=int(match["level"]),
            collection=int(match["collection"]) if match["collection"] else None,
            acquired=acquired,
        )

    def sensor(self, where: str, *, collection: int | None = None) -> Sensor:
        """Return what took it.

        Raises
        ------
        RasterReadError
            It is of a kind that is not known here.
        """
        number = self.collection or collection or 2
        found = landsat(self.satellite, collection=number, level=self.level)
        if found is None:
            raise RasterReadError(
                f"{where}: is Landsat {self.satellite} Collection {number} level {self.level}, "
                "which is not known here; give Landsat 4, 5, 7, 8 or 9 of Collection 2, or level 1 "
                "of Collection 1, or single rasters"
            )
        return found


def is_one(place: Path) -> bool:
    """Tell whether a file is Landsat metadata, or a folder holds a Landsat product."""
    if place.is_file():
        return _METADATA.fullmatch(place.name) is not None
    return any(_METADATA.fullmatch(f.name) or _band_id(f.name) for f in _listed(place))


def open_one(place: Path, *, with_quality: bool) -> Product:
    """Open a product by its folder or its metadata file.

    Raises
    ------
    RasterReadError
        The folder holds several products, or the metadata make no sense.
    """
    if place.is_file():
        return _by_metadata(place, with_quality)
    files = _listed(place)
    metadata = [f for f in files if _METADATA.fullmatch(f.name)]
    products = sorted({f.stem.casefold() for f in metadata})
    if len(products) > 1:
        raise RasterReadError(
            f"{place}: holds {len(products)} Landsat products; name their metadata files (_MTL.txt)"
        )
    if metadata:
        return _by_metadata(metadata[0], with_quality)
    return _by_names(place, files, with_quality)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(f for f in folder.iterdir() if f.is_file())
    except OSError as error:
        raise RasterReadError(f"{folder}: cannot be listed ({error.strerror})") from error


def _band_id(file_name: str) -> str | None:
    """Return the band that a file's name says it is: "SR_B2"; None of what is no band's raster."""
    if Path(file_name).suffix.casefold() not in {".tif", ".tiff"}:
        return None
    return product_and_band(stem(file_name))[1]


def read_metadata(path: Path) -> dict[str, dict[str, str]]:
    """Read an MTL file: JSON, text or XML.

    Raises
    ------
    RasterReadError
        It cannot be read, or is none.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise RasterReadError(f"{path}: is too large for Landsat metadata; check the file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise RasterReadError(f"{path}: cannot be read ({why}); check the file") from error
    read = {".json": _groups_of_json, ".xml": _groups_of_xml}.get(path.suffix.casefold())
    groups = (read or _groups_of_text)(text)
    if not any(key.startswith("FILE_NAME_") for group in groups.values() for key in group):
        raise RasterReadError(
            f"{path}: names no files, so it is not (whole) Landsat metadata; re-download it"
        )
    return groups


def _groups_of_json(text: str) -> dict[str, dict[str, str]]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    root = next(iter(whole.values()), None) if isinstance(whole, dict) else None
    if not isinstance(root, dict):
        return {}
    return {
        group: {key: str(value) for key, value in pairs.items()}
        for group, pairs in root.items()
        if isinstance(pairs, dict)
    }


def _groups_of_xml(text: str) -> dict[str, dict[str, str]]:
    if "<!" in text.replace("<!--", ""):  # declarations: none has them, and they could be a bomb
        return {}
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return {}
    return {
        group.tag: {pair.tag: (pair.text or "").strip() for pair in group if not len(pair)}
        for group in root
    }


def _groups_of_text(text: str) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    open_groups: list[str] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        key, value = match[1], match[2] if match[2] is not None else match[3]
        if key == "GROUP":
            open_groups.append(value)
        elif key == "END_GROUP":
            del open_groups[-1:]
        elif open_groups:
            groups.setdefault(open_groups[-1], {})[key] = value
    return groups


def _by_metadata(path: Path, with_quality: bool) -> Product:
    groups = read_metadata(path)
    said = first(groups, "LANDSAT_PRODUCT_ID") or path.name
    identity = Identity.of(said)
    if identity is None:
        raise RasterReadError(f"{path}: “{said}” is no identifier of a Landsat product")
    contents = groups.get("PRODUCT_CONTENTS") or groups.get("PRODUCT_METADATA") or {}
    number = first(groups, "COLLECTION_NUMBER")
    sensor = identity.sensor(
        str(path), collection=int(number) if number and number.isdecimal() else None
    )
    # Names are compared in lower case: unpacking programs change the suffix.
    there = {f.name.casefold(): f for f in _listed(path.parent)}
    paths: dict[str, Path] = {}
    missing: dict[str, Path] = {}
    for key, name in contents.items():
        band = _band_id(name) if key.startswith("FILE_NAME_") else None
        if band is None:
            continue
        if name.casefold() in there:
            paths[band] = there[name.casefold()]
        else:
            missing[band] = path.parent / name
    return _product(identity, str(path), sensor, paths, missing, groups, with_quality)


def _by_names(folder: Path, files: Iterable[Path], with_quality: bool) -> Product:
    named = [(f, band) for f in files if (band := _band_id(f.name))]
    products = sorted({product_and_band(stem(f.name))[0] for f, _ in named})
    if len(products) > 1:
        raise RasterReadError(
            f"{folder}: holds files of {len(products)} Landsat products ({products[0]}, "
            f"{products[1]}, …); give a folder to each"
        )
    paths = {band: f for f, band in named}
    short = Identity.of(products[0])
    if short is None:
        raise RasterReadError(f"{folder}: “{products[0]}” is no identifier of a Landsat product")
    # Files with shortened names may lie in a folder that has the whole one.
    whole = Identity.of(folder.resolve().name)
    identity = whole if whole and short.collection is None else short
    sensor = identity.sensor(str(folder), collection=1 if "BQA" in paths else 2)
    return _product(identity, str(folder), sensor, paths, {}, {}, with_quality)


def _product(
    identity: Identity,
    source: str,
    sensor: Sensor,
    paths: Mapping[str, Path],
    missing: Mapping[str, Path],
    groups: Groups,
    with_quality: bool,
) -> Product:
    def made(files: Mapping[str, Path]) -> tuple[ProductBand, ...]:
        return tuple(
            band_of(band, str(files[band.file]), sensor, groups, source)
            for band in sensor.bands
            if band.file in files
        )

    def codes(files: Mapping[str, Path]) -> tuple[ProductBand, ...]:
        return tuple(
            ProductBand(name=name, path=str(files[file]), aliases=(file,))
            for name, file in sensor.quality_files
            if file in files
        )

    quality = codes(paths) if with_quality else ()
    lost = codes(missing) if with_quality else ()
    bands = made(paths)
    if not bands:
        raise RasterReadError(
            f"{source}: no band of {identity.name} is there; download the bands beside it"
        )
    needed = sensor.quality_files[0][0]
    return Product(
        name=identity.name,
        source=source,
        sensor=sensor,
        acquired=identity.acquired,
        cloud_cover=cloud_cover(groups),
        bands=bands,
        quality_bands=quality if any(band.name == needed for band in quality) else (),
        quality_kind=sensor.quality_kind if with_quality else None,
        missing=(*made(missing), *lost),
    )


def first(groups: Groups, key: str) -> str | None:
    """Return the value of a key in the first group that has it."""
    return next((group[key] for group in groups.values() if key in group), None)


def cloud_cover(groups: Groups) -> float | None:
    """Percent of clouds, None where it is not said (−1 says so, too)."""
    said = groups.get("IMAGE_ATTRIBUTES", {}).get("CLOUD_COVER")
    try:
        value = float(said) if said is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value <= 100 else None


def band_of(
    band: SensorBand, path: str, sensor: Sensor, groups: Groups, source: str
) -> ProductBand:
    """Make a product's band, scaled as its metadata say.

    Level 2 without metadata has the scale that the collection documents. Level 1 is reflectance at
    the top of the atmosphere, (mult × reading + add) / sin(sun elevation), thermal bands radiance;
    without metadata its readings are left as they are.

    Raises
    ------
    RasterReadError
        The metadata do not say it, or say something that is no number.
    """
    scale, offset, unit = band.scale, band.offset, band.unit
    if groups:
        scale, offset, unit = _rescaling(band, sensor, groups, source)
    return ProductBand(
        name=band.name,
        path=path,
        aliases=(band.file, *band.aliases),
        scale=scale,
        offset=offset,
        fill=sensor.fill,
        unit=unit,
    )


def _rescaling(
    band: SensorBand, sensor: Sensor, groups: Groups, source: str
) -> tuple[float, float, str]:
    warm = band.name.startswith("thermal")
    if sensor.name.endswith("-l2"):
        group = f"LEVEL2_SURFACE_{'TEMPERATURE' if warm else 'REFLECTANCE'}_PARAMETERS"
        what, number = ("TEMPERATURE", band.file) if warm else ("REFLECTANCE", band.file[4:])
        if group not in groups:  # of bands that were not ordered, and are not there either
            return band.scale, band.offset, band.unit
    else:
        group = "LEVEL1_RADIOMETRIC_RESCALING"
        group = group if group in groups else "RADIOMETRIC_RESCALING"
        what, number = "RADIANCE" if warm else "REFLECTANCE", band.file[1:]
    scale = _number(groups, group, f"{what}_MULT_BAND_{number}", source)
    offset = _number(groups, group, f"{what}_ADD_BAND_{number}", source)
    if sensor.name.endswith("-l2") or warm:
        return scale, offset, band.unit or "W/(m² sr µm)"
    elevation = _number(groups, "IMAGE_ATTRIBUTES", "SUN_ELEVATION", source)
    if not 0 < elevation <= 90:
        raise RasterReadError(
            f"{source}: the sun stands at {elevation:g}°, so there is no reflectance; leave this "
            "scene out"
        )
    sine = math.sin(math.radians(elevation))
    return scale / sine, offset / sine, "reflectance"


def _number(groups: Groups, group: str, key: str, source: str) -> float:
    said = groups.get(group, {}).get(key)
    try:
        value = float(said or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = "does not say" if said is None else f"says “{said}” for"
        raise RasterReadError(f"{source}: {what} {key} ({group}); re-download the metadata")
    return value
