"""Data sets in object storage: learned from and looked at as those here, fetched once a version."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.errors import DatasetError, OutputError
from geoseg.models.card import read_card
from geoseg.patches.addressed import bring_dataset
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.tile import tile
from geoseg.raster.far import folders
from geoseg.raster.opening import objects

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """A data set here."""
    rng = np.random.default_rng(3)
    for name, pixels in (
        ("scene.tif", rng.integers(1, 200, (2, 96, 64), dtype="uint8")),
        ("labels.tif", rng.integers(1, 3, (1, 96, 64), dtype="uint8")),
    ):
        with rasterio.open(
            tmp_path / name,
            "w",
            driver="GTiff",
            height=96,
            width=64,
            count=len(pixels),
            dtype="uint8",
            crs="EPSG:32612",
            transform=Affine(1, 0, 5e5, 0, -1, 4e6),
        ) as file:
            file.write(pixels)
    made = tmp_path / "patches"
    tile(
        [str(tmp_path / "scene.tif")],
        made,
        labels=[str(tmp_path / "labels.tif")],
        classes="1=water,2=forest",
        size=32,
        workers=1,
    )
    return made


@pytest.fixture
def far(
    storage: None,
    patches: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> str:
    """The same in object storage."""
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))
    address = f"s3://maps/{re.sub(r'[^a-z]+', '-', request.node.name)}/patches"
    for file in patches.rglob("*"):
        if file.is_file():
            objects.put(file, f"{address}/{file.relative_to(patches).as_posix()}")
    return address


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the objects that were fetched."""
    names: list[str] = []
    stream = objects.stream

    def noted(address: str, start: int, etag: str | None):  # type: ignore[no-untyped-def]
        names.append(address.rpartition("/patches/")[2])
        return stream(address, start, etag)

    monkeypatch.setattr(objects, "stream", noted)
    return names


def test_a_network_learns_the_same_from_patches_far_away(
    typed: Run, far: str, patches: Path, tmp_path: Path, streamed: list[str]
) -> None:
    how = ("--epochs", "1", "--device", "cpu", "--threads", "1")
    models = [tmp_path / where / "m.safetensors" for where in ("here", "far")]
    for source, model in zip((str(patches), far), models, strict=True):
        model.parent.mkdir()
        status, _, err = typed("train", source, "-o", str(model), *how)
        assert status == 0, err
    assert models[0].read_bytes() == models[1].read_bytes()
    assert re.search(rf"fetching \d+\.\d MB in \d+ files from {far} into {tmp_path}/cache/", err)
    count = len(streamed)
    assert count == len(set(streamed)) == sum(f.is_file() for f in patches.rglob("*"))
    status, _, err = typed("train", f"{far}/", "-o", str(models[1]), *how, "--overwrite")
    assert status == 0
    assert len(streamed) == count
    assert "fetching" not in err
    split = next(iter(PatchDataset.open(patches).splits))
    given = ("--split", split, "--device", "cpu", "--json")
    here = typed("evaluate", str(models[0]), str(patches), *given)
    assert typed("evaluate", str(models[1]), far, *given)[0] == here[0] == 0
    assert read_card(models[1]).training["data"] == read_card(models[0]).training["data"]


def test_only_what_changed_is_fetched_and_who_reads_the_old_one_keeps_it(
    far: str, patches: Path, streamed: list[str], tmp_path: Path
) -> None:
    first = bring_dataset(far)
    streamed.clear()
    text = (patches / "dataset.json").read_text()
    (tmp_path / "new.json").write_text(text + "\n")
    objects.put(tmp_path / "new.json", f"{far}/dataset.json")
    second = bring_dataset(far)
    assert streamed == ["dataset.json"]
    assert (first / "dataset.json").read_text() == text
    assert (second / "dataset.json").read_text() == text + "\n"
    assert (second.name, first.name) == ("patches", "patches")
    for file in patches.rglob("*.npy"):
        assert (second / file.relative_to(patches)).read_bytes() == file.read_bytes()


def test_a_file_that_changed_since_it_was_listed_is_told_and_not_kept(
    far: str, patches: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    array = next(patches.rglob("images*.npy"))
    name = array.relative_to(patches).as_posix()
    (tmp_path / "new.npy").write_bytes(array.read_bytes()[:-1] + b"!")  # of the same size
    sizes = objects.sizes

    def listed(folder: str) -> dict[str, dict[str, object]]:
        found = sizes(folder)
        objects.put(tmp_path / "new.npy", f"{far}/{name}")
        return found

    monkeypatch.setattr(objects, "sizes", listed)
    with pytest.raises(DatasetError, match=rf"{name} changed while it was fetched; run the"):
        bring_dataset(far)
    monkeypatch.setattr(objects, "sizes", sizes)
    assert (bring_dataset(far) / name).read_bytes() == (tmp_path / "new.npy").read_bytes()


def test_a_stopped_fetch_goes_on_with_what_it_has(
    far: str, patches: Path, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_AT_ONCE", 1)
    find = objects.found
    monkeypatch.setattr(
        objects, "found", lambda address: None if "images" in address else find(address)
    )
    with pytest.raises(DatasetError, match=r"images\.npy: there is no such object"):
        bring_dataset(far)
    monkeypatch.setattr(objects, "found", find)
    had = set(streamed)
    streamed.clear()
    made = bring_dataset(far)
    assert had == {"dataset.json", "index.gpkg", "index.qml", "test/class_pixels.npy"}
    assert not had & set(streamed)
    assert PatchDataset.open(made).hash() == PatchDataset.open(patches).hash()


def test_what_lies_there_besides_or_would_lie_elsewhere_is_left(
    far: str, tmp_path: Path, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_text("x")
    for name in ("notes.txt", ".hidden/a.npy", "maps/a/b/c.tif"):
        objects.put(tmp_path / "other", f"{far}/{name}")
    sizes = objects.sizes

    def more(folder: str) -> dict[str, dict[str, object]]:
        # Names that this library does not write, and others may.
        bad = ("../a.npy", "train/..", "/a.npy", "C:/a.npy", "a\\a.npy", "train//a.npy")
        return {**sizes(folder), **{name: {"size": 1, "etag": "x"} for name in bad}}

    monkeypatch.setattr(objects, "sizes", more)
    made = bring_dataset(far)
    assert "train/images.npy" in streamed
    assert not {"notes.txt", "maps/a/b/c.tif"} & set(streamed)
    assert not list((tmp_path / "cache").rglob("a.npy"))
    assert made.is_dir()


def test_a_data_set_far_away_is_described_without_its_pixels(
    typed: Run, far: str, patches: Path, streamed: list[str], tmp_path: Path
) -> None:
    here = json.loads(typed("info", str(patches), "--json")[1])["found"][0]
    for address in (far, f"{far}/", f"{far}/dataset.json"):
        status, out, err = typed("info", address, "--json")
        assert status == 0, err
        there = json.loads(out)["found"][0]
        assert there["name"].startswith(far)
        assert there == {**here, "name": there["name"], "written": None}
    assert not any("images" in name or "labels" in name for name in streamed)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://maps/none/patches", "is no data set of patches (it has no dataset.json)"),
        ("s3://nowhere/patches", "no such bucket"),
        ("https://127.0.0.1:9/patches", "copy the folder here, and name the copy"),
    ],
)
def test_what_is_no_data_set_there_is_one_line(
    typed: Run, storage: None, address: str, words: str, tmp_path: Path
) -> None:
    status, out, err = typed("train", address, "-o", str(tmp_path / "m.safetensors"))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err
    assert address in err


def test_a_full_disk_is_told_before_anything_comes(
    far: str, monkeypatch: pytest.MonkeyPatch, streamed: list[str]
) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    with pytest.raises(OutputError, match=r"no space left for .* are needed in .* GEOSEG_CACHE"):
        bring_dataset(far)
    assert streamed == []
