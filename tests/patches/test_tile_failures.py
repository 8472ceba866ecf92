"""Bad inputs are named in one line and listed; nothing half-written is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from affine import Affine

from geoseg.errors import (
    BandError,
    GeosegError,
    GridError,
    InputError,
    LabelError,
    OutputError,
    RasterReadError,
    VectorError,
)
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.storage import ArrayFile
from geoseg.patches.tile import tile

WriteRaster = Callable[..., Path]
RNG = np.random.default_rng(3)


def fails(kind: type[GeosegError], folder: Path, *words: str, **options: object) -> str:
    """Run, and check the error: its kind, one line, its words, and that nothing is left."""
    scenes = options.pop("scenes")
    before = sorted(os.listdir(folder))
    with pytest.raises(kind) as caught:
        tile(scenes, folder / "set", **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert sorted(os.listdir(folder)) == before
    return message


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return RNG.integers(1, 60_000, shape).astype(dtype)


def truncated(path: Path, share: float = 0.6) -> Path:
    """Cut off the end, where the last rows are; the directory of the file is at its start."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_truncated_scene_is_one_line_and_no_folder(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = truncated(write_raster("s.tif", noise(2, 96, 64), block=16))
    fails(RasterReadError, tmp_path, "s.tif", scenes=scene, size=16)


def test_scene_damaged_in_the_middle_is_withdrawn_and_listed(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of scenes too large to be looked at beforehand: the damage is found while cutting.
    monkeypatch.setattr("geoseg.patches.look._SMALL", 0)
    good = [noise(2, 64, 64) for _ in range(2)]
    paths = [
        write_raster("a.tif", good[0], block=16),
        truncated(write_raster("b.tif", noise(2, 96, 64), block=16)),
        write_raster("c.tif", good[1], block=16),
    ]
    for storage in ("npy", "geotiff"):
        folder = tmp_path / storage
        result = tile(
            paths,
            folder,
            size=16,
            split=(1, 0, 0),
            storage=storage,  # type: ignore[arg-type]
        )
        data = result.open()
        assert data.splits["train"] == 32
        wanted = [
            s[:, r : r + 16, c : c + 16]
            for s in good
            for r, c in np.ndindex(4, 4)
            for r, c in [(16 * r, 16 * c)]
        ]
        assert np.array_equal(data.split("train").images[:], wanted)
        assert data.statistics[0].count == 2 * 64 * 64
        (problem,) = data.metadata["problems"]
        assert problem["path"] == "b.tif"
        assert [s["name"] for s in data.metadata["scenes"]] == ["a", "c"]
        index = pyogrio.read_dataframe(folder / "index.gpkg")
        withdrawn = index[index.scene == "b"]
        assert len(withdrawn) == 24
        assert (withdrawn.split == "").all()
        assert withdrawn.reason.str.contains("cannot be read").all()
        assert not list(folder.rglob("b_*.tif"))


def test_useless_scenes_are_listed_and_the_rest_goes_on(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    paths = [
        text,
        write_raster("zero.tif", np.zeros((2, 16, 16), np.uint16)),
        write_raster("empty.tif", np.full((2, 16, 16), 9, np.uint16), nodata=9),
        tmp_path / "missing.tif",
        write_raster("good.tif", noise(2, 16, 16)),
    ]
    result = tile(paths, tmp_path / "set", size=8, split=(1, 0, 0))
    assert result.open().splits["train"] == 4
    reasons = {p["path"]: p["reason"] for p in result.summary["problems"]}
    assert set(reasons) == {"text.tif", "zero.tif", "empty.tif", "missing.tif"}
    assert reasons["zero.tif"] == "all readings are 0"
    assert reasons["empty.tif"] == "all pixels are nodata"
    for name in reasons:
        assert f"left out: {name}" in result.text


@pytest.mark.parametrize(
    ("value", "nodata", "words"),
    [(0, None, "all readings are 0"), (9, 9, "all pixels are nodata")],
)
def test_one_useless_scene_is_an_error(
    write_raster: WriteRaster, tmp_path: Path, value: int, nodata: float | None, words: str
) -> None:
    scene = write_raster("s.tif", np.full((1, 16, 16), value, np.uint16), nodata=nodata)
    fails(RasterReadError, tmp_path, "s.tif", words, scenes=scene, size=8)


def test_no_raster_and_no_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no raster")
    fails(RasterReadError, tmp_path, "text.tif", scenes=tmp_path / "text.tif")
    fails(RasterReadError, tmp_path, "gone.tif", scenes=tmp_path / "gone.tif")
    fails(
        RasterReadError,
        tmp_path,
        "none of the 2 inputs",
        scenes=[tmp_path / "gone.tif", tmp_path / "text.tif"],
    )


def test_a_set_without_patches_says_why_and_what_to_do(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.ones((1, 8, 8), np.uint8)
    scene[0, 0, 0] = 0
    path = write_raster("s.tif", scene, nodata=0)
    fails(
        InputError, tmp_path, "too much nodata", "--max-nodata", scenes=path, size=8, max_nodata=0
    )
    labels = write_raster("l.tif", np.full((8, 8), 3, np.uint8))
    fails(
        InputError,
        tmp_path,
        "no label",
        "--classes",
        scenes=path,
        size=8,
        labels=labels,
        classes="1=a",
    )


def test_labels_that_do_not_overlap_are_an_error(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = write_raster("s.tif", noise(1, 8, 8))
    far = Affine(30, 0, 900_000, 0, -30, 4_000_000)
    labels = write_raster("l.tif", np.ones((8, 8), np.uint8), transform=far)
    fails(GridError, tmp_path, "l.tif", scenes=scene, labels=labels, size=8)


def test_labels_without_georeference_are_refused_unless_they_are_said_to_fit(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", noise(1, 8, 8))
    labels = write_raster("l.tif", np.ones((8, 8), np.uint8), crs=None, transform=None)
    small = write_raster("t.tif", np.ones((4, 8), np.uint8), crs=None, transform=None)
    fails(LabelError, tmp_path, "l.tif", "--assume-aligned", scenes=scene, labels=labels, size=8)
    fails(LabelError, tmp_path, "t.tif", scenes=scene, labels=small, size=8, assume_aligned=True)
    result = tile(scene, tmp_path / "set", labels=labels, size=8, assume_aligned=True)
    assert result.open().class_pixels["train"] == (64,)


def test_labels_that_are_measurements_are_refused(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", noise(1, 16, 16))
    many = write_raster("many.tif", np.arange(256, dtype=np.uint8).reshape(16, 16))
    fails(LabelError, tmp_path, "many.tif", "--classes", scenes=scene, labels=many, size=8)
    real = write_raster("real.tif", RNG.random((16, 16), np.float32))
    fails(LabelError, tmp_path, "real.tif", scenes=scene, labels=real, size=8)
    fails(LabelError, tmp_path, "real.tif", scenes=scene, labels=real, size=8, classes="0=a,1=b")
    bands = write_raster("bands.tif", np.ones((3, 16, 16), np.uint8))
    fails(LabelError, tmp_path, "3 bands", scenes=scene, labels=bands, size=8)


def test_whole_numbers_in_floating_labels_are_classes(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", noise(1, 8, 8))
    labels = np.full((8, 8), 2, np.float32)
    labels[0] = np.nan
    labels[1] = 7
    found = tile(
        scene, tmp_path / "set", labels=write_raster("l.tif", labels), size=8, split=(1, 0, 0)
    ).open()
    assert found.legend is not None
    assert found.legend.ids == (2, 7)
    assert found.class_pixels["train"] == (48, 8)


def test_scenes_that_do_not_go_together_are_refused(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    one = write_raster("a.tif", noise(2, 8, 8), names=["red", "nir"])
    other = write_raster("b.tif", noise(2, 8, 8), names=["red", "green"])
    fails(BandError, tmp_path, "a.tif", "b.tif", "--bands", scenes=[one, other], size=8)
    fails(BandError, tmp_path, "swir", scenes=one, bands=["swir"], size=8)
    nowhere = write_raster("c.tif", noise(2, 8, 8), names=["red", "nir"], crs=None, transform=None)
    fails(GridError, tmp_path, "c.tif", scenes=[one, nowhere], size=8)


def test_same_bands_in_another_order_are_brought_into_order(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    data = noise(2, 8, 8)
    one = write_raster("a.tif", data, names=["red", "nir"])
    other = write_raster("b.tif", data[::-1], names=["nir", "red"])
    images = (
        tile([one, other], tmp_path / "set", size=8, split=(1, 0, 0)).open().split("train").images
    )
    assert np.array_equal(images[0], images[1])


def test_region_off_the_scene_is_an_error(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = write_raster("s.tif", noise(1, 8, 8))
    fails(VectorError, tmp_path, scenes=scene, region="0,0,10,10", size=8)


def test_outputs_that_cannot_be_made_are_refused_before_work(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", noise(1, 8, 8))
    with pytest.raises(OutputError, match="does not exist"):
        tile(scene, tmp_path / "no" / "set", size=8)
    (tmp_path / "file").write_text("something")
    with pytest.raises(OutputError, match="no folder"):
        tile(scene, tmp_path / "file", size=8, overwrite=True)
    other = tmp_path / "photos"
    other.mkdir()
    (other / "dear.jpg").write_text("not to be lost")
    with pytest.raises(OutputError, match="--overwrite"):
        tile(scene, other, size=8)
    with pytest.raises(OutputError, match="something else"):
        tile(scene, other, size=8, overwrite=True)
    assert (other / "dear.jpg").exists()


def test_full_disk_is_said_and_leaves_nothing(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: ArrayFile, position: int, item: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayFile, "write", full)
    scene = write_raster("s.tif", noise(1, 32, 32))
    fails(OutputError, tmp_path, "no space left", scenes=scene, size=8)


def test_a_failed_replacement_leaves_the_old_set(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_raster("s.tif", noise(1, 32, 32))
    tile(scene, tmp_path / "set", size=16)

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tile(scene, tmp_path / "set", size=8, overwrite=True, progress=interrupted)
    assert PatchDataset.open(tmp_path / "set").size == 16
    assert sorted(os.listdir(tmp_path)) == ["s.tif", "set"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_interrupt_ends_with_130_and_leaves_nothing_or_what_is_told(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", noise(4, 2000, 2000), block=256)
    command = [sys.executable, "-c", "from geoseg.cli import main; main()", "tile", str(scene)]
    running = subprocess.Popen(
        [*command, "--size", "64", "--stride", "8", "-o", str(tmp_path / "set")],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".set.part/made/train")) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    # In its first second a run notes nothing that another could go on from.
    kept = [".set.part"] if "--resume goes on from there" in errors else []
    assert sorted(os.listdir(tmp_path)) == [*kept, "s.tif"]
