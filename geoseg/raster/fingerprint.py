"""Digests of files, for knowing whether an input changed.

Contents only: neither names, folders nor times of change enter, so that a copy has the same digest.
Of the ``.aux.xml`` beside a raster that enters which changes how it is read: its nodata value,
scale or place, and not what programs note there on looking.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geoseg.errors import InputError, RasterReadError
from geoseg.raster.far.absent import blocks_found, check_present
from geoseg.raster.far.patient import read_patiently
from geoseg.raster.far.small import read_small
from geoseg.raster.opening.foreignxml import parse_xml
from geoseg.raster.opening.handles import Handles, environment, is_local_file, open_dataset

WHOLE_BYTES = 16 << 20
"""Files up to this size are digested whole."""
CHUNKS, CHUNK_BYTES = 64, 64 << 10
"""Of larger files, this many evenly spaced chunks of this size, the first and the last included."""
_READ_BY = frozenset(
    {
        *("NoDataValue", "Scale", "Offset", "UnitType", "Description", "ColorInterp"),
        *("SRS", "GeoTransform", "GCPList"),
    }
)
"""Elements of an ``.aux.xml`` by which pixels, bands and places are read."""
_NODATA_ITEM = "NODATA_VALUES"
"""Item of its metadata that says which pixels are invalid in all bands at once."""


def fingerprint_files(paths: Sequence[str]) -> str:
    """Return blake2b (16 bytes, hexadecimal) over sizes and contents of files, VRTs' sources too.

    Masks (``.msk``) beside rasters enter, and what an ``.aux.xml`` says of how they are read.

    Files over 16 MiB enter by 64 evenly spaced chunks of 64 KiB. Files that are not in the file
    system (URLs, archives) enter by 64 evenly spaced blocks of their pixels.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        _add(digest, path, set())
    return digest.hexdigest()


def local_files(paths: Sequence[str]) -> list[str]:
    """List the files in the file system among paths, and the sources of those that are VRTs."""
    found: list[str] = []
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found and is_local_file(path) and Path(path).is_file():
            found.append(path)
            waiting += _vrt_sources(path)
    return found


def _vrt_sources(path: str) -> list[str]:
    if Path(path).suffix.lower() != ".vrt":
        return []
    with environment(path), open_dataset(path) as dataset:
        inside = [f for f in dataset.files if f != path]
    return [f for f in inside if not f.endswith((".aux.xml", ".ovr"))]


def _add(digest: hashlib.blake2b, path: str, seen: set[str]) -> None:
    if path in seen:
        return
    seen.add(path)
    if not is_local_file(path) or not Path(path).is_file():
        _add_pixels(digest, path)
        return
    file = Path(path)
    try:
        with file.open("rb") as stream:
            _add_bytes(digest, stream, file.stat().st_size)
    except OSError as error:
        raise RasterReadError(f"{path}: cannot be read ({error.strerror})") from error
    mask = Path(f"{path}.msk")
    if mask.is_file():
        _add(digest, str(mask), seen)
    for said in _said_beside(file):
        digest.update(said.encode())
    for source in _vrt_sources(path):
        _add(digest, source, seen)


def _said_beside(file: Path) -> list[str]:
    """List what the ``.aux.xml`` of a raster says of how it is read, in the order of its bands."""
    beside = Path(f"{file}.aux.xml")
    try:
        root = parse_xml(beside.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RasterReadError(f"{beside}: cannot be read ({error.strerror})") from error
    except InputError:
        return []  # neither does GDAL read it
    found = []
    for parent in (root, *root.iterfind("PAMRasterBand"), *root.iterfind("Metadata")):
        band = parent.get("band", "") if parent.tag == "PAMRasterBand" else ""
        found += [
            f"{band.zfill(6)} {_text_of(element)}"
            for element in parent
            if element.tag in _READ_BY or element.get("key") == _NODATA_ITEM
        ]
    return sorted(found)


def _text_of(element: Element) -> str:
    """Return the same for the same numbers, however they are written."""
    words = [_word(word) for part in element.itertext() for word in re.split(r"[\s,]+", part)]
    inner = [
        sorted((name, _word(text)) for name, text in one.attrib.items() if name != "le_hex_equiv")
        for one in element.iter()
    ]
    return repr((element.tag, [word for word in words if word], inner))


def _word(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return text


def _add_bytes(digest: hashlib.blake2b, stream: BinaryIO, size: int) -> None:
    digest.update(size.to_bytes(8, "little"))
    if size <= WHOLE_BYTES:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return
    for i in range(CHUNKS):
        stream.seek((size - CHUNK_BYTES) * i // (CHUNKS - 1))
        digest.update(stream.read(CHUNK_BYTES))


def _add_pixels(digest: hashlib.blake2b, path: str) -> None:
    handles = Handles()
    try:
        with handles.borrow(path) as dataset:
            _add_layout(digest, dataset)
            windows = _spread(dataset)
            dtype = np.result_type(*dataset.dtypes)
            count = dataset.count
        for window in windows:
            digest.update(_pixels(handles, path, window, (count, dtype)).tobytes())
    finally:
        handles.close()


def _add_layout(digest: hashlib.blake2b, dataset: DatasetReader) -> None:
    digest.update(repr((dataset.shape, dataset.count, dataset.dtypes, dataset.nodatavals)).encode())
    digest.update(repr(tuple(dataset.transform)[:6]).encode())
    if {*dataset.scales, *dataset.offsets} != {1.0, 0.0}:
        digest.update(repr((dataset.scales, dataset.offsets)).encode())


def _spread(dataset: DatasetReader) -> list[Window]:
    """Return blocks that are spread evenly over a raster."""
    rows, cols = dataset.block_shapes[0]
    down, across = -(-dataset.height // rows), -(-dataset.width // cols)
    count = min(CHUNKS, down * across)
    chosen = [(down * across - 1) * i // max(1, count - 1) for i in range(count)]
    return [dataset.block_window(1, *divmod(block, across)) for block in chosen]


def _pixels(
    handles: Handles, path: str, window: Window, kind: tuple[int, np.dtype[Any]]
) -> NDArray[Any]:
    """Read all bands of a window, (bands, rows, cols)."""
    count, dtype = kind
    pixels = np.empty((count, int(window.height), int(window.width)), dtype)

    def read(part: Window, bands: slice, rows: slice, cols: slice) -> None:
        indexes = list(range(1, count + 1))[bands]
        found = read_small(handles, path, indexes, part)
        if found is None:
            with handles.borrow(path) as dataset:
                with blocks_found(path):
                    found = dataset.read(indexes, window=part)
                check_present(dataset, path, indexes, part)
        pixels[bands, rows, cols] = found

    read_patiently(read, path, window, handles, bands=count)
    return pixels
