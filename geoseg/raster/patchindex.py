"""The index of a data set of patches, read back: where each patch lies.

A GeoPackage is a database of SQLite, so its attributes are read without GDAL's vector side, which
takes a second to import.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geoseg.errors import DatasetError
from geoseg.raster.grid import Grid


def read_columns(path: str | Path, layer: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Read attributes of a layer of a GeoPackage, in the order of its features.

    Parameters
    ----------
    path
        The GeoPackage; opened for reading alone.
    layer, columns
        What to read.

    Returns
    -------
    One tuple a feature, a value a column.

    Raises
    ------
    DatasetError
        The file is missing, is no GeoPackage, or has no such layer or column.
    """
    file = Path(path)
    if not file.is_file():
        raise DatasetError(f"{file} is missing, so nobody knows where the patches lie: tile again")
    names = ", ".join(_quoted(name) for name in columns)
    # Immutable: no journal is looked for or left beside the file.
    address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            kind = "SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE"
            if any(found != "table" for (found,) in database.execute(kind, (layer,))):
                # Whoever made the file could have it compute for ever.
                raise DatasetError(f"{file} holds no table {layer}, but a query: tile again")
            return database.execute(
                f"SELECT {names} FROM {_quoted(layer)} ORDER BY rowid"
            ).fetchall()
    except (sqlite3.Error, ValueError) as error:  # what SQLite says of damage may be no text
        raise DatasetError(f"{file} cannot be read ({error}): tile again") from error


def described_grid(crs: str | None, transform: Sequence[float], *, height: int, width: int) -> Grid:
    """Return the grid that ``dataset.json`` describes.

    Parameters
    ----------
    crs
        Code or well-known text; None without a coordinate system.
    transform
        a, b, c, d, e, f of the affine transform.
    height, width
        Rows and columns.

    Raises
    ------
    DatasetError
        There is no such coordinate system.
    """
    try:
        system = None if crs is None else CRS.from_user_input(crs)
    except (CRSError, ValueError) as error:  # a text that is no Unicode
        raise DatasetError(f"{str(crs)[:40]!r} is no coordinate system: tile again") from error
    return Grid(crs=system, transform=Affine(*transform[:6]), height=height, width=width)


def _quoted(name: str) -> str:
    # Not in double quotes: SQLite takes unknown names in those for texts.
    return f"[{name}]"
