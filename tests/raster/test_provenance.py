"""Outputs say what made them, and nothing they should keep to themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg import __version__
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.provenance import provenance, versions


def command_of(*words: str) -> str:
    return provenance(words, {})["GEOSEG_COMMAND"]


def test_tags_are_text_and_json() -> None:
    tags = provenance(
        ["geoseg", "predict", "scene.tif", "--blend", "hann"],
        {"scene.tif": "abc"},
        {"name": "m", "hash": "123"},
        {"tile": 288, "weights": np.array([1.5, 2]), "out": PurePosixPath("/home/me/out.tif")},
    )
    assert tags["GEOSEG_COMMAND"] == "geoseg predict scene.tif --blend hann"
    assert tags["GEOSEG_VERSION"] == __version__
    assert json.loads(tags["GEOSEG_INPUTS"]) == {"scene.tif": "abc"}
    assert json.loads(tags["GEOSEG_MODEL"]) == {"name": "m", "hash": "123"}
    assert json.loads(tags["GEOSEG_OPTIONS"]) == {
        "tile": 288,
        "weights": [1.5, 2],
        "out": "out.tif",
    }
    versions = json.loads(tags["GEOSEG_VERSIONS"])
    assert versions["numpy"] == np.__version__
    assert versions["gdal"] == rasterio.__gdal_version__
    assert "GEOSEG_MODEL" not in provenance(["geoseg"], {})


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("scene.tif", "scene.tif"),
        ("/home/me/secret project/scene.tif", "scene.tif"),
        ("C:\\Users\\me\\scene.tif", "scene.tif"),
        ("../data/scene.tif", "scene.tif"),
        ("~/scene.tif", "scene.tif"),
        ("~", "'~'"),
        ("/", "/"),
        ("--like=/data/a/b.tif", "--like=b.tif"),
        ("https://me:word@h.org:8080/a/b.tif?X-Signature=abc#x", "https://h.org:8080/a/b.tif"),
        ("s3://bucket/key.tif", "s3://bucket/key.tif"),
        ("file:///home/me/x.tif", "x.tif"),
        ("/vsicurl/https://me:word@h.org/b.tif?sig=abc", "/vsicurl/https://h.org/b.tif"),
        ("/vsizip//home/me/a.zip/b.tif", "/vsizip/b.tif"),
        ('NETCDF:"/home/me/a.nc":band', "'NETCDF:\"a.nc\":band'"),
        ("PG:host=h user=me password=word", "'PG:host=h user=me password=(hidden)'"),
        ("/vsicurl?url=https%3A//h/x%3Fsig%3Dabc", "'/vsicurl?(address)'"),
        ("1=water,2=grass/pasture:#00ff00", "'1=water,2=grass/pasture:#00ff00'"),
        ("ce + 0.5*lovasz-hinge", "'ce + 0.5*lovasz-hinge'"),
        ("300000,4199400,300090,4200000", "300000,4199400,300090,4200000"),
        ("1:2", "1:2"),
        ("nir,red", "nir,red"),
        ("https://[broken", "'(address)'"),
    ],
)
def test_paths_become_names_and_addresses_lose_their_secrets(word: str, shown: str) -> None:
    assert command_of("geoseg", word) == f"geoseg {shown}"


def test_what_follows_a_secret_option_is_hidden() -> None:
    assert command_of("geoseg", "--api-key", "abc", "x.tif") == "geoseg --api-key '(hidden)' x.tif"
    assert command_of("geoseg", "--token=abc") == "geoseg '--token=(hidden)'"


def test_inputs_of_one_name_in_two_folders_are_both_kept() -> None:
    inputs = {"/2020/scene.tif": "a", "/2021/scene.tif": "b", "s3://k@b/x.tif?s=1": "c"}
    assert json.loads(provenance([], inputs)["GEOSEG_INPUTS"]) == {
        "scene.tif": "a",
        "scene.tif (2)": "b",
        "s3://b/x.tif": "c",
    }


def test_options_of_every_kind_become_json() -> None:
    options: dict[str, Any] = {
        "set": {"b", "a"},
        "tuple": (1, None, True),
        "numpy": np.float64(0.5),
        "windows": PureWindowsPath("C:\\x\\y.tif"),
        "nested": {"path": "/a/b/c.tif", 3: [PurePosixPath("/x/y")]},
        "object": CRSLike(),
    }
    assert json.loads(provenance([], {}, options=options)["GEOSEG_OPTIONS"]) == {
        "set": ["a", "b"],
        "tuple": [1, None, True],
        "numpy": 0.5,
        "windows": "y.tif",
        "nested": {"path": "c.tif", "3": ["y"]},
        "object": "EPSG:4326",
    }


class CRSLike:
    def __str__(self) -> str:
        return "EPSG:4326"


def test_several_models_are_an_ensemble() -> None:
    tags = provenance([], {}, [{"hash": "a"}, {"hash": "b"}])
    assert json.loads(tags["GEOSEG_MODEL"]) == [{"hash": "a"}, {"hash": "b"}]


def test_tags_are_read_back_from_a_raster(tmp_path: Path) -> None:
    tags = provenance(["geoseg", "ü & <x>"], {"a.tif": "1"}, {"h": "x" * 5000}, {"a": "\t=ä"})
    grid = Grid(crs=None, transform=Affine(1, 0, 0, 0, -1, 0), height=2, width=2)
    with RasterWriter(
        tmp_path / "x.tif", grid, band_names=["a"], dtype="uint8", nodata=None, tags=tags
    ) as writer:
        writer.write_rows(0, np.ones((2, 2), np.uint8))
    with rasterio.open(tmp_path / "x.tif") as source:
        found = source.tags()
    assert {key: found[key] for key in tags} == tags


def test_torch_is_named_where_it_takes_part_and_not_where_the_process_has_it_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="9.9"))
    without = json.loads(provenance(["geoseg", "x"], {})["GEOSEG_VERSIONS"])
    assert sorted(without) == ["gdal", "numpy", "python", "rasterio"]
    with_model = provenance(["geoseg", "x"], {}, model=[{"m": "1"}])
    assert json.loads(with_model["GEOSEG_VERSIONS"])["torch"] == "9.9"
    monkeypatch.delitem(sys.modules, "torch")
    assert "torch" not in versions(("torch",))
