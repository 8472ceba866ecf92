"""Where the style of a layer goes: beside its file, or into it where a raster's style is there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

# The same run must give the same bytes.
_NO_DATE = "1970-01-01T00:00:00.000Z"


def is_of_raster(style: Path) -> bool:
    """Tell whether a style is there that draws a raster."""
    if not style.is_file():
        return False
    with style.open("rb") as file:
        return b"<rasterrenderer" in file.read(1 << 20)


def put_inside(geopackage: Path, layer: str, style_qml: str) -> None:
    """Put a layer's style where QGIS looks for it in a GeoPackage: a table of its own making.

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
        file.execute(
            "INSERT INTO layer_styles VALUES (1, '', '', ?, 'geom', 'classes', ?, '', 1, '',"
            " '', NULL, ?)",
            (layer, style_qml, _NO_DATE),
        )
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description,"
            " last_change) VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (_NO_DATE,),
        )
