"""Outputs in object storage, of many scenes, of clusters, and of runs that were stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pytest
import rasterio
from affine import Affine
from distributed import LocalCluster

from geoseg.compositing import writing
from geoseg.inference import blocks, many, outputs
from geoseg.patches.assembling import Assembly
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening import objects
from geoseg.raster.outputs import unfinished
from geoseg.testing.bundles import pointwise_bundle

Run = Callable[..., tuple[int, str, str]]
BUCKET = "s3://maps"
RNG = np.random.default_rng(5)


@pytest.fixture
def run(
    storage: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: Run,
) -> Run:
    """Run commands in a folder of scenes, labels and a model; all that is finished is noted."""
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)
    monkeypatch.setattr(blocks, "TIMES_THE_EDGE", 2)
    monkeypatch.chdir(tmp_path)
    for folder in ("scenes", "labels", "here"):
        Path(folder).mkdir()
    for name in "abcd":
        write(Path("scenes", f"{name}.tif"), RNG.integers(1, 300, (2, 90, 50), "uint16"))
        write(Path("labels", f"{name}.tif"), RNG.integers(1, 3, (1, 90, 50), "uint8"))
    pointwise_bundle(
        [[1, 0], [0, 1]],
        bands=("red", "nir"),
        legend=parse_legend("1=grass,2=water"),
        path=tmp_path / "model.safetensors",
    )

    return typed


def write(path: Path, pixels: np.ndarray, **more: Any) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        nodata=0,
        crs="EPSG:32633",
        transform=Affine(10, 0, 5e5, 0, -10, 5.6e6),
        **more,
    ) as file:
        file.write(pixels)
        file.descriptions = ("red", "nir")[: len(pixels)]


def there(folder: str) -> dict[str, bytes]:
    """What lies in a folder of the storage, by name."""
    found = {}
    for address in objects.listed(f"{folder}/**"):
        scheme, bucket, key = objects._split(address)
        content = bytes(obstore.get(objects._store(scheme, bucket), key).bytes())
        found[address.removeprefix(f"{folder}/")] = content
    return found


def here(folder: Path) -> dict[str, bytes]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def stopped(patch: pytest.MonkeyPatch, owner: Any, name: str, *, after: int) -> None:
    """Have Ctrl-C pressed after some calls."""
    really, left = getattr(owner, name), [after]

    def counted(*given: Any, **named: Any) -> Any:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return really(*given, **named)

    patch.setattr(owner, name, counted)


PREDICT = ("--model", "model.safetensors", "--device", "cpu", "--tile", "8")
SCENES = ("predict", "scenes/*.tif", *PREDICT)


def test_maps_of_many_scenes_that_were_stopped_are_put_when_all_are_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*SCENES, "--output-dir", "here/maps")[0] == 0
    words = (*SCENES, "--output-dir", f"{BUCKET}/many")
    with monkeypatch.context() as patch:
        stopped(patch, outputs.Maps, "write", after=30)
        status, out, err = run(*words)
    assert (status, out) == (130, "")
    assert "has 1 of 4 maps; --resume goes on from there." in err
    assert there(f"{BUCKET}/many") == {}
    status, _, err = run(*words)
    assert (status, err.count("\n")) == (1, 1)
    assert f"{BUCKET}/many: what an earlier run made and did not put there lies in" in err
    status, out, err = run(*words, "--resume", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert [one["state"] for one in found["maps"]] == ["there", "resumed", "made", "made"]
    assert found["output_dir"] == f"{BUCKET}/many"
    assert found["maps"][0]["outputs"] == [f"{BUCKET}/many/a.tif"]
    assert there(f"{BUCKET}/many") == here(tmp_path / "here" / "maps")
    assert here(tmp_path / "made") == {}
    assert run(*words, "--resume")[0] == 1


def test_a_map_that_was_stopped_goes_on_on_this_machine(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = ("predict", "scenes/a.tif", *PREDICT, "--min-area", "3px")
    assert run(*scene, "-o", "here/map.tif", "--confidence", "here/sure.tif")[0] == 0
    far = f"{BUCKET}/one"
    words = (*scene, "-o", f"{far}/map.tif", "--confidence", f"{far}/sure.tif")
    with monkeypatch.context() as patch:
        stopped(patch, outputs.Maps, "write", after=5)
        status, _, err = run(*words)
    assert status == 130
    assert "of 90 rows; --resume goes on from there." in err
    assert there(far) == {}
    status, _, err = run(*words)
    assert status == 1
    assert "go on with --resume, or begin anew with --overwrite" in err
    status, out, err = run(*words, "--resume", "--json")
    assert status == 0, err
    assert json.loads(out)["rows_from_before"] > 0
    assert there(far) == here(tmp_path / "here")
    assert here(tmp_path / "made") == {}


def test_workers_of_our_own_make_maps_that_go_far_away(run: Run, tmp_path: Path) -> None:
    assert run(*SCENES, "--output-dir", "here")[0] == 0
    far = (*SCENES, "--cluster", "local", "--workers", "2", "--output-dir", f"{BUCKET}/own")
    status, out, err = run(*far, "--json")
    assert status == 0, err
    assert json.loads(out)["made"] == 4
    assert there(f"{BUCKET}/own") == here(tmp_path / "here")
    assert here(tmp_path / "made") == {}


def test_workers_elsewhere_are_not_given_the_places_of_outputs_that_go_far_away(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*SCENES, "--output-dir", "here")[0] == 0
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path),
    ) as machines:
        cluster = ("--cluster", machines.scheduler_address)
        # A worker that made a map would make it where nobody puts it anywhere.
        with monkeypatch.context() as patch:
            patch.delattr(many, "_by_scene")
            status, _, err = run(*SCENES, *cluster, "--output-dir", f"{BUCKET}/elsewhere")
            assert status == 0, err
            status, _, err = run(
                *("predict", "scenes/b.tif", *PREDICT, *cluster),
                *("-o", f"{BUCKET}/elsewhere-one/b.tif"),
            )
            assert status == 0, err
        assert there(f"{BUCKET}/elsewhere") == here(tmp_path / "here")
        assert there(f"{BUCKET}/elsewhere-one")["b.tif"] == Path("here/b.tif").read_bytes()
        status, _, err = run(
            *("tile", "scenes/*.tif", "--labels", "labels/*.tif", "--size", "16"),
            *(*cluster, "-o", f"{BUCKET}/elsewhere-patches"),
        )
        assert status == 0, err
        # To files, they are given whole scenes as ever.
        status, _, err = run(*SCENES, *cluster, "--output-dir", str(tmp_path / "files"))
        assert status == 0, err
    assert here(tmp_path / "files") == here(tmp_path / "here")
    tile = ("tile", "scenes/*.tif", "--labels", "labels/*.tif", "--size", "16")
    assert run(*tile, "-o", str(tmp_path / "patches"))[0] == 0
    assert arrays(there(f"{BUCKET}/elsewhere-patches")) == arrays(here(tmp_path / "patches"))


def arrays(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.endswith(".npy")}


def test_patches_that_were_stopped_and_put_in_part_go_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = ("tile", "scenes/*.tif", "--labels", "labels/*.tif", "--size", "16", "--workers", "1")
    assert run(*tile, "-o", str(tmp_path / "patches"))[0] == 0
    words, far = (*tile, "-o", f"{BUCKET}/patches"), f"{BUCKET}/patches"
    with monkeypatch.context() as patch:
        stopped(patch, Assembly, "row_finished", after=6)
        status, _, err = run(*words)
    assert status == 130
    assert "patches came to; --resume goes on from there" in err
    status, _, err = run(*words)
    assert status == 1
    assert "go on with --resume, or begin anew with --overwrite" in err
    assert there(far) == {}
    with monkeypatch.context() as patch:
        stopped(patch, objects, "put", after=2)
        status, _, err = run(*words, "--resume")
    assert status == 130
    assert "Not all was put there; nothing is lost: it is whole in" in err
    assert len(there(far)) == 2
    status, out, err = run(*words, "--resume")
    assert status == 0, err
    assert out.startswith(f"{BUCKET}/patches is there already, of the same inputs")
    assert there(far) == here(tmp_path / "patches")
    assert here(tmp_path / "made") == {}


def test_patches_that_are_there_are_said_to_be_and_no_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = ("tile", "scenes/a.tif", "--size", "16", "--workers", "1", "-o", f"{BUCKET}/whole")
    assert run(*tile)[0] == 0

    def refused(*_: object) -> None:
        raise AssertionError("nothing is to be put there")

    monkeypatch.setattr(objects, "put", refused)
    for _ in range(2):
        status, out, err = run(*tile, "--resume")
        assert status == 0, err
        assert out.startswith(f"{BUCKET}/whole is there already, of the same inputs")
    status, _, err = run(*tile, "--resume", "--stride", "9")
    assert status == 1
    assert f"{BUCKET}/whole is there already, of other inputs or settings" in err
    assert err.count("\n") == 1
    for more in ((), ("--overwrite", "--resume")):
        status, _, err = run(*tile, *more)
        assert status == 1
        assert "holds objects already; choose another name" in err
    assert here(tmp_path / "made") == {}


def test_half_a_set_is_not_taken_for_a_whole_one(run: Run) -> None:
    tile = ("tile", "scenes/a.tif", "--size", "16", "--workers", "1", "-o", f"{BUCKET}/half")
    assert run(*tile)[0] == 0
    objects.remove(f"{BUCKET}/half/dataset.json")
    status, _, err = run(*tile, "--resume")
    assert status == 1
    assert "holds objects already" in err


def test_a_composite_that_was_stopped_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("may", "june"):
        write(Path(f"{name}.tif"), RNG.integers(1, 999, (2, 1100, 520), "uint16"), tiled=True)
    words = ("composite", "may.tif", "june.tif", "--workers", "1")
    assert run(*words, "-o", "here/out.tif")[0] == 0
    far = f"{BUCKET}/composite"
    with monkeypatch.context() as patch:
        stopped(patch, writing.Writing, "_finished", after=1)
        status, _, err = run(*words, "-o", f"{far}/out.tif")
    assert status == 130, err
    assert "--resume goes on from there" in err
    assert there(far) == {}
    status, _, err = run(*words, "-o", f"{far}/out.tif", "--resume")
    assert status == 0, err
    assert there(far) == here(tmp_path / "here")
    assert here(tmp_path / "made") == {}


def test_polygons_that_were_stopped_go_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (
        ("stream._BAND_PIXELS", 400),
        ("stream._LEAST_BAND_ROWS", 8),
        ("files.layer._BATCH", 40),
        ("files.layer._POINTS", 50),
    ):
        monkeypatch.setattr(f"geoseg.raster.polygons.{name}", size)
    words = ("vectorise", "labels/a.tif", "--workers", "1")
    status, _, err = run(*words, "-o", "here/out.gpkg")
    assert status == 0, err
    far = f"{BUCKET}/polygons"
    with monkeypatch.context() as patch:
        stopped(patch, unfinished.Unfinished, "note_finished", after=4)
        status, _, err = run(*words, "-o", f"{far}/out.gpkg")
    assert status == 130, err
    assert "--resume goes on from there" in err
    assert there(far) == {}
    status, _, err = run(*words, "-o", f"{far}/out.gpkg", "--resume")
    assert status == 0, err
    assert there(far) == here(tmp_path / "here")
    assert here(tmp_path / "made") == {}
