"""What a raster is, said as a Cloud Optimized GeoTIFF says it, by GDAL's own driver.

Knows no pixels: `geoseg.raster.cog.pyramid` makes and places the tiles.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import RasterioError

from geoseg.errors import OutputError
from geoseg.raster.cog.tiff import BROKEN, Directory, NotWholeError, read_directories
from geoseg.raster.grid import Grid, crs_code
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.outputs.trouble import no_space
from geoseg.raster.provenance import tiff_tags
from geoseg.raster.window import Window

_HEAD_BYTES = 1 << 20
"""More than a head takes while it is made."""

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
class Layout:
    """What a raster is, and how its pixels wait on disk until it is made.

    They wait uncompressed, tile by tile, row of tiles by row of tiles; of a tile band after band,
    row by row, in the machine's byte order. Tiles at the right and at the bottom are cut short.
    """

    grid: Grid
    band_names: tuple[str, ...]
    dtype: np.dtype[Any]
    nodata: float | None
    legend: Legend | None
    tags: Mapping[str, str]
    blocksize: int
    """Rows and columns of a tile."""
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
        if self.legend is not None and (
            len(self.band_names) != 1 or self.dtype != np.uint8 or self.nodata != NODATA
        ):
            raise ValueError("a class raster is one band of uint8 with nodata 255")

    @property
    def total_bytes(self) -> int:
        """Bytes of all pixels."""
        return self.grid.height * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of all bands."""
        return self.grid.width * len(self.band_names) * self.dtype.itemsize

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Rows and columns of the raster and of its smaller copies, each half of the one before.

        The last is the first that fits into a tile, as GDAL counts.
        """
        rows, cols = self.grid.height, self.grid.width
        found, factor = [(rows, cols)], 1
        while max(rows // factor, cols // factor) > self.blocksize:
            factor *= 2
            found.append((-(-rows // factor), -(-cols // factor)))
        return found

    def tile(self, tile_row: int, tile_col: int) -> Window:
        """Return what a tile covers."""
        side = self.blocksize
        row, col = tile_row * side, tile_col * side
        return Window(row, col, min(side, self.grid.height - row), min(side, self.grid.width - col))

    def offset(self, tile: Window, band: int, row: int) -> int:
        """Place of a tile's part of a row of the raster; `band` counts from 0."""
        start = tile.row * self.row_bytes
        before = tile.col * tile.height * len(self.band_names)
        inside = (band * tile.height + row - tile.row) * tile.width
        return start + (before + inside) * self.dtype.itemsize

    def vrt(self, height: int, width: int) -> str:
        """GDAL's description of a raster like this one, of another size and without pixels."""
        grid = self.grid
        root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
        if grid.crs is not None:
            _text(root, "SRS", crs_definition(grid.crs))
        if grid.is_georeferenced:
            t = grid.transform
            _text(root, "GeoTransform", ", ".join(map(repr, (t.c, t.a, t.b, t.f, t.d, t.e))))
        metadata = ET.SubElement(root, "Metadata")
        for key, value in tiff_tags(self.tags).items():
            _text(metadata, "MDI", value, key=key)
        for index, name in enumerate(self.band_names):
            self._band(root, index, name)
        return ET.tostring(root, encoding="unicode")

    def _band(self, root: ET.Element, index: int, name: str) -> None:
        band = ET.SubElement(
            root,
            "VRTRasterBand",
            dataType=_GDAL_TYPES[self.dtype.name],
            band=str(index + 1),
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


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a COG says of its rasters, in the words of GDAL's own driver."""

    ghost: bytes
    """What stands before the first directory."""
    directory: Directory
    """Of the raster itself."""
    overview: Directory | None
    """Of a smaller copy; None where there is none."""
    beyond: bytes | None
    """Text of ``.aux.xml``: a coordinate system that GeoTIFF has no keys for, perhaps."""


def cog_head(layout: Layout, folder: Path, *, target: Path, resampling: str) -> Head:
    """Let GDAL's COG driver say what a raster is.

    It makes a raster of a few pixels, whose directories differ from those of the whole in sizes
    and places alone.

    Parameters
    ----------
    layout
        The raster.
    folder
        For temporary files; nothing stays in it.
    target
        The name that errors speak of.
    resampling
        Of the overviews, as GDAL calls it.

    Raises
    ------
    OutputError
        GDAL cannot make it.
    """
    vrt, made = folder / "head.vrt", folder / "head.tif"
    aux = made.with_name("head.tif.aux.xml")
    size = (1, layout.blocksize + 1) if len(layout.sizes) > 1 else (1, 1)
    vrt.write_text(layout.vrt(*size), encoding="utf-8")
    options = {
        "COMPRESS": "DEFLATE",
        "BLOCKSIZE": str(layout.blocksize),
        # Neighbouring ids are no nearer to each other than others, so their differences do not
        # compress.
        "PREDICTOR": "NO" if layout.legend is not None else "YES",
        "OVERVIEW_RESAMPLING": resampling.upper(),
        "NUM_THREADS": "1",
        "BIGTIFF": "NO",
        "SPARSE_OK": "TRUE",
    }
    tight = shutil.disk_usage(folder).free < _HEAD_BYTES
    try:
        with (
            _without_libtiff_chatter() if tight else contextlib.nullcontext(),
            rasterio.Env(GDAL_NUM_THREADS="1"),
        ):
            rasterio.shutil.copy(str(vrt), str(made), driver="COG", **options)
        with made.open("rb") as file:
            ghost, directories = read_directories(file)
        if len(directories) != min(2, len(layout.sizes)):
            raise NotWholeError("a directory is missing")
        beyond = aux.read_bytes() if aux.is_file() else None
    except (RasterioError, CPLE_BaseError, SystemError, NotWholeError, *BROKEN) as error:
        # GDAL does not hand on what the system said, so a disk that was nearly full is the cause to
        # name.
        if tight:
            raise no_space(target) from error
        raise OutputError(f"{target} cannot be written: {' '.join(str(error).split())}") from error
    finally:
        for path in (vrt, made, aux):
            path.unlink(missing_ok=True)
    return Head(
        ghost=ghost,
        directory=directories[0],
        overview=directories[1] if len(directories) > 1 else None,
        beyond=beyond,
    )


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
