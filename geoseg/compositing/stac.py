"""STAC items: a product as catalogues describe it, in one JSON file.

Read as plain JSON, of which every part may be missing or of another kind. A file that is not where
the item says is looked for beside it, by its name; so an item that was downloaded together with its
files works, whatever addresses it gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import SplitResult, unquote, urlsplit

from geoseg.compositing import landsat
from geoseg.compositing.product import Product, ProductBand
from geoseg.compositing.sensors import Sensor, sentinel2
from geoseg.errors import RasterReadError
from geoseg.raster.naming import product_and_band, stem
from geoseg.raster.opening.handles import is_local_file

_LARGEST = 32 << 20
"""Bytes; an item has some ten thousand."""
_DAY = re.compile(r"(?:19|20)\d{6}")
_RASTERS = (".tif", ".tiff", ".jp2", ".vrt", ".img")
_QUALITY = {"qa_pixel": "qa_pixel", "fmask": "fmask", "scl": "scl"}
"""Assets of unknown sensors that are quality bands → their kind."""


@dataclass(frozen=True, kw_only=True)
class _Asset:
    """One raster of an item."""

    key: str
    path: str
    here: bool
    """Whether it is there: in the file system, or at an address, which is not asked."""
    remote: bool
    bands: tuple[Mapping[str, Any], ...]
    """What the item says of its bands, in their order."""

    @property
    def names(self) -> list[str]:
        """What it may be called, the surest first."""
        file = stem(self.path)
        # A picture of several bands begins with one of them, and is none of them.
        told = [str(band["name"]) for band in self.bands if len(self.bands) == 1 and "name" in band]
        return [product_and_band(file)[1] or file.rpartition("_")[2], stem(self.key), *told]


def is_one(place: Path) -> bool:
    """Tell whether a file is JSON."""
    return place.is_file() and place.suffix.casefold() in {".json", ".geojson"}


def open_one(place: Path, *, with_quality: bool) -> Product:
    """Open a product by its item.

    Landsat and Sentinel-2 are known by their identifiers and platform. Bands of anything else are
    called as the item calls them, common names first, and scaled as it says.

    Raises
    ------
    RasterReadError
        It is no item, or names no band that can be used.
    """
    return open_item(_read(place), str(place), place.parent, with_quality=with_quality)


def open_item(item: Mapping[str, Any], place: str, folder: Path, *, with_quality: bool) -> Product:
    """Open a product by its item as JSON.

    Parameters
    ----------
    item
        What the item says.
    place
        Where it says so: for messages, and the product's source.
    folder
        To which addresses are relative, and where files are looked for by their names.
    with_quality
        Whether quality bands are wanted.

    Raises
    ------
    RasterReadError
        It is no item, or names no band that can be used.
    """
    if item.get("type") != "Feature" or "stac_version" not in item or not _of(item, "assets"):
        raise RasterReadError(f"{place}: is no STAC item with assets; give one, or a raster")
    assets = _assets(item, folder)
    identity = landsat.Identity.of(_text(item.get("id")))
    if identity is not None:
        groups = _metadata(item, folder)
        sensor = identity.sensor(place)
        return _known(item, place, sensor, assets, groups, with_quality)
    properties = _of(item, "properties")
    words = [item.get("id"), properties.get("platform"), properties.get("constellation")]
    if any(_text(word).casefold().startswith(("s2", "sentinel-2")) for word in words):
        return _known(item, place, _sentinel(item, properties, place), assets, {}, with_quality)
    return _unknown(item, place, assets, with_quality)


def _read(place: Path) -> Mapping[str, Any]:
    try:
        if place.stat().st_size > _LARGEST:
            raise RasterReadError(f"{place}: is too large for a STAC item; give one item a file")
        item = json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise RasterReadError(f"{place}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RasterReadError(f"{place}: is not JSON; give a STAC item or a raster") from error
    kind = item.get("type") if isinstance(item, dict) else None
    if kind in ("Catalog", "Collection", "FeatureCollection"):  # it may be a list
        raise RasterReadError(f"{place}: is a {kind} and not one item; give its items, one a file")
    return item if isinstance(item, dict) else {}


def _of(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return _mapping(item.get(key))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _assets(item: Mapping[str, Any], folder: Path) -> list[_Asset]:
    known = _list(_of(item, "properties").get("eo:bands"))
    found = []
    for key, asset in _of(item, "assets").items():
        href = _text(_mapping(asset).get("href"))
        if not _parts(href).path.casefold().endswith(_RASTERS):
            continue
        path, here = _locate(href, folder)
        found.append(
            _Asset(
                key=key,
                path=path,
                here=here,
                remote=not is_local_file(path),
                bands=_told(_mapping(asset), known),
            )
        )
    # Of two rasters of one band that which is here is taken, then that which needs no network.
    return sorted(found, key=lambda asset: (not asset.here, asset.remote))


def _told(asset: Mapping[str, Any], known: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    """Return what is said of an asset's bands: STAC 1.1's "bands", or those of eo and raster."""
    if "bands" in asset:
        return tuple(_mapping(band) for band in _list(asset["bands"]))
    spectral: list[Mapping[str, Any]] = []
    for said in _list(asset.get("eo:bands")):
        # Before STAC 1.0 a number in the item's own list.
        listed = known[said : said + 1] if isinstance(said, int) and said >= 0 else [said]
        spectral.append(_mapping(listed[0]) if listed else {})
    stored = [_mapping(band) for band in _list(asset.get("raster:bands"))]
    count = max(len(spectral), len(stored))
    spectral += [{}] * (count - len(spectral))
    stored += [{}] * (count - len(stored))
    return tuple({**one, **other} for one, other in zip(spectral, stored, strict=True))


def _parts(href: str) -> SplitResult:
    try:
        return urlsplit(href)
    except ValueError:  # no address at all: "http://["
        return SplitResult("", "", "", "", "")


def _locate(href: str, folder: Path) -> tuple[str, bool]:
    """Where an asset is, and whether it is there."""
    parts = _parts(href)
    local = None
    if parts.scheme == "file":
        local = Path(unquote(parts.path))
    elif is_local_file(href):
        local = folder / href
    if local is not None and local.is_file():
        return str(local), True
    beside = folder / unquote(parts.path).rpartition("/")[2]
    if beside.is_file() and (_DAY.search(beside.name) or _is_alone(folder)):
        return str(beside), True
    return (href, True) if local is None else (str(local), False)


def _is_alone(folder: Path) -> bool:
    """Tell whether a folder holds one item: "B04.tif" may be of any of several."""
    found = [f for f in folder.glob("*.*json") if not f.name.casefold().endswith("_mtl.json")]
    return len(found) == 1


def _metadata(item: Mapping[str, Any], folder: Path) -> landsat.Groups:
    """Landsat metadata, where the item has them in a file that is here."""
    for asset in _of(item, "assets").values():
        href = _text(_mapping(asset).get("href"))
        if href.casefold().endswith(("_mtl.json", "_mtl.txt", "_mtl.xml")):
            path, here = _locate(href, folder)
            if here and is_local_file(path):
                return landsat.read_metadata(Path(path))
    return {}


def _sentinel(item: Mapping[str, Any], properties: Mapping[str, Any], place: str) -> Sensor:
    name, collection = _text(item.get("id")), _text(item.get("collection")).casefold()
    if "L1C" in name or "l1c" in collection:
        raise RasterReadError(f"{place}: is Sentinel-2 level 1C; give level 2A")
    said = properties.get("s2:processing_baseline") or properties.get("processing:version")
    if not said and "_N" in name:
        said = name.partition("_N")[2][:4]
    applied = properties.get("earthsearch:boa_offset_applied") is True
    if not (said or applied):
        raise RasterReadError(
            f"{place}: does not say its processing baseline (s2:processing_baseline), on which the "
            "offset depends; add it to the item's properties"
        )
    try:
        return sentinel2(str(said) if said else None, offset_applied=applied)
    except ValueError as error:
        raise RasterReadError(f"{place}: {error}") from None


def _known(
    item: Mapping[str, Any],
    place: str,
    sensor: Sensor,
    assets: Sequence[_Asset],
    groups: landsat.Groups,
    with_quality: bool,
) -> Product:
    files: dict[str, _Asset] = {}
    for asset in assets:
        for name in asset.names:
            if (band := sensor.find(name)) is not None:
                files.setdefault(band.name, asset)
                break
    wanted = {file.casefold(): name for name, file in sensor.quality_files if with_quality}
    codes: dict[str, _Asset] = {}
    for asset in assets:
        for name in asset.names:
            if name.casefold() in wanted:
                codes.setdefault(wanted[name.casefold()], asset)
                break
    bands = [
        (landsat.band_of(band, files[band.name].path, sensor, groups, place), files[band.name])
        for band in sensor.bands
        if band.name in files
    ]
    quality = [
        (ProductBand(name=name, path=codes[name].path, aliases=(file,)), codes[name])
        for name, file in sensor.quality_files
        if name in codes
    ]
    if not any(asset.here for _, asset in bands):
        raise RasterReadError(
            f"{place}: no band of {sensor.title} is there; download the files beside the item"
        )
    needed = codes.get(sensor.quality_files[0][0])
    return _product(
        item,
        place,
        sensor=sensor,
        bands=tuple(band for band, asset in bands if asset.here),
        quality_bands=tuple(b for b, asset in quality if asset.here)
        if needed is not None and needed.here
        else (),
        quality_kind=sensor.quality_kind if with_quality else None,
        missing=tuple(band for band, asset in (*bands, *quality) if not asset.here),
    )


def _unknown(
    item: Mapping[str, Any], place: str, assets: Sequence[_Asset], with_quality: bool
) -> Product:
    bands: dict[str, tuple[ProductBand, bool]] = {}
    quality: list[tuple[ProductBand, str, bool]] = []
    for asset in assets:
        kind = _QUALITY.get(asset.key.casefold())
        if kind is not None:
            quality.append((ProductBand(name=kind, path=asset.path), kind, asset.here))
            continue
        for index, told in enumerate(asset.bands, start=1):
            made = _described(asset, index, told, place)
            if made is not None:
                bands.setdefault(made.name, (made, asset.here))
    if not any(here for _, here in bands.values()):
        raise RasterReadError(
            f"{place}: describes no band whose file is there (eo:bands); give its rasters instead"
        )
    chosen = quality[0] if quality and with_quality else None
    return _product(
        item,
        place,
        sensor=None,
        bands=tuple(band for band, here in bands.values() if here),
        quality_bands=(chosen[0],) if chosen and chosen[2] else (),
        quality_kind=chosen[1] if chosen else None,
        missing=tuple(band for band, here in bands.values() if not here)
        + ((chosen[0],) if chosen and not chosen[2] else ()),
    )


def _described(
    asset: _Asset, index: int, told: Mapping[str, Any], place: str
) -> ProductBand | None:
    """Make a band as the item describes it; None where it gives it no name."""
    names = [_text(told.get(key)) for key in ("eo:common_name", "common_name", "name")]
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        return None

    def said(key: str, default: Any) -> Any:
        value = told.get(key, told.get(f"raster:{key}"))
        return default if value is None else value

    scale, offset, nodata = said("scale", 1.0), said("offset", 0.0), said("nodata", None)
    if not (_is_number(scale) and _is_number(offset) and scale != 0):
        raise RasterReadError(
            f"{place}: the band “{names[0]}” has a scale or offset that is no number; correct it"
        )
    return ProductBand(
        name=names[0],
        path=asset.path,
        index=index,
        aliases=tuple(names[1:]),
        scale=float(scale),
        offset=float(offset),
        # It may be "nan"; such pixels are invalid anyway.
        fill=float(nodata) if _is_number(nodata) else None,
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and -1e30 < value < 1e30  # nor NaN


def _product(item: Mapping[str, Any], place: str, **parts: Any) -> Product:
    properties = _of(item, "properties")
    said = _text(properties.get("datetime")) or _text(properties.get("start_datetime"))
    try:
        acquired = date.fromisoformat(said[:10])
    except ValueError:
        acquired = None
    clouds = properties.get("eo:cloud_cover")
    return Product(
        name=_text(item.get("id")) or stem(place),
        source=place,
        acquired=acquired,
        cloud_cover=float(clouds) if _is_number(clouds) else None,
        **parts,
    )
