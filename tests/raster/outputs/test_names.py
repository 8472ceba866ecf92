"""Names that files and layers can have."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest

from geoseg.errors import OutputError
from geoseg.raster.outputs.names import (
    check_geopackage_path,
    check_name,
    layer_name,
    windows_trouble,
)


@pytest.mark.parametrize("name", ["CON", "con.tif", "aux.tif", "NUL.a.b", "Com1.tif", "LPT².x"])
def test_names_of_devices_are_none_on_windows(name: str) -> None:
    assert windows_trouble(name) == "Windows keeps this name for a device, whatever it ends in"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("map.", "takes dots and spaces off"),
        ("map.tif ", "takes dots and spaces off"),
        ("a:b.tif", "allows no ':'"),
        ("a?.tif", "allows no '?'"),
        ("a\x1f.tif", "allows no '\\x1f'"),
        ('a"b.tif', "allows no '\"'"),
    ],
)
def test_what_windows_does_not_take_is_told(name: str, told: str) -> None:
    assert told in (windows_trouble(name) or "")


@pytest.mark.parametrize("name", ["map.tif", "console.tif", ".hidden", "a b.tif", "COM10", "ü.tif"])
def test_other_names_are_fine_on_windows(name: str) -> None:
    assert windows_trouble(name) is None
    assert PureWindowsPath("C:/x", name).name == name


def test_an_output_is_refused_by_the_rules_of_its_system(monkeypatch: pytest.MonkeyPatch) -> None:
    check_name(Path("aux.tif"))
    monkeypatch.setattr("sys.platform", "win32")
    check_name(Path("map.tif"))
    with pytest.raises(OutputError, match=r"aux\.tif: Windows keeps this name .*; choose another"):
        check_name(Path("aux.tif"))


def test_bytes_of_a_name_are_counted() -> None:
    check_name(Path("ü" * 117))
    with pytest.raises(OutputError, match="the name has 236 bytes and may have 234"):
        check_name(Path("ü" * 118))


@pytest.mark.parametrize("path", ["a!b/c.gpkg", "a!.gpkg", "a\nb.gpkg"])
def test_paths_that_would_be_taken_apart_are_refused(path: str) -> None:
    with pytest.raises(OutputError, match="no GeoPackage can be written to a path with"):
        check_geopackage_path(Path(path))
    check_geopackage_path(Path("a b/c#%?.gpkg"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("map.gpkg", "map"),
        ("x/[a].gpkg", "a]"),
        ("$HOME.gpkg", "HOME"),
        ("gpkg_map.gpkg", "_map"),
        ("-.gpkg", "polygons"),
        ("ü-1.gpkg", "ü-1"),
    ],
)
def test_a_layer_is_called_as_its_file(path: str, name: str) -> None:
    assert layer_name(Path(path)) == name
