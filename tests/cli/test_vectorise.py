from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.cli import main
from geoseg.raster.legend.style import class_aux_xml
from geoseg.raster.legend.written import parse_legend


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    pixels = np.array([[1, 1, 2], [1, 3, 2], [255, 2, 2]], np.uint8)
    with rasterio.open(
        tmp_path / "map.tif",
        "w",
        driver="GTiff",
        height=3,
        width=3,
        count=1,
        dtype="uint8",
        crs="EPSG:32612",
        nodata=255,
        transform=Affine(100, 0, 300000, 0, -100, 4000000),
    ) as file:
        file.write(pixels, 1)
    return tmp_path / "map.tif"


def call(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def test_summary_goes_to_standard_output_and_notes_to_standard_error(
    raster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.gpkg"
    assert call("vectorise", raster, "-o", out, "--min-area", "2px") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith(f"{out}: 2 polygons in ")
    assert lines[1].split() == ["class", "1", "1", "3.0", "ha"]
    assert lines[2].split() == ["class", "2", "1", "4.0", "ha"]
    assert lines[3] == "left out: 1 smaller than 2px, 1.0 ha"
    assert told.err.splitlines() == [
        f"{raster} names no classes: polygons are named by their values"
    ]
    assert geopandas.read_file(out)["class"].tolist() == [1, 2]


def test_json_is_one_object(
    raster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--classes", "2, 3", "--simplify", "1px", "--json", "-q"]
    assert call("vectorise", raster, "-o", tmp_path / "out.geojson", *options) == 0
    told = capsys.readouterr()
    assert told.err == ""
    found = json.loads(told.out)
    assert found["polygons"] == 2
    assert [(c["id"], c["pixels"]) for c in found["classes"]] == [(2, 4), (3, 1)]
    assert found["left_out"]["polygons"] == 0
    assert found["files"] == [str(tmp_path / "out.geojson"), str(tmp_path / "out.qml")]


@pytest.fixture
def districts(tmp_path: Path) -> Path:
    path = tmp_path / "districts.gpkg"
    halves = [shapely.box(300000, 3999700, 300150, 4000000)] * 22
    frame = geopandas.GeoDataFrame({"name": [f"d{i}" for i in range(22)]}, geometry=halves)
    frame.set_crs(32612).to_file(path)
    return path


def test_zones_are_in_the_summary_and_in_json(
    raster: Path, districts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--zones", districts, "--zone-field", "name", "--dissolve", "--overwrite"]
    assert call("vectorise", raster, "-o", tmp_path / "out.gpkg", *words) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert "zones: 22" in lines
    # Column 0 whole and column 1 by half: 1 + 1 + ½ of class 1, ½ each of classes 3 and 2.
    (line,) = [line for line in lines if line.startswith("  d0: ")]
    assert line.startswith("  d0: class 1 2.5 ha, ")
    assert {"class 2 0.5 ha", "class 3 0.5 ha"} == set(line[22:].split(", "))
    assert lines[-1] == "  … and 2 more, in the file"
    assert "polygons are cut at the borders of zones" in told.err
    assert call("vectorise", raster, "-o", tmp_path / "out.gpkg", *words, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)["zones"]
    assert len(found) == 22
    assert found[21]["name"] == "d21"
    assert found[21]["classes"]["class 1"] == pytest.approx(2.5, abs=0.02)
    assert found[21]["nodata_share"] == pytest.approx(100 / 4.5, abs=0.1)


def test_examples_of_the_help_work_as_typed(
    raster: Path, districts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    Path(f"{raster}.aux.xml").write_text(
        class_aux_xml(parse_legend("1=forest,2=water,3=hut")), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    assert call("vectorise", "--help") == 0
    text = capsys.readouterr().out
    examples = [line.strip() for line in text.splitlines() if line.startswith("    geoseg ")]
    assert len(examples) == 4
    for example in examples:
        assert call(*shlex.split(example)[1:], "--overwrite") == 0, example


def test_the_american_spelling_is_accepted(raster: Path, tmp_path: Path) -> None:
    assert call("vectorize", raster, "-o", tmp_path / "out.gpkg", "-q") == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--min-area", "much"], 2, "'much' is no area; write 100px, 0.5ha or 450m2"),
        (["--simplify", "0"], 2, "'0' is no tolerance"),
        (["--classes", "1,,2"], 2, "holds an empty name"),
        (["--classes", "ice"], 1, "no class is named 'ice'"),
        (["--zone-field", "name"], 2, "--zone-field names zones; it goes with --zones"),
        (["--zones", " "], 2, "--zones names no file of polygons"),
        (["--zones", "none.gpkg"], 1, "none.gpkg: no such file; zones are a file of polygons"),
        (["--classes", "9"], 1, "has no pixel of the classes that are wanted"),
        (["-o", "nowhere/out.gpkg"], 1, "does not exist; make it first"),
        (["-o", "out.shp"], 2, "name the output *.gpkg or *.geojson"),
    ],
)
def test_what_cannot_be_is_one_line(
    raster: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    output = [] if "-o" in options else ["-o", "out.gpkg"]
    assert call("vectorise", raster, *output, *options) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err.splitlines()[-1]
    assert "Traceback" not in told.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_raster_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("vectorise", tmp_path / "none.tif", "-o", tmp_path / "out.gpkg") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_geoparquet_needs_pyarrow_and_says_so(
    raster: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert call("vectorise", raster, "-o", tmp_path / "out.parquet") == 2
    assert "GeoParquet needs pyarrow: install it" in capsys.readouterr().err


def test_polygons_cut_at_zones_are_told_as_the_layer_has_them(
    raster: Path, districts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.gpkg"
    words = ["--zones", districts, "--zone-field", "name", "--dissolve", "-o", out]
    assert call("vectorise", raster, *words, "--json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    layer = geopandas.read_file(out, layer="out")
    assert found["features"] == len(layer)
    assert found["polygons"] == layer["polygons"].sum()
    told = {c["id"]: (c["polygons"], c["hectares"]) for c in found["classes"]}
    assert sorted(told) == sorted(set(layer["class"]))
    for one, rows in layer.groupby("class"):
        assert told[one][0] == rows["polygons"].sum()
        assert told[one][1] == pytest.approx(rows["area_ha"].sum(), abs=1e-4)
    # A pixel is a hectare.
    for c in found["classes"]:
        assert c["pixels"] == pytest.approx(c["hectares"], abs=0.6)
    assert call("vectorise", raster, *words, "--overwrite") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert f": {len(layer)} features of {found['polygons']} polygons in " in first


def test_a_stopped_run_says_what_is_kept_and_resume_goes_on(
    raster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = str(tmp_path / "out.geojson")
    with monkeypatch.context() as patch:
        for name, value in (("EVERY_SECONDS", 0.0), ("TIMES_AS_LONG", 0)):
            patch.setattr(f"geoseg.raster.outputs.unfinished.{name}", value)

        def full(*_args: object, **_more: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("geoseg.raster.polygons.files.formats._GeoJson.finish", full)
        assert call("vectorise", str(raster), "-o", out) != 0
    said = capsys.readouterr().err
    assert ".out.geojson.part keeps what is finished; --resume goes on from there" in said
    assert call("vectorise", str(raster), "-o", out) != 0
    assert "go on with --resume, or begin anew with --overwrite" in capsys.readouterr().err
    assert call("vectorise", str(raster), "--resume", "-o", out) == 0
    assert "rows were read by an earlier run" in capsys.readouterr().out
    assert call("vectorise", str(raster), "--resume", "-o", out) == 0
    assert "is there already, made of the same; nothing was done" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir() if "out" in p.name) == [
        "out.geojson",
        "out.qml",
    ]
