"""A making of polygons that was stopped goes on to the same bytes, or is refused in words."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import pytest
import rasterio
from polygonstops import HEIGHT, WAYS, WIDTH, files, make, stop

from geoseg.assessment.measure import Measure
from geoseg.errors import LabelError, OutputError
from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.raster.outputs.unfinished import LeftoverError
from geoseg.raster.polygons.files import layer


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_a_run_stopped_again_and_again_gives_the_same_bytes(
    here: Path, out: Path, tmp_path: Path, way: str, suffix: str
) -> None:
    out = out.with_suffix(f".{suffix}")
    whole = tmp_path / "whole" / out.name
    whole.parent.mkdir()
    expected = make(here, whole, way, workers=2)
    for number, notes in enumerate((1, 4, 9)):
        stop(here, out, way, notes=notes, resume=number > 0, workers=1 + number)
    made = make(here, out, way, resume=True)
    assert files(out.parent) == files(whole.parent)
    assert made.taken_over > 0
    assert (made.features, made.left_out) == (expected.features, expected.left_out)
    assert made.classes == expected.classes
    assert made.zones == expected.zones
    assert set(made.notes) == set(expected.notes)


def test_polygons_that_are_made_are_not_made_again(here: Path, out: Path) -> None:
    stop(here, out, notes=10)
    told: list[int] = []
    made = make(here, out, resume=True, progress=told.append)
    assert told[0] == made.taken_over * WIDTH
    assert 60 <= made.taken_over < HEIGHT
    assert sum(told) == HEIGHT * WIDTH


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_what_was_written_but_not_noted_is_made_again(
    here: Path, out: Path, tmp_path: Path, suffix: str
) -> None:
    out = out.with_suffix(f".{suffix}")
    whole = tmp_path / f"map.{suffix}"
    make(here, whole)
    stop(here, out, notes=6)
    kept = kept_folder_of(out)
    for path in kept.iterdir():
        if path.name in ("batches.raw", "made.geojson", "vertices.raw"):
            with path.open("ab") as file:
                file.write(b"torn" * 1000)
    assert make(here, out, resume=True).taken_over > 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_run_that_is_not_asked_to_keep_anything_leaves_nothing(here: Path, out: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer.PolygonFile, "publish", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(here, out)
    assert files(out.parent) == {}


def _interrupt(*_args: Any, **_more: Any) -> None:
    raise KeyboardInterrupt


def test_a_leftover_is_gone_on_with_or_begun_anew_but_never_by_chance(
    here: Path, out: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "map.gpkg"
    make(here, whole)
    stop(here, out)
    with pytest.raises(LeftoverError, match=r"go on with --resume, or begin anew with --overwrite"):
        make(here, out, keep=True)
    assert make(here, out, overwrite=True, keep=True).taken_over == 0
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in out.parent.iterdir()) == ["map.gpkg", "map.qml"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"simplify": Measure.length("2px")}, r"--simplify: nothing then, 2px now"),
        ({"min_area": Measure.area("2px")}, r"--min-area: nothing then, 2px now"),
        ({"classes": (1,)}, r"--classes: nothing then, 1 now"),
    ],
)
def test_other_options_are_refused_in_words(
    here: Path, out: Path, change: dict[str, Any], told: str
) -> None:
    stop(here, out)
    with pytest.raises(LeftoverError, match=told):
        make(here, out, resume=True, settings=change)
    make(here, out, resume=True)  # and what is kept is kept


def test_another_raster_or_other_zones_are_refused_in_words(
    here: Path, out: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in here.iterdir():
        (mine / path.name).write_bytes(path.read_bytes())
    stop(mine, out, "zones", notes=12)
    frame = geopandas.read_file(mine / "zones.gpkg")
    frame.iloc[:2].to_file(mine / "zones.gpkg")
    with pytest.raises(LeftoverError, match="--zones: its polygons are not the same"):
        make(mine, out, "zones", resume=True)
    (mine / "zones.gpkg").write_bytes((here / "zones.gpkg").read_bytes())
    with rasterio.open(mine / "map.tif", "r+") as file:
        pixels = file.read(1)
        pixels[0, 0] = 3 if pixels[0, 0] != 3 else 1
        file.write(pixels, 1)
    with pytest.raises(LeftoverError, match="the raster's files are not the same"):
        make(mine, out, "zones", resume=True)


@pytest.mark.parametrize("said", ["<NoDataValue>2</NoDataValue>", "<Scale>0.1</Scale>"])
def test_another_file_beside_the_raster_is_refused(mine: Path, out: Path, said: str) -> None:
    stop(mine, out)
    beside = mine / "map.tif.aux.xml"
    before = beside.read_text()
    beside.write_text(before.replace('<PAMRasterBand band="1">', f'<PAMRasterBand band="1">{said}'))
    assert beside.read_text() != before
    with pytest.raises(LeftoverError, match="the raster's files are not the same"):
        make(mine, out, resume=True)
    make(mine, out, overwrite=True)
    beside.write_text(before)
    with pytest.raises(OutputError, match="made of something else"):
        make(mine, out, resume=True)


@pytest.mark.parametrize("kind", ["shapefile", "folder", "archive"])
def test_zones_with_other_attributes_are_refused(mine: Path, out: Path, kind: str) -> None:
    frame = geopandas.read_file(mine / "zones.gpkg")
    folder = mine / "zones"
    archive = f"/vsizip/{mine / 'zones.zip'}/zones.shp"
    source = {"shapefile": folder / "zones.shp", "folder": folder, "archive": archive}[kind]

    def write(names: list[str]) -> None:
        folder.mkdir(exist_ok=True)
        shapes = [path.read_bytes() for path in folder.glob("*.shp")]
        frame.assign(name=names).to_file(folder / "zones.shp")
        assert shapes in ([], [(folder / "zones.shp").read_bytes()])
        with zipfile.ZipFile(mine / "zones.zip", "w") as file:
            for path in sorted(folder.iterdir()):
                file.write(path, path.name)

    chosen = {"zones": str(source), "zone_field": "name"}
    write(["a", "b", "c"])
    stop(mine, out, notes=12, settings=chosen)
    write(["a", "b", "d"])
    with pytest.raises(LeftoverError, match="--zones: its polygons are not the same"):
        make(mine, out, resume=True, settings=chosen)
    make(mine, out, overwrite=True, settings=chosen)
    assert make(mine, out, resume=True, settings=chosen).whole
    write(["a", "b", "c"])
    with pytest.raises(OutputError, match="made of something else"):
        make(mine, out, resume=True, settings=chosen)


def test_a_damaged_leftover_is_refused_in_one_line(here: Path, out: Path) -> None:
    out = out.with_suffix(".geojson")
    stop(here, out, notes=8)
    kept = kept_folder_of(out)
    state = kept / json.loads((kept / "done.json").read_text())["state"]
    content = state.read_bytes()
    state.write_bytes(content[:100])
    with pytest.raises(LeftoverError, match=r"is damaged.*--overwrite"):
        make(here, out, resume=True)
    state.write_bytes(content)
    (kept / "made.geojson").write_bytes(b"")
    with pytest.raises(LeftoverError, match=r"is damaged.*--overwrite"):
        make(here, out, resume=True)


def test_what_is_whole_is_left_alone_and_what_is_of_others_too(here: Path, out: Path) -> None:
    make(here, out)
    before = out.stat().st_mtime_ns
    found = make(here, out, resume=True)
    assert found.whole
    assert (out.stat().st_mtime_ns, found.files[0]) == (before, out)
    with pytest.raises(OutputError, match="made of something else; replace it with --overwrite"):
        make(here, out, resume=True, settings={"classes": (2,)})


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_stopped_between_the_names_of_its_files_a_run_gives_them_theirs(
    here: Path, out: Path, tmp_path: Path, suffix: str
) -> None:
    out = out.with_suffix(f".{suffix}")
    whole = tmp_path / "whole" / out.name
    whole.parent.mkdir()
    make(here, whole, "zones")
    replace = Path.replace
    for failing in (1, 2, 3):
        names = [failing]

        def counted(self: Path, target: Any, names: list[int] = names) -> Path:
            if Path(target).parent == out.parent:
                names[0] -= 1
                if names[0] == 0:
                    raise KeyboardInterrupt
            return replace(self, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", counted)
            try:
                make(here, out, "zones", keep=True, resume=True)
            except KeyboardInterrupt:
                assert not out.exists()
    make(here, out, "zones", resume=True)
    assert files(out.parent) == files(whole.parent)


def test_where_there_is_nothing_to_write_nothing_is_kept(here: Path, out: Path) -> None:
    with pytest.raises(LabelError, match="are smaller than 9000px"):
        make(here, out, keep=True, settings={"min_area": Measure.area("9000px")})
    assert files(out.parent) == {}
