"""Sentinel-2 products as they are downloaded: SAFE folders of level 2A."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from geoseg.compositing.product import Product, ProductBand
from geoseg.compositing.sensors import sentinel2
from geoseg.errors import RasterReadError

_METADATA = "MTD_MSIL2A.xml"
_FILE = re.compile(
    r"T\w{5}_(?P<day>\d{8})T\d{6}_(?P<band>B\w{2}|SCL)_(?P<metres>\d{2})m\.(?:jp2|tif)", re.I
)
_BASELINE = re.compile(r"<PROCESSING_BASELINE>\s*([\d.]+)\s*</PROCESSING_BASELINE>")
_CLOUDS = re.compile(r"<Cloud_Coverage_Assessment>\s*([\d.]+)\s*</Cloud_Coverage_Assessment>", re.I)
_IN_NAME = re.compile(r"_N(\d{4})_")
_LARGEST = 16 << 20
"""Bytes; a metadata file has some fifty thousand."""


def is_one(place: Path) -> bool:
    """Tell whether a place is a Sentinel-2 folder, or the metadata file in it."""
    if place.is_file():
        return place.name.casefold() == _METADATA.casefold()
    return (place / _METADATA).is_file() or any(place.glob("GRANULE/*/IMG_DATA"))


def open_one(place: Path, *, with_quality: bool) -> Product:
    """Open a product by its folder or its metadata file.

    Of a band that is there in several sizes, the one with the smallest pixels is taken.

    Raises
    ------
    RasterReadError
        It is not level 2A, holds no band or several granules, or its processing baseline, on which
        the offset depends, is not said.
    """
    folder = place.parent if place.is_file() else place
    granules = sorted(folder.glob("GRANULE/*"))
    if len(granules) > 1:
        raise RasterReadError(
            f"{folder}: holds {len(granules)} granules; give products of one granule each"
        )
    found: dict[str, tuple[int, Path]] = {}
    days: set[str] = set()
    for file in sorted(folder.glob("GRANULE/*/IMG_DATA/**/*")):
        match = _FILE.fullmatch(file.name)
        if match is None:
            continue
        days.add(match["day"])
        band, metres = match["band"].upper(), int(match["metres"])
        if band not in found or metres < found[band][0]:
            found[band] = metres, file
    if not found:
        raise RasterReadError(
            f"{folder}: holds no bands of level 2A (…_B02_10m.jp2); give a product of level 2A"
        )
    text = _text(folder / _METADATA)
    name = folder.resolve().name.removesuffix(".SAFE")
    said = _BASELINE.search(text) or _IN_NAME.search(name)
    if said is None:
        raise RasterReadError(
            f"{folder}: does not say its processing baseline, on which the offset depends; keep "
            f"{_METADATA} in it, or its whole name"
        )
    try:
        sensor = sentinel2(said[1])
        acquired = date.fromisoformat(min(days))
    except ValueError as error:
        raise RasterReadError(f"{folder}: {error}") from None
    clouds = _CLOUDS.search(text)
    quality = [
        ProductBand(name=name, path=str(found[file][1]), aliases=(file,))
        for name, file in sensor.quality_files
        if file in found and with_quality
    ]
    return Product(
        name=name,
        source=str(place),
        sensor=sensor,
        acquired=acquired,
        cloud_cover=float(clouds[1]) if clouds else None,
        bands=tuple(
            ProductBand(
                name=band.name,
                path=str(found[band.file][1]),
                aliases=(band.file, *band.aliases),
                scale=band.scale,
                offset=band.offset,
                fill=sensor.fill,
                unit=band.unit,
            )
            for band in sensor.bands
            if band.file in found
        ),
        quality_bands=tuple(quality),
        quality_kind=sensor.quality_kind if with_quality else None,
    )


def _text(path: Path) -> str:
    """Text of the metadata; nothing where they are not there."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise RasterReadError(f"{path}: cannot be read ({why}); check the file") from error
