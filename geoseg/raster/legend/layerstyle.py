"""Where the style of a layer goes: beside its file, or into it where a raster's style is there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

NO_DATE = "1970-01-01T00:00:00.000Z"
"""When GeoPackages say that they were written: the same run must give the same bytes."""


def is_of_raster(style: Path) -> bool:
    """Tell whether a style is there that draws a raster."""
    if not style.is_file():
        return False
    with style.open("rb") as file:
        return b"<rasterrenderer" in file.read(1 << 20)


def put_inside(geopackage: Path, styles: Mapping[str, str]) -> None:
    """Put styles, by layer, where QGIS looks for them in a GeoPackage: a table of its own making.

    Not always: some readers warn of two layers, where the other is the table of styles.

    Raises
    ------
    sqlite3.Error
        The file cannot be written.
    """
    with closing(sqlite3.connect(geopackage)) as file, file:
        file.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,"
            " f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),"
            " f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,"
            " useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),"
            " update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
        )
        file.executemany(
            "INSERT INTO layer_styles VALUES (?, '', '', ?, 'geom', 'classes', ?, '', 1, '',"
            " '', NULL, ?)",
            [
                (number, layer, style, NO_DATE)
                for number, (layer, style) in enumerate(styles.items(), start=1)
            ],
        )
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description,"
            " last_change) VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (NO_DATE,),
        )
