"""What a stopped composite left is refused where it is of another, and is never lost."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from geoseg.compositing import composite as composite_module
from geoseg.compositing import making
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.reduce import Reduction
from geoseg.errors import OutputError
from geoseg.raster.outputs.kept import KEPT_TILES, TILE_LIST, kept_folder_of
from geoseg.raster.outputs.unfinished import LeftoverError

BOX = "600150,4960000,661000,4999000"
pytestmark = pytest.mark.usefixtures("_note_all")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_other_pixels_than_those_of_the_same_run_are_refused(
    dates, out, write, readings, make, stop, write_date
):
    paths = dates()
    stop(paths, out, after=1, region=BOX)
    before = files(out.parent)

    def refused(*words, paths=paths, region=BOX, **more):
        with pytest.raises(LeftoverError) as told:
            make(paths, out, resume=True, region=region, **more)
        for word in (*words, "--overwrite", ".out.tif.part"):
            assert word in str(told.value)
        assert "\n" not in str(told.value)
        assert files(out.parent) == before

    refused("scenes: 3 then, 2 now, without date2", paths=paths[:2])
    refused("scenes: in another order", paths=paths[::-1])
    changed = readings[1].copy()
    changed[0, 1129, 1599] += 1
    other = write_date("changed/date1.tif", changed)
    refused("the files of date1 are not the same", paths=[paths[0], other, paths[2]])
    refused("--bands: red,nir then, nir,red now", bands=("nir", "red"))
    refused("--method: median then, mean now", reduction=Reduction(method="mean"))
    refused("--dilate: 2 then, 0 now", rule=ClearRule(dilate=0))
    refused("--dtype: float32 then, int16 now", dtype="int16")
    refused("--counts: nothing then, counts.tif now", counts=True)
    refused("--region: ", " then, nothing now", region=None)
    like = write("like.tif", np.zeros((900, 900)), corner=(6e5, 5e6), pixel=45)
    refused("grid: ", " then, ", like=str(like))


def test_polygons_that_changed_under_their_name_are_refused(dates, out, tmp_path, make, stop):
    paths, zone = dates(), tmp_path / "zone.geojson"

    def drawn(east):
        ring = [[6e5, 4.97e6], [east, 4.97e6], [east, 5e6], [6e5, 5e6], [6e5, 4.97e6]]
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
        shape = {"type": "Polygon", "coordinates": [ring]}
        feature = {"type": "Feature", "properties": {}, "geometry": shape}
        zone.write_text(
            json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]})
        )

    drawn(6.4e5)
    stop(paths, out, after=0, region=str(zone))
    drawn(6.4e5 + 8)  # the same pixels' rectangle
    with pytest.raises(LeftoverError, match="polygons are not the same"):
        make(paths, out, region=str(zone), resume=True)


def test_what_metadata_say_of_the_numbers_belongs_to_the_scenes(
    dates, out, monkeypatch, make, stop
):

    paths = dates()
    stop(paths, out, after=1)
    bring = composite_module.bring_together

    def scaled(*given, **named):
        found, outside = bring(*given, **named)
        bands = tuple(replace(band, scale=2.0) for band in found[0].bands)
        return [replace(date, bands=bands) for date in found], outside

    monkeypatch.setattr(composite_module, "bring_together", scaled)
    with pytest.raises(LeftoverError, match="the scenes' metadata are not the same"):
        make(paths, out, resume=True)


@pytest.mark.parametrize("said", ["<NoDataValue>7</NoDataValue>", "<Scale>0.1</Scale>"])
def test_a_file_beside_a_scene_that_changed_is_refused(dates, out, make, stop, said):
    paths = dates()
    stop(paths, out, after=1)
    beside = Path(f"{paths[1]}.aux.xml")
    text = f'<PAMDataset><PAMRasterBand band="1">{said}</PAMRasterBand></PAMDataset>'
    beside.write_text(text)
    with pytest.raises(LeftoverError, match="the files of date1 are not the same"):
        make(paths, out, resume=True)
    beside.write_text('<PAMDataset><PAMRasterBand band="1"/></PAMDataset>')
    make(paths, out, resume=True)
    beside.write_text(text)
    with pytest.raises(OutputError, match="is there already"):
        make(paths, out, resume=True)


def test_a_library_that_takes_no_part_may_be_loaded_or_not(dates, out, make, stop, monkeypatch):
    paths = dates()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="0.1"))
    stop(paths, out, after=1)
    monkeypatch.delitem(sys.modules, "torch")
    assert make(paths, out, resume=True).taken_over > 0


def test_other_releases_are_refused(dates, out, make, stop, monkeypatch):
    paths = dates()
    stop(paths, out, after=1)
    monkeypatch.setattr("geoseg.compositing.plan.versions", lambda: {"gdal": "0.1"})
    with pytest.raises(LeftoverError, match=r"gdal: [\d.]+ then, 0\.1 now"):
        make(paths, out, resume=True)


def test_without_resume_pixels_of_a_stopped_run_are_not_lost(dates, out, make, stop):
    paths = dates()
    stop(paths, out, after=1, counts=True)
    with pytest.raises(LeftoverError, match="--resume, or begin anew with --overwrite"):
        make(paths, out, keep=True, counts=True)
    result = make(paths, out, keep=True, overwrite=True)
    assert result.taken_over == 0
    assert not kept_folder_of(out).exists()


@pytest.mark.parametrize("more", [{}, {"counts": True, "region": BOX}, {"dtype": "int16"}])
def test_a_composite_that_is_whole_is_not_made_again(dates, out, write, more, make, whole):
    paths = dates()
    first = make(paths, out, keep=True, **more)
    before = {p: p.stat().st_mtime_ns for p in out.parent.iterdir()}
    again = make(paths, out, resume=True, **more)
    assert (again.whole, again.taken_over) == (True, first.grid.window.area)
    assert again.counts.tolist() == first.counts.tolist()
    assert {p: p.stat().st_mtime_ns for p in out.parent.iterdir()} == before
    with pytest.raises(OutputError, match="is there already"):
        make(paths, out, resume=True, **more, rule=ClearRule(dilate=1))
    like = write("like.tif", np.zeros((900, 900)), corner=(6e5, 5e6), pixel=45)
    with pytest.raises(OutputError, match="is there already"):
        make(paths, out, resume=True, **more, like=str(like))
    assert {p: p.stat().st_mtime_ns for p in out.parent.iterdir()} == before


def test_a_file_that_is_not_ours_is_not_replaced(dates, out, make, stop):
    paths = dates()
    stop(paths, out, after=1)
    out.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        make(paths, out, resume=True)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("name", [KEPT_TILES, TILE_LIST])
def test_tiles_that_are_damaged_are_told(dates, out, name, make, stop):
    paths = dates()
    stop(paths, out, after=1)
    (kept_folder_of(out) / name).write_bytes(b"short")
    with pytest.raises(OutputError, match="cut short"):
        make(paths, out, resume=True)


def test_what_another_command_keeps_there_is_left_alone(dates, out, make):
    folder = kept_folder_of(out)
    folder.mkdir()
    (folder / "plan.json").write_text('{"--earth-engine": "landsat"}')
    with pytest.raises(LeftoverError, match="something else than a composite"):
        make(dates(), out, resume=True)


def test_two_runs_do_not_make_one_composite(dates, out, monkeypatch, make):
    paths = dates()

    def meanwhile(*args, **more):
        monkeypatch.undo()
        with pytest.raises(OutputError, match="another run is making it"):
            make(paths, out, keep=True, overwrite=True)
        return tiles(*args, **more)

    tiles = making.Making.tile_windows
    monkeypatch.setattr(making.Making, "tile_windows", meanwhile)
    make(paths, out, keep=True)
    assert out.exists()
