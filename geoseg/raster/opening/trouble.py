"""What is said of a file here that is no raster."""

from __future__ import annotations

import re
from pathlib import Path

_TIFF_HEADS = frozenset({b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"})
_VECTOR_SUFFIXES = frozenset({".gpkg", ".shp", ".geojson", ".fgb", ".kml", ".gml"})
_PRODUCT = re.compile(r".*_MTL\.(?:json|txt|xml)", re.IGNORECASE)


def why_not_opened(path: str, told: str) -> str:
    """Say why a file that should be here cannot be opened; `told` is what GDAL says."""
    file = Path(path)
    if not file.exists():
        return f"{path}: no such file; check the path"
    if file.is_dir():
        return f"{path}: is a folder and not a raster; name the files in it"
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
    except OSError as failure:
        return f"{path}: cannot be read ({failure.strerror}); check its permissions"
    if not head:
        return f"{path}: is empty; re-download or recreate it"
    if head in _TIFF_HEADS:
        return f"{path}: cannot be opened (truncated or damaged?); re-download or recreate it"
    if file.suffix.lower() == ".vrt":
        return f"{path}: is a VRT that cannot be opened ({told}); are its sources where it says?"
    if _cut_short(file):
        return f"{path}: is truncated, by what its header says of its size; get it anew"
    if file.suffix.lower() in _VECTOR_SUFFIXES:
        return f"{path}: holds polygons and no raster; geoseg rasterise makes a raster of them"
    if _PRODUCT.fullmatch(file.name):
        return (
            f"{path}: is the metadata of a Landsat product and no raster; make a scene of it with"
            " geoseg composite, or name the folder, for its bands as they are in their files"
        )
    if file.suffix.lower() == ".json":
        return f"{path}: is JSON and no raster; of a STAC item geoseg composite makes a scene"
    return f"{path}: is not a raster that GDAL can read; give a GeoTIFF, VRT or other raster"


def _cut_short(file: Path) -> bool:
    """Say whether a GeoPackage is shorter than the pages that its SQLite header counts."""
    try:
        with file.open("rb") as stream:
            head = stream.read(100)
        size = file.stat().st_size
    except OSError:
        return False
    # The count holds where it is of the same change as the header (SQLite's file format, 1.3.7).
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0") or head[24:28] != head[92:96]:
        return False
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    return size < page * int.from_bytes(head[28:32], "big")
