"""From scenes of several colours to maps by the command line: cut, learned, predicted in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.cli import _run
from geoseg.models.card import read_card
from geoseg.patches.dataset import PatchDataset

PLACE = {
    "driver": "GTiff",
    "crs": "EPSG:32633",
    "transform": Affine(10, 0, 500_000, 0, -10, 5_600_000),
    "height": 96,
    "width": 96,
}
NAMES = ("red", "nir")


def write(path: Path, data: NDArray[Any], names: tuple[str, ...], nodata: float) -> Path:
    profile = PLACE | {"count": len(data), "dtype": data.dtype.name, "nodata": nodata}
    with rasterio.open(path, "w", **profile) as file:
        file.write(data)
        file.descriptions = names
    return path


def read(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(1))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made scene in three colours, `a`, `b` and `new`, and its labels; nothing else differs."""
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(2)
    labels = np.kron(rng.integers(1, 4, (12, 12)), np.ones((8, 8), int))
    means = np.array([[0, 800, 1400, 2000], [0, 2600, 1000, 1800]])[:, labels]
    data = means + rng.normal(0, 60, means.shape)
    hole = np.s_[:, 40:50, 60:64]
    for name, gain, offset in [
        ("a", (1, 1), (0, 0)),
        ("b", (1.4, 0.7), (300, -200)),
        ("new", (0.6, 1.7), (1500, 800)),
    ]:
        cast = data * np.reshape(gain, (2, 1, 1)) + np.reshape(offset, (2, 1, 1))
        pixels = cast.round().clip(1, 65535).astype(np.uint16)
        pixels[hole] = 0
        write(folder / f"{name}.tif", pixels, NAMES, 0)
    write(folder / "labels.tif", labels[None].astype(np.uint8), ("class",), 255)
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[dict[str, Any], str]:
    """Run a command; return its summary and what it noted."""
    status = _run([*map(str, words), "--json"])
    streams = capsys.readouterr()
    assert status == 0, streams.err
    return json.loads(streams.out), streams.err


def test_a_model_of_homogenised_scenes_takes_a_scene_of_any_colour(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = [work / "a.tif", work / "b.tif"]
    patches, model = tmp_path / "patches", tmp_path / "model.safetensors"
    cut = ["--labels", work / "labels.tif", "--size", 16, "--split", "1,0,0"]
    told, said = run(
        *(capsys, "tile", *scenes, *cut, "--homogenise", "moments", "-o", patches),
    )
    assert told["colour"]["seams_after"] < told["colour"]["seams_before"] / 10
    assert "bringing 2 scenes to one colour" in said
    net = ["--model", "unet-small", "--model-option", "widths=8,16", "--batch-size", 4]
    run(capsys, "train", patches, "-o", model, *net, "--epochs", 4, "--lr", 0.01, "--threads", 1)
    assert read_card(model).colour == PatchDataset.open(patches).colour

    def predicted(scene: str, *words: object) -> tuple[NDArray[np.uint8], str]:
        out = tmp_path / "map.tif"
        path = work / f"{scene}.tif"
        _, notes = run(
            *(capsys, "predict", path, "-m", model, "--tile", 48, "-o", out, "--overwrite"), *words
        )
        return read(out), notes

    first, notes = predicted("a")
    truth = read(work / "labels.tif")
    valid = first != 255
    assert (~valid).sum() == 40
    assert (first == truth)[valid].mean() > 0.9
    assert "those of the training by what was found for it then" in notes
    other, notes = predicted("new")
    assert "colours of new are brought to those of the training by mean and deviation" in notes
    assert (other != first).mean() < 0.002
    bare, notes = predicted("new", "--homogenise", "none")
    assert "taken as it is" in notes
    assert (bare != first).mean() > 0.3
    # Weights of a model do not bring its colour along: that is of the data.
    bare_set, started = tmp_path / "bare", tmp_path / "started.safetensors"
    run(capsys, "tile", work / "a.tif", *cut, "-o", bare_set)
    more = ["--weights", model, "--epochs", 1, "--threads", 1]
    run(capsys, "train", bare_set, "-o", started, *net, *more)
    assert read_card(started).colour is None
    # What geoseg info shows of both.
    assert _run(["info", str(model), str(patches)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "homogenised to" in line]
    assert [line.split(None, 1)[0] for line in lines] == ["colour", "colour"]


def test_on_the_fly_gives_what_files_give(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes, even = [work / "a.tif", work / "b.tif"], tmp_path / "even"
    for method in ("moments", "histogram", "overlap"):
        run(capsys, "homogenise", *scenes, "--method", method, "-o", even, "--overwrite")
        cut = ["--labels", work / "labels.tif", "--size", 16, "--overwrite", "-o"]
        fly, saved, files = (tmp_path / name for name in ("fly", "saved", "files"))
        colour = even / "colour.json"
        run(capsys, "tile", *scenes, "--homogenise", method, *cut, fly)
        run(capsys, "tile", *scenes, "--homogenise", colour, *cut, saved)
        _, said = run(
            capsys, "tile", even / "a.tif", even / "b.tif", "--homogenise", colour, *cut, files
        )
        assert "of the colour of colour.json already, and not changed: a and 1 more" in said
        sets = [PatchDataset.open(folder) for folder in (fly, saved, files)]
        assert sets[0].colour == sets[1].colour == sets[2].colour
        assert sets[0].statistics == sets[1].statistics == sets[2].statistics
        for split in sets[0].splits:
            for name in ("images.npy", "labels.npy", "class_pixels.npy"):
                parts = [(folder / split / name).read_bytes() for folder in (fly, saved, files)]
                assert parts[0] == parts[1] == parts[2], (method, split, name)
    model, maps = tmp_path / "m.safetensors", []
    run(capsys, "train", fly, "-o", model, "--model", "pointwise", "--epochs", 1, "--threads", 1)
    for number, scene in enumerate((work / "b.tif", even / "b.tif")):
        out = tmp_path / f"{number}.tif"
        _, said = run(capsys, "predict", scene, "-m", model, "-o", out)
        maps.append(read(out))
    assert "b has the colours of the training already" in said
    np.testing.assert_array_equal(*maps)
