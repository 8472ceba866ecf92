"""Vectors that lie elsewhere lead to no file here, unless who runs geoseg says that they may."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from geoseg.errors import VectorError
from geoseg.raster.opening.trust import VARIABLE
from geoseg.raster.vector import Purpose, read_features, read_tags
from geoseg.testing.webserver import WebServer, web_server

ZONES = Purpose(name="a zone", hint="give a file")


def polygons(path: Path) -> Path:
    corners = [[[0, 0], [1, 0], [1, 1], [0, 0]]]
    one = {"type": "Polygon", "coordinates": corners}
    feature = {"type": "Feature", "properties": {"name": "mine"}, "geometry": one}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def vrt(target: str, *, relative: int = 0) -> str:
    source = f'<SrcDataSource relativeToVRT="{relative}">{target}</SrcDataSource>'
    layer = f'<OGRVRTLayer name="mine">{source}</OGRVRTLayer>'
    return f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "served").mkdir()
    with web_server(tmp_path / "served") as server:
        yield server


@pytest.mark.parametrize("name", ["a.vrt", "a.geojson", "a.gpkg"])
def test_a_vrt_of_vectors_on_a_server_is_refused(
    served: WebServer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = polygons(tmp_path / "mine.geojson")
    (served.folder / name).write_text(vrt(str(mine)))
    with pytest.raises(VectorError, match=r"may lead to files of this machine.*--trust"):
        read_features(served.url(name), purpose=ZONES)
    if not name.endswith("json"):
        with pytest.raises(VectorError, match=r"--trust"):
            read_tags(served.url(name))
    monkeypatch.setenv(VARIABLE, "1")
    assert len(read_features(served.url(name), purpose=ZONES).shapes) == 1


def test_vectors_on_a_server_that_hold_their_features_are_read(served: WebServer) -> None:
    polygons(served.folder / "a.geojson")
    found = read_features(served.url("a.geojson"), purpose=ZONES, fields=True)
    assert found.columns["name"].tolist() == ["mine"]


def test_a_vrt_of_vectors_in_an_archive_is_refused(tmp_path: Path) -> None:
    mine = polygons(tmp_path / "mine.geojson")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.vrt", vrt(str(mine)))
        archive.write(mine, "b.geojson")
    with pytest.raises(VectorError, match="--trust"):
        read_features(f"/vsizip/{tmp_path}/a.zip/a.vrt", purpose=ZONES)
    assert len(read_features(f"/vsizip/{tmp_path}/a.zip/b.geojson", purpose=ZONES).shapes) == 1


def test_a_vrt_of_vectors_here_may_lead_anywhere_here(tmp_path: Path) -> None:
    mine = polygons(tmp_path / "mine.geojson")
    (tmp_path / "a.vrt").write_text(vrt(str(mine)))
    assert len(read_features(tmp_path / "a.vrt", purpose=ZONES).shapes) == 1


def test_a_database_on_a_server_that_could_hold_tables_of_files_is_refused(
    served: WebServer,
) -> None:
    with sqlite3.connect(served.folder / "a.sqlite") as base:
        base.execute("CREATE TABLE zones (name TEXT, WKT_GEOMETRY TEXT)")
        base.execute("INSERT INTO zones VALUES ('a', 'POLYGON((0 0,1 0,1 1,0 0))')")
    base.close()
    with pytest.raises(VectorError, match=r"\(SQLite\)"):
        read_features(served.url("a.sqlite"), purpose=ZONES)
