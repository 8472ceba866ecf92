"""What one file says of itself, and which files a user means. Opens files; reads no pixels."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affine import Affine

from geoseg.errors import GridError, RasterReadError
from geoseg.raster.bands import Source
from geoseg.raster.grid import Grid
from geoseg.raster.opening import objects
from geoseg.raster.opening.exif import exif_tags
from geoseg.raster.opening.handles import environment, is_local_file, open_dataset
from geoseg.raster.orientation import Orientation

RASTER_SUFFIXES = frozenset(
    {".tif", ".tiff", ".gtif", ".gtiff", ".vrt", ".jp2", ".j2k", ".img", ".jpg", ".jpeg", ".png"}
    | {".bmp", ".webp", ".bil", ".bip", ".bsq", ".asc", ".kea", ".nc", ".grd", ".dat"}
)
"""Files of a folder that are taken for rasters; a file named by itself may end as it likes."""

_COLOURS = frozenset({"red", "green", "blue"})
_DECODED_FROM_THE_TOP = frozenset({"PNG", "JPEG", "GIF", "WEBP"})
_EXIF_UNREAD = frozenset({"PNG", "WEBP"})
_PICTURES = _DECODED_FROM_THE_TOP | {"BMP", "HEIF", "AVIF", "JPEGXL"}


@dataclass(frozen=True, kw_only=True)
class FileBand:
    """One band of one file."""

    index: int
    dtype: str
    nodata: float | None
    description: str | None
    colour: str | None
    """"red", "green" or "blue" where the file says so."""
    scale: float
    offset: float


@dataclass(frozen=True, kw_only=True)
class FileHead:
    """What a file says of itself."""

    path: str
    grid: Grid
    bands: tuple[FileBand, ...]
    """Its bands, the alpha band left out."""
    alpha: int | None
    """Number of the alpha band."""
    mask: str
    """See `geoseg.raster.bands.Source`."""
    block_shape: tuple[int, int]
    in_order: bool
    """Whether the format can only be decoded from the top."""
    turned: Orientation | None
    """How its pixels are turned for people; None where they are not. `grid` is as they are seen."""
    photograph: bool
    """Whether it is a picture without a place on Earth: JPEG, PNG and the like."""
    palette: bool
    """Whether the pixels are codes into a colour table."""
    tags: dict[str, str]

    def source(self, band: FileBand) -> Source:
        """One of its bands, as something to read."""
        return Source(
            path=self.path,
            indexes=(band.index,),
            positions=(0,),
            dtype=band.dtype,
            nodata=(band.nodata,),
            alpha=self.alpha,
            mask=self.mask,
            turned=self.turned,
        )


def read_head(path: str, *, alpha_is_band: bool = False) -> FileHead:
    """Open a file and note what it is.

    An alpha band is a mask and no band, unless `alpha_is_band`, or unless it has a description:
    writers take the fourth of four bytes for alpha, though it be near infrared.

    Raises
    ------
    RasterReadError
        The file cannot be opened, or holds no band that can be used.
    GridError
        The file's place is given by points or by a camera model, not by a transform.
    """
    kept = _Kept.key(path, alpha_is_band) if _Kept.wanted else None
    head = None if kept is None else _Kept.heads.get(kept)
    if head is None:
        head = _read_head(path, alpha_is_band)
        if kept is not None:
            _Kept.add(kept, head)
    return head


class _Kept:
    """Heads that are kept: how many contexts want them, and what was read meanwhile."""

    lock = threading.Lock()
    wanted = 0
    heads: dict[tuple[str | int | bool, ...], FileHead] = {}  # noqa: RUF012 - one for the process

    @staticmethod
    def key(path: str, alpha_is_band: bool) -> tuple[str | int | bool, ...] | None:
        """Path, size and time of change; None of what is no file, of which nobody can tell."""
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return None
        return path, alpha_is_band, found.st_ino, found.st_size, found.st_mtime_ns

    @classmethod
    def add(cls, key: tuple[str | int | bool, ...], head: FileHead) -> None:
        with cls.lock:
            if cls.wanted:
                cls.heads[key] = head


@contextmanager
def heads_kept() -> Iterator[None]:
    """Open each file once for its head while the context lasts, however often that is asked for.

    Of files in the file system; one that has changed meanwhile is opened again.
    """
    with _Kept.lock:
        _Kept.wanted += 1
    try:
        yield
    finally:
        with _Kept.lock:
            _Kept.wanted -= 1
            if not _Kept.wanted:
                _Kept.heads.clear()


def _read_head(path: str, alpha_is_band: bool) -> FileHead:
    with environment(path), open_dataset(path) as dataset:
        if dataset.count == 0:
            inside = dataset.subdatasets
            what = f"holds several rasters; name one, as {inside[0]}" if inside else "has no bands"
            raise RasterReadError(f"{path}: {what}")
        _check_place(path, dataset)
        alpha = None if alpha_is_band else _alpha(dataset)
        indexes = [i for i in dataset.indexes if i != alpha]
        grid, block_shape = Grid.of(dataset), tuple(dataset.block_shapes[0])
        photograph = dataset.driver in _PICTURES and not grid.is_georeferenced
        tags = dict(dataset.tags())
        if photograph and dataset.driver in _EXIF_UNREAD:
            tags |= exif_tags(path)
        turned = _turned(tags, grid) if photograph else None
        if turned is not None:
            grid = replace(grid, height=turned.height, width=turned.width)
            # Rows of it run down or back through the file, so it is decoded whole, and kept.
            block_shape = (turned.height, turned.width)
        return FileHead(
            path=path,
            grid=grid,
            bands=tuple(_band(path, dataset, i) for i in indexes),
            alpha=alpha,
            mask=_mask(dataset, indexes),
            block_shape=block_shape,
            in_order=dataset.driver in _DECODED_FROM_THE_TOP,
            turned=turned,
            photograph=photograph,
            palette=dataset.colorinterp[0].name == "palette",
            tags=tags,
        )


def _turned(tags: Mapping[str, str], grid: Grid) -> Orientation | None:
    found = Orientation.of_tag(
        tags.get("EXIF_Orientation"), stored_height=grid.height, stored_width=grid.width
    )
    return found if found.is_turned else None


def _check_place(path: str, dataset: Any) -> None:
    if dataset.crs or dataset.transform != Affine.identity():
        return
    if dataset.gcps[0]:
        raise GridError(
            f"{path}: is placed by ground control points; bring it to a grid first (gdalwarp)"
        )
    if dataset.rpcs is not None:
        raise GridError(
            f"{path}: is placed by a camera model (RPC); bring it to a grid first (gdalwarp -rpc)"
        )


def _alpha(dataset: Any) -> int | None:
    for index, colour, description in zip(
        dataset.indexes, dataset.colorinterp, dataset.descriptions, strict=True
    ):
        unnamed = (description or "").strip().casefold() in {"", "alpha"}
        if colour.name == "alpha" and unnamed and dataset.count > 1:
            return int(index)
    return None


def _band(path: str, dataset: Any, index: int) -> FileBand:
    k = index - 1
    dtype = str(dataset.dtypes[k])
    if "complex" in dtype or "cint" in dtype.casefold():
        raise RasterReadError(
            f"{path}: band {index} holds complex numbers; give their amplitude or intensity"
        )
    colour = dataset.colorinterp[k].name
    return FileBand(
        index=index,
        dtype=dtype,
        nodata=dataset.nodatavals[k],
        description=(dataset.descriptions[k] or "").strip() or None,
        colour=colour if colour in _COLOURS else None,
        scale=float(dataset.scales[k]),
        offset=float(dataset.offsets[k]),
    )


def _mask(dataset: Any, indexes: Iterable[int]) -> str:
    flags = [{flag.name for flag in dataset.mask_flag_enums[i - 1]} for i in indexes]
    if any(not found for found in flags):
        return "band"
    if any("per_dataset" in found and "alpha" not in found for found in flags):
        return "dataset"
    return "none"


def expand(sources: Iterable[str | Path]) -> list[str]:
    """Replace folders by the rasters in them and patterns by what they match; leave the rest.

    Raises
    ------
    RasterReadError
        A folder holds no raster, or a pattern matches none.
    """
    paths: list[str] = []
    for source in sources:
        text = str(source)
        if objects.is_pattern(text):
            paths += _rasters_far(text)
        elif not is_local_file(text) or Path(text).is_file():
            paths.append(text)
        elif Path(text).is_dir():
            paths += rasters_in(Path(text))
        elif glob.has_magic(text):
            found = sorted(p for p in glob.glob(text, recursive=True) if _is_raster(Path(p)))
            if not found:
                raise RasterReadError(f"{text}: no raster matches this pattern; check it")
            paths += found
        else:
            paths.append(text)
    return list(dict.fromkeys(paths))


def _rasters_far(address: str) -> list[str]:
    """Return the rasters in a folder of object storage, or that a pattern there matches."""
    found = [p for p in objects.listed(address) if Path(p).suffix.casefold() in RASTER_SUFFIXES]
    if not found:
        raise RasterReadError(f"{address}: no raster lies there, or matches; check the address")
    return found


def refuse_missing(paths: Iterable[str]) -> None:
    """Refuse what is not there, however many others are.

    Parameters
    ----------
    paths
        As from `expand`.

    Raises
    ------
    RasterReadError
        One of them is a local file, and there is none.
    """
    for path in paths:
        if is_local_file(path) and not Path(path).exists():
            raise RasterReadError(f"{path}: no such file or folder; check the path")


def rasters_in(folder: Path) -> list[str]:
    """Return the rasters in a folder itself, but for those that a VRT beside them is made of.

    Raises
    ------
    RasterReadError
        There are none, or the folder cannot be read.
    """
    try:
        found = sorted(p for p in folder.iterdir() if _is_raster(p) and not p.name.startswith("."))
    except OSError as error:
        raise RasterReadError(f"{folder}: cannot be listed ({error.strerror})") from error
    if not found:
        raise RasterReadError(
            f"{folder}: holds no rasters (.tif, .vrt, .jp2, …); name the folder that does, or files"
        )
    inside: set[Path] = set()
    for vrt in (p for p in found if p.suffix.casefold() == ".vrt"):
        with environment(str(vrt)), open_dataset(str(vrt)) as dataset:
            inside |= {Path(file).resolve() for file in dataset.files} - {vrt.resolve()}
    return [str(p) for p in found if p.resolve() not in inside]


def _is_raster(path: Path) -> bool:
    return path.suffix.casefold() in RASTER_SUFFIXES and path.is_file()
