"""Files from elsewhere that lead to files here: refused, unless who runs geoseg trusts them.

A VRT on a server may name files of this machine as its sources, and what is made of it would then
hold their pixels. So what came over a network, or lies in an archive, may lead to places of its own
kind alone. A file in the file system may lead anywhere: whoever put it there can read there as
well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from geoseg.errors import InputError, RasterReadError
from geoseg.raster.opening.foreignxml import parse_xml

VARIABLE = "GEOSEG_TRUST"
"""Variable of the environment that is 1 where files from elsewhere may lead to files here."""
ADVICE = f"if you trust it, say --trust (or set {VARIABLE}=1)"

_ARCHIVE = re.compile(r"/vsi(?:zip|tar|gzip|7z|rar)/\{?|(?:zip|tar|gzip)\+?(?=[a-z0-9]*://)|^://")
_NETWORK = re.compile(
    r"/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(?:_streaming)?[/?]"
    r"|(?:https?|ftp|s3|gs|az|adls|oss|swift)://",
    re.IGNORECASE,
)
_WHOLE = frozenset(
    {"GTiff", "COG", "LIBERTIFF", "SNAP_TIFF", "JP2OpenJPEG", "JP2ECW", "JP2KAK", "JPEG", "JPEGXL"}
    | {"PNG", "WEBP", "GIF", "BIGGIF", "BMP", "HEIF", "AVIF", "PNM", "TGA", "SGI", "HFA", "ENVI"}
    | {"EHdr", "AAIGrid", "GRASSASCIIGrid", "DTED", "SRTMHGT", "USGSDEM", "BT", "XYZ", "NITF"}
    | {"GRIB", "GPKG", "MBTiles", "RMF", "RST", "GSAG", "GSBG", "GS7BG"}
)
"""Formats of GDAL whose files hold their pixels, or have them in files of their name."""
_WHOLE_VECTORS = frozenset(
    {"GeoJSON", "GeoJSONSeq", "ESRIJSON", "TopoJSON", "JSONFG", "GPKG", "ESRI Shapefile", "KML"}
    | {"LIBKML", "FlatGeobuf", "CSV", "GPX", "OpenFileGDB", "Parquet", "Arrow", "DXF", "GeoRSS"}
)
"""Formats of vectors whose files hold their features, or have them in files of their name."""
_MOST_SOURCES, _DEEPEST = 10_000, 8


def trusted() -> bool:
    """Tell whether files from elsewhere may lead to files here."""
    return os.environ.get(VARIABLE, "").strip().casefold() in ("1", "yes", "true", "on")


def is_elsewhere(path: str) -> bool:
    """Tell whether a raster lies on a network or in an archive."""
    return _place(path) != "here"


def _place(path: str) -> str:
    """Return "network", "archive" or "here"."""
    rest, packed = path, False
    while (found := _ARCHIVE.match(rest)) is not None and found.end():
        rest, packed = rest[found.end() :], True
    if _NETWORK.match(rest):
        return "network"
    return "archive" if packed else "here"


def may_lead(path: str, target: str) -> bool:
    """Tell whether what lies at `path` may lead to `target` without being trusted."""
    place, other = _place(path), _place(target)
    return place == "here" or other == "network" or place == other == "archive"


class LeadsHereError(RasterReadError):
    """What lies elsewhere leads to files here, or may."""


def sources_of(path: str, driver: str, xml: str) -> Iterator[str]:
    """Yield what a raster from elsewhere is made of, having looked at it.

    Parameters
    ----------
    path
        Where it lies.
    driver
        GDAL's name of its format.
    xml
        A VRT's own text; empty for other formats.

    Raises
    ------
    LeadsHereError
        It leads to files here, or is of a format that may and that is not looked into.
    """
    if driver in _WHOLE:
        return
    if driver != "VRT":
        raise LeadsHereError(
            f"{path}: is of a format ({driver}) that may lead to files of this machine; download"
            f" it, or {ADVICE}"
        )
    try:
        root = parse_xml(xml.encode())
    except InputError as error:
        raise LeadsHereError(f"{path}: is a VRT that is not looked into ({error})") from error
    found = dict.fromkeys(_named(root, path))
    if len(found) > _MOST_SOURCES:
        raise LeadsHereError(f"{path}: is a VRT of more than {_MOST_SOURCES} files; {ADVICE}")
    for target in found:
        if not may_lead(path, target):
            raise LeadsHereError(
                f"{path}: is a VRT that leads to {target[:200]} on this machine; {ADVICE}"
            )
        yield target


def _named(root: ElementTree.Element, path: str) -> Iterator[str]:
    folder = path.partition("?")[0].rpartition("/")[0]
    for element in root.iter():
        if element.tag not in ("SourceFilename", "SourceDataset", "IndexDataset"):
            continue
        text = (element.text or "").strip()
        relative = element.get("relativeToVRT") == "1" or element.get("relativetoVRT") == "1"
        absolute = re.match(r"[/\\]|[A-Za-z]:|[a-z0-9+]+://", text) is not None
        yield f"{folder}/{text}" if relative and not absolute else text


def vector_trouble(path: str, driver: str) -> str | None:
    """Say why a file of vectors is not read; None where it may be.

    Parameters
    ----------
    path
        Where it lies.
    driver
        GDAL's name of its format.
    """
    if trusted() or not is_elsewhere(path) or driver in _WHOLE_VECTORS:
        return None
    return (
        f"{path}: is of a format ({driver}) that may lead to files of this machine; give *.gpkg or"
        f" *.geojson, download it, or {ADVICE}"
    )


def deepest(depth: int, path: str) -> None:
    """Refuse VRTs of VRTs of VRTs without end.

    Raises
    ------
    LeadsHereError
        There are too many one in the other.
    """
    if depth > _DEEPEST:
        raise LeadsHereError(f"{path}: is a VRT of VRTs, {_DEEPEST} deep; {ADVICE}")
