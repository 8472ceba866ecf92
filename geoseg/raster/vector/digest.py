"""Digests of files of polygons, for knowing whether one changed: of all files that make one up."""

from __future__ import annotations

import hashlib
from pathlib import Path

import shapely

from geoseg.errors import VectorError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.vector.reading import Purpose, read_features

_BESIDE = {
    ".shp": (".dbf", ".prj", ".cpg"),
    ".tab": (".dat", ".map", ".id"),
    ".mif": (".mid",),
    ".gml": (".xsd", ".gfs"),
}
"""Files of the same name that hold the rest: attributes, or where polygons lie."""


def fingerprint_polygons(source: str, *, purpose: Purpose) -> str:
    """Return blake2b (16 bytes, hexadecimal) over a file of polygons and what belongs to it.

    Parameters
    ----------
    source
        ``FILE`` or ``FILE|layername=NAME``. Of a shapefile its attributes, coordinate system and
        encoding enter, of a folder all that is in it, and of what is not in the file system the
        polygons and attributes that are read.
    purpose
        For the words of errors.

    Raises
    ------
    RasterReadError
        A file cannot be read.
    VectorError
        There is nothing, or what is not in the file system cannot be read.
    """
    path = source.partition("|layername=")[0]
    if not is_local_file(path):
        return _of_features(source, purpose)
    file = Path(path)
    if file.is_dir():
        return _of_folder(file)
    if not file.exists():
        raise VectorError(f"{path}: no such file; {purpose.hint}")
    wanted = [f"{file.stem}{suffix}".casefold() for suffix in _BESIDE.get(file.suffix.lower(), ())]
    if not wanted:
        return fingerprint_files([path])
    there = {one.name.casefold(): one for one in file.parent.iterdir() if one.is_file()}
    beside = [there[name] for name in wanted if name in there]
    return fingerprint_files([path, *map(str, beside)])


def _of_folder(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() != ".lock":  # of who has it open
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\n{fingerprint_files([str(path)])}\n".encode())
    return digest.hexdigest()


def _of_features(source: str, purpose: Purpose) -> str:
    features = read_features(source, purpose=purpose, fields=True)
    digest = hashlib.blake2b(digest_size=16)
    for wkb in shapely.to_wkb(features.shapes):
        digest.update(len(wkb).to_bytes(8, "little") + wkb)
    columns = {name: values.tolist() for name, values in features.columns.items()}
    digest.update(repr((features.crs, columns)).encode())
    return digest.hexdigest()
