"""From raw rows on disk to a Cloud Optimized GeoTIFF, by GDAL's own driver."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import struct
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import RasterioError

from geoseg import __version__
from geoseg.errors import OutputError
from geoseg.raster.grid import Grid, crs_code
from geoseg.raster.legend import Legend
from geoseg.raster.output import no_space

_CACHE_BYTES = 32 << 20  # more makes GDAL no faster here

_GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


@dataclass(frozen=True, kw_only=True)
class RawLayout:
    """A file of bare pixels: band after band, each row by row, in the machine's byte order."""

    grid: Grid
    band_names: tuple[str, ...]
    dtype: np.dtype[Any]
    nodata: float | None
    legend: Legend | None
    tags: Mapping[str, str]
    scales: tuple[float, ...] | None = None
    offsets: tuple[float, ...] | None = None
    units: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.dtype.name not in _GDAL_TYPES:
            raise ValueError(f"GeoTIFF has no pixels of type {self.dtype}")
        if not self.band_names:
            raise ValueError("a raster has one band or more")
        for given in (self.scales, self.offsets, self.units):
            if given is not None and len(given) != len(self.band_names):
                raise ValueError("one scale, offset and unit for each band, or none at all")

    @property
    def total_bytes(self) -> int:
        """Size of the file."""
        return self.offset(len(self.band_names), 0)

    def offset(self, band: int, row: int) -> int:
        """Place of a row's first byte; `band` counts from 0."""
        row_bytes = self.grid.width * self.dtype.itemsize
        return (band * self.grid.height + row) * row_bytes

    def vrt(self, raw_name: str) -> str:
        """GDAL's description of the file, to stand in the same folder as `raw_name`."""
        grid = self.grid
        root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
        if grid.crs is not None:
            _text(root, "SRS", crs_definition(grid.crs))
        if grid.is_georeferenced:
            t = grid.transform
            _text(root, "GeoTransform", ", ".join(map(repr, (t.c, t.a, t.b, t.f, t.d, t.e))))
        metadata = ET.SubElement(root, "Metadata")
        for key, value in {"TIFFTAG_SOFTWARE": f"geoseg {__version__}", **self.tags}.items():
            _text(metadata, "MDI", value, key=key)
        for index, name in enumerate(self.band_names):
            self._band(root, index, name, raw_name)
        return ET.tostring(root, encoding="unicode")

    def _band(self, root: ET.Element, index: int, name: str, raw_name: str) -> None:
        band = ET.SubElement(
            root,
            "VRTRasterBand",
            dataType=_GDAL_TYPES[self.dtype.name],
            band=str(index + 1),
            subClass="VRTRawRasterBand",
        )
        _text(band, "Description", name)
        if self.nodata is not None:
            _text(band, "NoDataValue", "nan" if math.isnan(self.nodata) else repr(self.nodata))
        for tag, given in (
            ("UnitType", self.units),
            ("Offset", self.offsets),
            ("Scale", self.scales),
        ):
            if given is not None:
                _text(band, tag, str(given[index]))
        if self.legend is not None:
            _text(band, "ColorInterp", "Palette")
            table = ET.SubElement(band, "ColorTable")
            colors = dict(zip(self.legend.ids, self.legend.colors, strict=True))
            for value in range(256):
                r, g, b = colors.get(value, (0, 0, 0))
                alpha = 255 if value in colors else 0
                ET.SubElement(table, "Entry", c1=str(r), c2=str(g), c3=str(b), c4=str(alpha))
        elif index == 0 or self.dtype.kind == "f":
            _text(band, "ColorInterp", "Gray" if index == 0 else "Undefined")
        _text(band, "SourceFilename", raw_name, relativeToVRT="1")
        size = self.dtype.itemsize
        _text(band, "ImageOffset", str(self.offset(index, 0)))
        _text(band, "PixelOffset", str(size))
        _text(band, "LineOffset", str(self.grid.width * size))
        _text(band, "ByteOrder", "LSB" if sys.byteorder == "little" else "MSB")


def crs_definition(crs: CRS) -> str:
    """Return a text by which GDAL makes the same CRS again: its code where that says all, else WKT.

    Written out in full, a compound system loses the codes of its parts, and with them more.
    """
    code = crs_code(crs)
    if code is not None and CRS.from_user_input(code) == crs:
        return code
    return str(crs.to_wkt(version=WktVersion.WKT2_2019))  # version 1 cannot say them all


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def write_cog(
    raw: Path,
    made: Path,
    layout: RawLayout,
    *,
    target: Path,
    resampling: str,
    blocksize: int,
    workers: int,
) -> None:
    """Make a COG of a raw file.

    Parameters
    ----------
    raw, made
        The pixels, and the file to make in the same folder. GDAL may write ``.aux.xml`` beside it,
        with a coordinate system that GeoTIFF has no keys for.
    layout
        What `raw` holds.
    target
        The name that errors speak of.
    resampling
        Of the overviews: a method of GDAL's, "mode", "average" or "nearest".
    blocksize
        Rows and columns of a tile.
    workers
        Threads that compress; the bytes do not depend on it.

    Raises
    ------
    OutputError
        GDAL cannot make it, or what it made is not whole.
    """
    vrt = raw.with_suffix(".vrt")
    vrt.write_text(layout.vrt(raw.name), encoding="utf-8")
    options = {
        "COMPRESS": "DEFLATE",
        "BLOCKSIZE": str(blocksize),
        # Neighbouring ids are no nearer to each other than others, so their differences do not
        # compress.
        "PREDICTOR": "NO" if layout.legend is not None else "YES",
        "OVERVIEW_RESAMPLING": resampling.upper(),
        "NUM_THREADS": str(workers),
        "BIGTIFF": "IF_SAFER",
    }
    # Overviews are made in a file of their own, then copied: at worst twice what they and the
    # raster take.
    tight = shutil.disk_usage(raw.parent).free < 2 * layout.total_bytes + (1 << 20)
    try:
        with (
            _without_libtiff_chatter() if tight else contextlib.nullcontext(),
            rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_NUM_THREADS=str(workers)),
        ):
            rasterio.shutil.copy(str(vrt), str(made), driver="COG", **options)
        check_whole(made)
    except (RasterioError, CPLE_BaseError, SystemError, _NotWholeError) as error:
        # GDAL does not hand on what the system said, so a disk that was nearly full is the cause to
        # name.
        if tight:
            raise no_space(target) from error
        raise OutputError(f"{target} cannot be written: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def _without_libtiff_chatter() -> Iterator[None]:
    """Keep "_tiffWriteProc: No space left on device" off standard error.

    libtiff prints it from GDAL's threads past every error handler that could be set. What others
    print meanwhile is held back and follows at the end. Used only when the disk is nearly full.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error to keep clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held.read().splitlines(keepends=True):
                if not line.startswith((b"_tiff", b"TIFF")):
                    os.write(2, line)


class _NotWholeError(Exception):
    """A TIFF with parts missing."""


# Types of TIFF fields that hold places and sizes: SHORT, LONG, LONG8.
_FIELD_TYPES = {3: "H", 4: "I", 16: "Q"}
_TILE_OFFSETS, _TILE_SIZES = 324, 325


def check_whole(path: Path) -> None:
    """Check that every tile of a COG that GDAL wrote is in the file.

    On a disk that fills up GDAL can report success and leave a short file, or one with holes. Its
    COGs repeat a tile's size in the four bytes before the tile, so a glance at each is enough.

    Raises
    ------
    _NotWholeError
        Directories or tiles are missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            for offsets, sizes in _tiles(file):
                if len(offsets) != len(sizes) or not offsets:
                    raise _NotWholeError("a directory of tiles is damaged")
                for offset, count in zip(offsets, sizes, strict=True):
                    file.seek(offset - 4)
                    leader = file.read(4)
                    if count < 1 or offset + count > size or leader != struct.pack("<I", count):
                        raise _NotWholeError(f"the tile at byte {offset} is missing")
        except (struct.error, KeyError, OSError, ValueError) as error:
            raise _NotWholeError(f"a directory of tiles is damaged: {error}") from error


def _tiles(file: BinaryIO) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Offsets and sizes of the tiles of each directory of a little-endian TIFF or BigTIFF."""

    def take(layout: str, at: int) -> tuple[int, ...]:
        file.seek(at)
        return struct.unpack(layout, file.read(struct.calcsize(layout)))

    big = take("<2sH", 0)[1] == 43
    pointer, count, entry_size = ("<Q", "<Q", 20) if big else ("<I", "<H", 12)
    (directory,) = take(pointer, 8 if big else 4)
    while directory:
        (entries,) = take(count, directory)
        first = directory + struct.calcsize(count)
        found: dict[int, tuple[int, ...]] = {}
        for at in range(first, first + entries * entry_size, entry_size):
            tag, kind = take("<HH", at)
            if tag in (_TILE_OFFSETS, _TILE_SIZES):
                (number,) = take(pointer, at + 4)
                layout = f"<{number}{_FIELD_TYPES[kind]}"
                place = at + (12 if big else 8)
                if struct.calcsize(layout) > (8 if big else 4):
                    (place,) = take(pointer, place)
                found[tag] = take(layout, place)
        yield found[_TILE_OFFSETS], found[_TILE_SIZES]
        (directory,) = take(pointer, first + entries * entry_size)
