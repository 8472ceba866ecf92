"""Folders of patches, and what unfinished runs leave: damaged, or made elsewhere."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.assessment.describe import describe_dataset
from geoseg.errors import DatasetError, OutputError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.tile import tile
from geoseg.raster.outputs import unfinished
from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.raster.patchindex import described_grid, read_columns
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.window import Window
from geoseg.testing.damage import ODD_TEXTS, damaged_bytes, damaged_json

SIDE = 64


def raster(path: Path, bands: tuple[str, ...], seed: int = 0) -> Path:
    """A raster of readings from 1 to 4."""
    grid = plain_grid(SIDE, SIDE)
    pixels = np.random.default_rng(seed).integers(1, 5, (len(bands), SIDE, SIDE), dtype=np.uint8)
    with PlainWriter(
        path, grid, band_names=bands, dtype="uint8", nodata=255, block=(16, 16)
    ) as file:
        file.write(Window(0, 0, SIDE, SIDE), pixels)
    return path


@pytest.fixture(scope="module", params=["npy", "geotiff"])
def good(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    scene = raster(folder / "scene.tif", ("red", "nir"))
    labels = raster(folder / "labels.tif", ("class",), 1)
    tile(scene, folder / "set", labels=labels, size=16, storage=request.param, split="0.5,0.3,0.2")
    return folder / "set"


def use(folder: Path) -> None:
    """Read all that a data set holds."""
    dataset = PatchDataset.open(folder)
    describe_dataset(folder)
    for name in dataset.splits:
        arrays = dataset.split(name)
        for number in range(min(len(arrays), 2)):
            _ = arrays[number]
    dataset.hash()


def test_damaged_descriptions_are_refused_in_one_line_or_read(fuzz: Any, good: Path) -> None:
    place = fuzz.folder / "set"
    shutil.copytree(good, place)
    path = place / "dataset.json"
    content = json.loads(path.read_text())
    for rng in fuzz.cases(150):
        path.write_bytes(damaged_json(content, rng))
        fuzz.read(lambda: use(place), "set")


# What GDAL says of a damaged file may be no text: rasterio's log trips over it, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_arrays_are_refused_in_one_line_or_read(fuzz: Any, good: Path) -> None:
    place = fuzz.folder / "set"
    shutil.copytree(good, place)
    kept = {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "dataset.json"}
    first = sorted(p for p in kept if p.suffix in (".npy", ".txt", ".tif"))
    for rng in fuzz.cases(150):
        path = rng.choice(first[:12])
        data = kept[path]
        # Arrays are damaged in their headers: what stands behind is numbers, which may be any.
        head = 128 if path.suffix == ".npy" else len(data)
        path.write_bytes(damaged_bytes(data[:head], rng) + data[head:])
        fuzz.read(lambda: use(place), "set")
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(object, (3,)), ("V16", (2**40,)), ("f8", (2**62, 2**62)), ("f8", (-1,)), ("U9", (2**40,))],
)
def test_arrays_of_objects_or_absurd_size_are_refused(
    good: Path, tmp_path: Path, dtype: Any, shape: tuple[int, ...]
) -> None:
    place = tmp_path / "set"
    shutil.copytree(good, place)
    array = next(iter(sorted(place.rglob("*.npy"))))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
         "shape": shape},
    )  # fmt: skip
    array.write_bytes(header.getvalue() + b"\x80\x04cos\nsystem\n" + b"\0" * 100)
    with pytest.raises(DatasetError, match="set"):
        use(place)


@pytest.mark.parametrize("name", ["../../train", "/etc", "..", "C:\\", "train/..", ""])
def test_splits_are_no_paths(good: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / "set"
    shutil.copytree(good, place)
    content = json.loads((place / "dataset.json").read_text())
    content["splits"] = {name: 1}
    (place / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"dataset\.json is damaged"):
        PatchDataset.open(place)


def test_lists_of_patches_name_no_files_elsewhere(good: Path, tmp_path: Path) -> None:
    place = tmp_path / "set"
    shutil.copytree(good, place)
    listed = place / "train" / "files.txt"
    if not listed.exists():
        pytest.skip("of files alone")
    names = listed.read_text().split("\n")
    for odd in ("../../elsewhere.tif", "/etc/hostname", "..", "a\\b.tif", "C:x.tif"):
        listed.write_text("\n".join([odd, *names[1:]]))
        with pytest.raises(DatasetError, match="names files elsewhere"):
            PatchDataset.open(place).split("train")


def test_damaged_indexes_are_refused_in_one_line_or_read(fuzz: Any, good: Path) -> None:
    path = fuzz.folder / "index.gpkg"
    data = (good / "index.gpkg").read_bytes()
    for rng in fuzz.cases(100):
        path.write_bytes(damaged_bytes(data, rng))
        fuzz.read(lambda: read_columns(path, "patches", ("patch", "row", "split")), path.name)


def test_an_index_that_computes_for_ever_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.gpkg"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "CREATE VIEW patches AS WITH RECURSIVE n(row) AS"
            " (SELECT 1 UNION ALL SELECT row + 1 FROM n) SELECT row FROM n"
        )
    with pytest.raises(DatasetError, match="but a query"):
        read_columns(path, "patches", ("row",))


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_coordinate_systems_are_refused(text: str) -> None:
    with pytest.raises(DatasetError):
        described_grid(text, (1, 0, 0, 0, -1, 0), height=1, width=1)


# -- leftovers ------------------------------------------------------------------------------------


def _stopped(after: int) -> Callable[[Any], None]:
    left = [after]

    def progress(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    return progress


def _tile(folder: Path, **more: Any) -> Any:
    return tile(folder / "scene.tif", folder / "set", labels=folder / "labels.tif", size=16,
                workers=1, **more)  # fmt: skip


@pytest.fixture
def _noted_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)


@pytest.mark.usefixtures("_noted_often")
@pytest.mark.parametrize("name", ["plan.json", "done.json"])
def test_damaged_leftovers_are_refused_in_one_line_or_go_on(fuzz: Any, name: str) -> None:
    folder = fuzz.folder
    raster(folder / "scene.tif", ("red", "nir"))
    raster(folder / "labels.tif", ("class",), 1)
    with pytest.raises(KeyboardInterrupt):
        _tile(folder, keep=True, progress=_stopped(2))
    kept = kept_folder_of(folder / "set")
    shutil.copytree(kept, folder / "before")
    content = json.loads((kept / name).read_text())
    for rng in fuzz.cases(40):
        shutil.rmtree(kept, ignore_errors=True)
        shutil.rmtree(folder / "set", ignore_errors=True)
        shutil.copytree(folder / "before", kept)
        (kept / name).write_bytes(damaged_json(content, rng))
        fuzz.read(lambda: _tile(folder, resume=True), "set")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("whole", [True, False])
def test_leftovers_that_are_links_are_not_followed(tmp_path: Path, whole: bool) -> None:
    raster(tmp_path / "scene.tif", ("red", "nir"))
    raster(tmp_path / "labels.tif", ("class",), 1)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear all")
    kept = kept_folder_of(tmp_path / "set")
    if whole:
        kept.symlink_to(mine)
    else:
        kept.mkdir()
        (kept / "plan.json.new").symlink_to(mine / "letter.txt")
    with pytest.raises(OutputError, match="is or holds a link"):
        _tile(tmp_path, keep=True, overwrite=True)
    assert (mine / "letter.txt").read_text() == "dear all"
    assert {p.name for p in mine.iterdir()} == {"letter.txt"}
