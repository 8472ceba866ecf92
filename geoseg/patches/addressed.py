"""Data sets in object storage: brought here whole to be learned from, in part to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from geoseg.errors import DatasetError, GeosegError
from geoseg.raster.far.brought import address_of
from geoseg.raster.far.folders import Marks, bring_folder, fetch_file, marks_of
from geoseg.raster.opening import objects

_TELLS = "dataset.json"
_SMALL = ("class_pixels.npy", "presence.npy")
_PIXELS = ("images", "labels", "confidence")


def bring_dataset(address: str) -> Path:
    """Return the folder here of a data set at an address, as it is there now.

    Raises
    ------
    DatasetError
        There is none, it is on a server that lists no files, or a file of it cannot be had.
    OutputError
        There is no room for it.
    """
    folder, marks = _listed(address)
    if _TELLS not in marks:
        raise DatasetError(
            f"{folder} is no data set of patches (it has no {_TELLS}): make one with geoseg tile"
        )
    return bring_folder(folder, marks, error=DatasetError)


def is_dataset_address(source: str) -> bool:
    """Tell whether a data set lies at an address; asks the storage where it might."""
    address = address_of(source) if "://" in source or source.startswith("/vsi") else None
    if address is None or not objects.is_object(address):
        return False
    folder = _folder_of(address)
    if objects.is_pattern(folder) or PurePosixPath(folder).suffix:
        return False
    try:
        return objects.found(f"{folder}/{_TELLS}") is not None
    except GeosegError:
        return False  # whoever reads it as something else says why


@contextmanager
def to_look_at(address: str) -> Iterator[tuple[Path, int]]:
    """Bring what tells of a data set, without its pixels, while the context lasts.

    Yields
    ------
    The folder, and how many bytes the whole data set has.

    Raises
    ------
    DatasetError
        A file of it cannot be had.
    """
    folder, marks = _listed(address)
    with TemporaryDirectory(prefix="geoseg-") as made:
        place = Path(made) / PurePosixPath(folder).name
        for name, mark in marks.items():
            if name == _TELLS or name.rpartition("/")[2] in _SMALL:
                fetch_file(
                    f"{folder}/{name}",
                    place / name,
                    mark=mark,
                    error=DatasetError,
                    tell=lambda _: None,
                )
        yield place, sum(int(mark["size"]) for mark in marks.values())


def _listed(address: str) -> tuple[str, Marks]:
    """List the files of a data set, and no others that lie there."""
    if not objects.is_object(address):
        raise DatasetError(
            f"{address}: data sets are read from s3://, gs:// and az://; copy the folder here, and"
            " name the copy"
        )
    folder = _folder_of(address)
    found = marks_of(folder, DatasetError)
    return folder, {name: mark for name, mark in found.items() if _is_part(name)}


def _folder_of(address: str) -> str:
    return address.removesuffix(f"/{_TELLS}").rstrip("/")


def _is_part(name: str) -> bool:
    parts = name.split("/")
    if len(parts) == 1:
        return name in (_TELLS, "index.gpkg", "index.qml")
    if len(parts) == 2:
        return parts[1].endswith(".npy") or parts[1] == "files.txt"
    return len(parts) == 3 and parts[1] in _PIXELS
