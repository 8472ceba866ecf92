"""A GeoTIFF a patch: written for interchange, read back lazily as if it were one array."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoseg.errors import DatasetError, OutputError, RasterReadError
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import environment, open_dataset
from geoseg.raster.window import Window

# TIFF tags that differ from patch to patch.
_STRIP_OFFSETS, _STRIP_BYTE_COUNTS = 273, 279
_TIE_POINT, _TRANSFORMATION = 33922, 34264
_PLACE_TAGS = frozenset((33550, _TIE_POINT, _TRANSFORMATION, 34735, 34736, 34737))
# Bytes of a value of each TIFF type.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_LONG, _DOUBLE = 4, 12


class PatchEncoder:
    """Makes the GeoTIFFs of patches of one kind: same size, bands, type and lattice of pixels.

    GDAL writes the first one, and with it everything that a GeoTIFF says; of the others only place
    and pixels differ, so these alone are made anew. That takes threads far better than GDAL's
    writer, which holds Python's lock for most of the work.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        size: int,
        dtype: np.dtype[Any],
        band_names: Sequence[str],
        nodata: float | None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the pattern.

        Parameters
        ----------
        grid
            Of the scene; says where pixels lie.
        size
            Rows and columns of a patch.
        dtype
            Of the readings.
        band_names
            A name a band.
        nodata
            Value that the files declare as nodata, or None.
        tags
            Metadata of every file.

        Raises
        ------
        OutputError
            GeoTIFF has no such type of reading.
        """
        self._grid = grid
        self._dtype = dtype.newbyteorder("<")
        self._predictor = 1
        if dtype.itemsize < 8 or dtype.kind == "f":
            self._predictor = 3 if dtype.kind == "f" else 2
        # Not the corner itself: GDAL leaves out what it takes for "no place".
        transform = grid.crop(Window(1, 1, size, size)).transform
        try:
            with MemoryFile() as memory:
                with memory.open(
                    driver="GTiff",
                    count=len(band_names),
                    height=size,
                    width=size,
                    dtype=dtype.name,
                    nodata=nodata,
                    compress="deflate",
                    predictor=self._predictor,
                    interleave="band",
                    blockysize=size,
                    ENDIANNESS="LITTLE",
                    BIGTIFF="NO",
                    crs=grid.crs,
                    transform=transform,
                ) as file:
                    file.write(np.zeros((len(band_names), size, size), dtype))
                    file.descriptions = tuple(band_names)
                    file.update_tags(**tags)
                self._tags = _read_tags(memory.getbuffer())
            if not grid.is_georeferenced:
                self._tags = {t: v for t, v in self._tags.items() if t not in _PLACE_TAGS}
        except RasterioError as error:
            raise OutputError(f"readings of type {dtype} cannot be GeoTIFFs: {error}") from error

    def encode(self, data: NDArray[Any], row: int, col: int) -> bytes:
        """Return the file of one patch.

        Parameters
        ----------
        data
            (bands, rows, cols).
        row, col
            Place of its first pixel in the scene.
        """
        strips = [_deflated(self._predicted(band)) for band in data]
        tags = dict(self._tags)
        t = self._grid.crop(Window(row, col, 1, 1)).transform
        if _TIE_POINT in tags:
            tags[_TIE_POINT] = (_DOUBLE, struct.pack("<6d", 0, 0, 0, t.c, t.f, 0))
        if _TRANSFORMATION in tags:
            matrix = (t.a, t.b, 0, t.c, t.d, t.e, 0, t.f, 0, 0, 0, 0, 0, 0, 0, 1)
            tags[_TRANSFORMATION] = (_DOUBLE, struct.pack("<16d", *matrix))
        lengths = [len(strip) for strip in strips]
        tags[_STRIP_BYTE_COUNTS] = (_LONG, struct.pack(f"<{len(lengths)}I", *lengths))
        # As long as the real ones, so that the head has its final length.
        tags[_STRIP_OFFSETS] = (_LONG, bytes(4 * len(strips)))
        start = len(_head(tags))
        offsets = np.cumsum([start, *lengths[:-1]]).tolist()
        tags[_STRIP_OFFSETS] = (_LONG, struct.pack(f"<{len(offsets)}I", *offsets))
        return b"".join([_head(tags), *strips])

    def _predicted(self, band: NDArray[Any]) -> bytes:
        """Bytes of a band as the predictor wants them: differences along rows."""
        band = np.ascontiguousarray(band, self._dtype)
        if self._predictor == 1:
            return band.tobytes()
        if self._predictor == 2:
            values = band.view(f"<u{band.itemsize}")
        else:
            # Bytes of the same weight together, the heaviest first (TIFF Technical Note 3).
            height, width = band.shape
            single = band.view(np.uint8).reshape(height, width, band.itemsize)
            values = single[..., ::-1].transpose(0, 2, 1).reshape(height, -1)
        out = values.copy()
        out[:, 1:] -= values[:, :-1]
        return out.tobytes()


def _deflated(data: bytes) -> bytes:
    """Deflate differences of readings.

    Looking for anything but runs takes most of the time and finds nothing in them: on Landsat
    scenes this is 2 to 3 times as fast as level 1 and as small.
    """
    stream = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return stream.compress(data) + stream.flush()


def _read_tags(data: memoryview) -> dict[int, tuple[int, bytes]]:
    """Tags of a little-endian classic TIFF: type and value by number."""
    (start,) = struct.unpack_from("<4xI", data)
    (count,) = struct.unpack_from("<H", data, start)
    tags = {}
    for number in range(count):
        entry = start + 2 + 12 * number
        tag, kind, length = struct.unpack_from("<HHI", data, entry)
        size = length * _TYPE_BYTES[kind]
        place = entry + 8
        if size > 4:
            (place,) = struct.unpack_from("<I", data, place)
        tags[tag] = (kind, bytes(data[place : place + size]))
    return tags


def _head(tags: Mapping[int, tuple[int, bytes]]) -> bytes:
    """Everything of a little-endian classic TIFF but the pixels, which follow."""
    start = 8
    entries = [struct.pack("<H", len(tags))]
    values: list[bytes] = []
    place = start + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field = struct.pack("<I", place)
            padded = value + bytes(len(value) % 2)  # values begin at even places
            values.append(padded)
            place += len(padded)
        entries.append(struct.pack("<HHI", tag, kind, len(value) // _TYPE_BYTES[kind]) + field)
    return b"".join([b"II*\0", struct.pack("<I", start), *entries, bytes(4), *values])


class PatchFiles:
    """The GeoTIFF patches of one split, indexed like an array of shape (N, bands, rows, cols).

    Nothing is read before it is asked for, and nothing is kept. With ``squeeze`` the band axis is
    left out, as in arrays of labels.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        patch_shape: tuple[int, int, int],
        dtype: Any,
        fill: float | None = None,
        squeeze: bool = False,
    ) -> None:
        """See the class.

        Parameters
        ----------
        paths
            A file a patch, in the order of the index.
        patch_shape
            (bands, rows, cols) of every patch.
        dtype
            Of the array returned.
        fill
            What replaces the pixels that equal their file's nodata in any band; None leaves them.
        squeeze
            Whether to leave out the axis of bands.
        """
        self._paths = list(paths)
        self._patch_shape = patch_shape
        self._fill = fill
        self._squeeze = squeeze
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, bands, rows, cols), or (N, rows, cols) with `squeeze`."""
        return (len(self._paths), *self._patch_shape[1 if self._squeeze else 0 :])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read one patch (an integer) or several (a slice, or an array of integers)."""
        if isinstance(index, int | np.integer):
            return self._read(self._paths[int(index)])
        chosen = np.arange(len(self))[index]
        out = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for i, k in enumerate(chosen):
            out[i] = self._read(self._paths[int(k)])
        return out

    def _read(self, path: Path) -> NDArray[Any]:
        try:
            with environment(str(path)), open_dataset(str(path)) as file:
                data: NDArray[Any] = file.read()
                nodata = file.nodata
        except (RasterioError, RasterReadError) as error:
            raise DatasetError(f"cannot read the patch {path}: {error}") from error
        if data.shape != self._patch_shape:
            raise DatasetError(
                f"the patch {path} has the shape {data.shape} and not {self._patch_shape}: "
                "tile the scenes again"
            )
        if self._fill is not None and nodata is not None:
            invalid = np.isnan(data) if math.isnan(nodata) else data == nodata
            try:
                data[:, invalid.any(axis=0)] = self._fill
            except (OverflowError, TypeError, ValueError) as error:
                raise DatasetError(
                    f"the patch {path} cannot be filled ({error}): tile the scenes again"
                ) from error
        data = data.astype(self.dtype, copy=False)
        return data[0] if self._squeeze else data
