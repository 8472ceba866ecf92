"""``geoseg coverage`` of photographs: a table, points, previews."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from PIL import Image

from geoseg.assessment.coverage import photographs
from geoseg.cli import main
from geoseg.errors import OutputError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# -- coverage -------------------------------------------------------------------------------------


def put_map(folder: Path, name: str, values: list[list[int]]) -> None:
    rows = np.array(values, np.uint8)
    grid = Grid(crs=None, transform=Affine.identity(), height=rows.shape[0], width=rows.shape[1])
    legend = parse_legend("0=grass,1=plant:#cc0000,2=sky")
    with RasterWriter(
        folder / f"{name}.tif",
        grid,
        band_names=["class"],
        dtype="uint8",
        nodata=255,
        legend=legend,
        overwrite=True,
    ) as writer:
        writer.write_rows(0, rows)


@pytest.fixture
def mapped(tmp_path: Path) -> tuple[Path, Path]:
    """Maps by hand, and the photographs that they are of, two of them with a place."""
    maps, images = tmp_path / "maps", tmp_path / "images"
    maps.mkdir()
    images.mkdir()
    put_map(maps, "half", [[2, 2, 2, 2], [1, 1, 0, 0]])
    put_map(maps, "low", [[0] * 100 + [255] * 100, [1] * 39 + [0] * 161])
    put_map(maps, "none", [[2, 2], [255, 255]])
    places = {
        "half": ((48, 51, 30), "N", (2, 21, 0), "W"),
        "low": ((33.5, 0, 0), "S", (18, 0, 0), "E"),
    }
    for name, (height, width) in {"half": (2, 4), "low": (2, 200), "none": (2, 2)}.items():
        exif = Image.Exif()
        if name in places:
            lat, north, lon, east = places[name]
            exif[0x8825] = {1: north, 2: lat, 3: east, 4: lon}
        shot = Image.fromarray(np.full((height, width, 3), 120, np.uint8))
        shot.save(images / f"{name}.jpg", exif=exif.tobytes())
    return maps, images


def test_each_photograph_has_a_line_with_its_coverage_and_stage(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.csv"
    words = ["--target", "plant", "--exclude", "sky", "--stages", "agde", "-o", out]
    assert call("coverage", mapped[0], *words) == 0
    assert out.read_text().splitlines() == [
        "photograph,coverage,stage,target_px,counted_px,nodata_px,grass_px,plant_px,sky_px",
        "half.tif,50,III,2,4,0,2,2,4",
        "low.tif,13,I,39,300,100,261,39,0",
        "none.tif,,other,0,0,2,0,0,2",
    ]
    said = capsys.readouterr().out
    assert "plant among all but sky: 13.49 % of all pixels" in said
    assert "photographs by stage: I 1, II 0, III 1, IV 0, V 0, other 1" in said
    files = sorted(p.name for p in tmp_path.iterdir() if p.is_file())
    assert files == ["c.csv", "c.csv-metadata.json"]


def test_photographs_that_know_their_place_become_points(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, images = mapped
    out = tmp_path / "c.csv"
    words = ["--target", "plant", "--exclude", "sky", "--stages", "agde", "--images", images]
    assert call("coverage", maps, *words, "-o", out, "--json") == 0
    found = told(capsys)
    assert found["outputs"] == [str(out), str(tmp_path / "c.gpkg")]
    points = geopandas.read_file(tmp_path / "c.gpkg")
    assert points.crs.to_epsg() == 4326
    assert points["photograph"].tolist() == ["half.jpg", "low.jpg"]
    assert points["stage"].tolist() == ["III", "I"]
    assert points["coverage"].tolist() == [50, 13]
    assert points.geometry.x.tolist() == pytest.approx([-2.35, 18])
    assert points.geometry.y.tolist() == pytest.approx([48 + 51 / 60 + 30 / 3600, -33.5])
    assert "SimpleMarker" in (tmp_path / "c.qml").read_text()
    assert len(out.read_text().splitlines()) == 4


def test_previews_show_the_target_tinted_and_the_excluded_dark(
    mapped: tuple[Path, Path], tmp_path: Path
) -> None:
    maps, images = mapped
    put_map(maps, "none", [[1, 1, 1, 1] * 30] * 40 + [[0] * 120] * 40 + [[2] * 120] * 40)
    shot = Image.fromarray(np.full((120, 120, 3), 120, np.uint8))
    shot.save(images / "none.jpg")
    words = ["--target", "plant", "--exclude", "sky", "--images", images]
    out = tmp_path / "previews"
    assert call("coverage", maps, *words, "-o", tmp_path / "c.csv", "--previews", out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["half.jpg", "low.jpg", "none.jpg"]
    with Image.open(out / "none.jpg") as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    left = (pixels.shape[1] - 120) // 2
    plant, grass, sky = (pixels[row, left + 60] for row in (20, 60, 100))
    assert plant[0] > 145
    assert plant[1] < 80
    assert np.abs(grass - 120).max() < 6
    assert sky.max() < 65
    assert pixels.shape[0] > 140  # a line of text and a legend are below


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--cell", "10px"], 2, "of photographs, each measured whole"),
        (["--previews", "p"], 2, "name their folder by --images"),
        (["--target", "moss"], 1, "no class is named 'moss'"),
    ],
)
def test_wrong_usage_of_tables_is_one_line(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    words: list[str], status: int, why: str,
) -> None:  # fmt: skip
    out = tmp_path / "c.csv"
    assert call("coverage", mapped[0], "--target", "plant", *words, "-o", out) == status
    assert why in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


@pytest.mark.parametrize("more", [[], ["--previews", "p"]])
def test_a_photograph_of_another_size_than_its_map_is_refused(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    maps, images = mapped
    put_map(maps, "half", [[0, 1]])
    words = ["--target", "plant", "--images", images, *more]
    assert call("coverage", maps, *words, "-o", tmp_path / "c.csv") == 1
    assert "they do not belong together" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "maps"]


def test_photographs_are_never_replaced_by_previews(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, images = mapped
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    words = ["--target", "plant", "--images", images, "-o", tmp_path / "c.csv", "--overwrite"]
    assert call("coverage", maps, *words, "--previews", images) == 1
    assert "something else than previews" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before
    out = tmp_path / "previews"
    assert call("coverage", maps, *words, "--previews", out) == 0
    assert call("coverage", maps, *words, "--previews", out) == 0  # its own are


def test_a_file_of_somebody_else_in_the_place_of_the_points_is_not_replaced(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, images = mapped
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326)
    frame.to_file(tmp_path / "c.gpkg")
    for content in ((tmp_path / "c.gpkg").read_bytes(), b"no GeoPackage"):
        (tmp_path / "c.gpkg").write_bytes(content)
        words = ["--target", "plant", "--images", images, "-o", tmp_path / "c.csv", "--overwrite"]
        assert call("coverage", maps, *words) == 1
        assert "c.gpkg, where points of the photographs would go" in capsys.readouterr().err
        assert (tmp_path / "c.gpkg").read_bytes() == content
        assert not (tmp_path / "c.csv").exists()
    assert call("coverage", maps, "--target", "plant", "-o", tmp_path / "c.csv") == 0


@pytest.mark.parametrize("how", [KeyboardInterrupt, OutputError("full")])
def test_previews_and_table_appear_together_or_not_at_all(
    mapped: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Any
) -> None:
    maps, images = mapped
    words = ["--target", "plant", "--images", images, "-o", tmp_path / "c.csv"]
    words += ["--previews", tmp_path / "previews"]

    def files() -> dict[str, bytes]:
        found = [p for p in tmp_path.rglob("*") if p.is_file() and "maps" not in p.parts]
        return {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in found}

    def stop(*_arguments: Any) -> None:
        assert (tmp_path / "previews" / "half.jpg").is_file()
        raise how

    before = files()
    with monkeypatch.context() as patch:
        patch.setattr(photographs, "_write", stop)
        assert call("coverage", maps, *words) != 0
    assert files() == before
    assert call("coverage", maps, *words) == 0
    before = files()
    put_map(maps, "half", [[1, 1, 1, 1], [1, 1, 1, 1]])
    with monkeypatch.context() as patch:
        patch.setattr(photographs, "_write", stop)
        assert call("coverage", maps, *words, "--overwrite") != 0
    assert files() == before
    assert call("coverage", maps, *words, "--overwrite") == 0
    assert files()["previews/half.jpg"] != before["previews/half.jpg"]
    assert files()["c.csv"] != before["c.csv"]


def test_points_of_an_earlier_run_do_not_stay_beside_a_new_table(
    mapped: tuple[Path, Path], tmp_path: Path
) -> None:
    maps, images = mapped
    words = ["--target", "plant", "--images", images, "-o", tmp_path / "c.csv"]
    assert call("coverage", maps, *words) == 0
    tags = pyogrio.read_info(tmp_path / "c.gpkg")["dataset_metadata"]
    assert tags["GEOSEG_COMMAND"].startswith("geoseg coverage maps --target plant")
    assert set(json.loads(tags["GEOSEG_INPUTS"])) == {"half.tif", "low.tif", "none.tif"}
    for path in images.iterdir():
        with Image.open(path) as shot:
            pixels = shot.copy()
        pixels.info.pop("exif", None)
        pixels.save(path)
    assert call("coverage", maps, *words, "--overwrite") == 0
    assert not (tmp_path / "c.gpkg").exists()


def test_maps_that_are_not_there_are_to_blame_themselves(
    mapped: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--target", "plant", "--images", mapped[1], "-o", tmp_path / "c.csv"]
    assert call("coverage", tmp_path / "nope", *words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"Error: {tmp_path}/nope: no such file or folder; check the path"


@pytest.mark.parametrize(
    "place",
    [
        {2: (48, 51, 30), 4: (2, 21, 0)},
        {1: "N", 2: (95, 0, 0), 3: "E", 4: (2, 0, 0)},
        {1: "N", 2: (48, 51, 30)},
        {1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)},
    ],
)
def test_photographs_whose_place_cannot_be_used_are_told(
    mapped: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    place: dict[int, Any],
) -> None:
    maps, images = mapped
    exif = Image.Exif()
    exif[0x8825] = place
    shot = Image.fromarray(np.full((2, 4, 3), 120, np.uint8))
    shot.save(images / "half.jpg", exif=exif.tobytes())
    words = ["--target", "plant", "--images", images, "-o", tmp_path / "c.csv"]
    assert call("coverage", maps, *words) == 0
    said = capsys.readouterr().err
    assert "1 photograph says in its EXIF a place that is none" in said
    assert "half.jpg" in said
    assert "none.jpg" not in said  # it says nothing of a place
    assert len(geopandas.read_file(tmp_path / "c.gpkg")) == 1
