"""``geoseg recode`` and ``geoseg check``: real files in, class rasters and tables out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import geoseg
from geoseg.cli import _run
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import tiny_scene

CLASSES = "1=urban:#00ffff,2=farm:#ffff00"
COLOURS = np.array([(0, 255, 255), (255, 255, 0), (0, 0, 0)], np.uint8)


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four satellite images with masks in colours, in one folder."""
    folder = tmp_path / "train"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (7, 119, 23, 40):
        labels = rng.integers(0, 3, (4, 4)).repeat(8, 0).repeat(8, 1)
        Image.fromarray(COLOURS[labels]).save(folder / f"{name}_mask.png")
        seen = COLOURS[labels] // 2 + rng.integers(0, 60, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(seen).save(folder / f"{name}_sat.jpg")
    monkeypatch.chdir(tmp_path)
    return folder


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_masks_in_colours_and_their_images_in_one_folder_become_patches(
    train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--threshold", "128", "--codes", "#000000=nodata", "--classes", CLASSES]
    assert _run(["recode", "train/*_mask.png", *words, "-o", "masks", "--json"]) == 0
    found = told(capsys)
    assert found["rasters"] == 4
    assert [c["name"] for c in found["classes"]] == ["urban", "farm"]
    assert sum(c["pixels"] for c in found["classes"]) + found["unlabelled"] == 4 * 32 * 32
    with Scene.open("masks/7_mask.tif") as mask:
        ids = mask.read(mask.grid.window).data[0]
    with Image.open(train / "7_mask.png") as picture:
        assert ((ids == 2) == (np.asarray(picture)[..., 0] == 255)).all()

    assert _run(["check", "train/*_sat.jpg", "--labels", "masks", "--strict"]) == 0
    said = capsys.readouterr()
    assert said.out == "4 images, 4 labels: nothing wrong\n"
    assert "labels are paired by their names without _sat and _mask" in said.err

    assert _run(["tile", "train/*_sat.jpg", "--labels", "masks", "--size", "32", "-o", "set"]) == 0
    said = capsys.readouterr()
    assert "labels are paired by their names without _sat and _mask" in said.err
    dataset = geoseg.open_patches("set")
    assert sum(dataset.splits.values()) == 4
    assert [c.name for c in dataset.legend.classes] == ["urban", "farm"]


def test_recode_tells_what_it_made_and_left_out(
    train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (train / "9_mask.png").write_bytes(b"nothing")
    words = ["recode", "train/*_mask.png", "--codes", "*=nodata", "--classes", CLASSES, "-o", "m"]
    assert _run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "m, 4 rasters"
    assert lines[1].split()[0] == "urban"
    assert lines[3].strip().startswith("(no class)")
    assert lines[4].startswith("left out: train/9_mask.png: is not a raster")
    assert _run(words) == 1
    assert capsys.readouterr().err == "Error: m is there already; replace it with --overwrite\n"
    assert _run([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--codes", "1=1"], 1, "train/119_mask.png: has 3 bands, and values are of one"),
        ([], 2, "nothing says what becomes which class"),
        (["--codes", "urban=1", "--classes", "nowhere.csv"], 1, "nowhere.csv: no such file"),
        (["--codes", "#00ffff=1"], 1, "no code names #ffff00"),
        (["--codes", "#00ffff=1,5=2"], 2, "names colours (#00ffff) and values (5)"),
        (["--codes", "#00ffff=3", "--classes", CLASSES], 1, "--classes has no class 3"),
        (["--codes", "*=nodata,#000000=nodata"], 2, "nothing says what becomes which class"),
        (["--codes", "1=urban"], 1, "'urban' is no class"),
        (["--codes", "#0101ff=1", "--threshold", "128"], 2, "#0101ff has others"),
        (["--threshold", "0", "--classes", CLASSES], 2, "0 is not in the range"),
        (["--classes", "1=a:#00ffff,2=b:#00ffff"], 1, "gives #00ffff to two classes"),
    ],
)
def test_codes_that_do_not_fit_are_one_line(
    train: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert _run(["recode", "train/*_mask.png", *words, "-o", "m"]) == code
    error = capsys.readouterr().err.strip().splitlines()
    assert said in error[-1]
    assert not Path("m").exists()


def test_codes_can_stand_in_a_file(tmp_path: Path) -> None:
    tiny_scene(tmp_path / "a.tif", np.array([[1, 5, 6]], np.uint8))
    (tmp_path / "c.csv").write_text("id,name,values\n1,corn,1\n2,soy,5 6\n")
    for option in ("--codes", "--classes"):
        out = tmp_path / f"{option[2:]}.tif"
        words = ["recode", str(tmp_path / "a.tif"), option, str(tmp_path / "c.csv"), "-o", str(out)]
        assert _run(words) == 0
        with Scene.open(out) as made:
            assert made.read(made.grid.window).data.tolist() == [[[1, 2, 2]]]


def test_problems_are_counted_named_and_written(
    train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (train / "8_sat.jpg").write_bytes(b"nothing")
    for name in ("90", "91"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(train / f"{name}_sat.jpg")
    words = ["check", "train/*_sat.jpg", "--labels", "train/*_mask.png", "-o", "p.csv"]
    assert _run(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "7 images, 4 labels: 5 problems",
        "  cannot be read            1  8_sat.jpg (train/8_sat.jpg: is not a raster that GDAL can"
        " read; give a GeoTIFF, VRT or other raster)",
        "  all readings are 0        2  90_sat.jpg, 91_sat.jpg",
        "  no label                  2  90_sat.jpg, 91_sat.jpg",
        "p.csv",
    ]
    assert len(Path("p.csv").read_text().splitlines()) == 6
    assert _run([*words, "--overwrite", "--strict", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["counts"] == {"unreadable": 1, "black": 2, "no label": 2}
    assert said.err.splitlines()[-1].startswith("Error: 5 problems were found")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 1, "nowhere: no such file"),
        (["none/*.jpg"], 1, "none/*.jpg: no raster matches this pattern"),
        (["train", "--labels", "nowhere/*.png"], 1, "nowhere/*.png: no raster matches"),
        (["train", "--labels", "nothere"], 1, "nothere: no such file or folder; check the path"),
        (["train", "nothere.png"], 1, "nothere.png: no such file or folder"),
        (["train", "--classes", "1"], 1, "is no list of classes"),
        (["train", "-o", "p.txt"], 2, "name the output *.csv"),
        (["train", "-o", "none/p.csv"], 1, "the folder none does not exist"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line(
    train: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert _run(["check", *words]) == code
    found = capsys.readouterr()
    assert said in (found.out + found.err).splitlines()[-1]


def test_the_functions_do_what_the_commands_do(train: Path, tmp_path: Path) -> None:
    made = geoseg.recode(
        "train/*_mask.png", "masks", codes="#000000=nodata", classes=CLASSES, workers=1
    )
    assert made.files == 4
    found = geoseg.check("train/*_sat.jpg", labels="masks", output=tmp_path / "p.csv", workers=1)
    assert found.findings == ()
    assert (tmp_path / "p.csv").read_text() == "image,label,problem,words,detail\n"


def test_patterns_mean_photographs_wherever_folders_do(
    train: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A network of one layer that gives each pixel the class of the nearer colour.
    colours = np.array([(0, 255, 255), (255, 255, 0)]) / 255
    pointwise_bundle(
        2 * colours,
        -(colours**2).sum(axis=1),
        bands=("red", "green", "blue"),
        legend=parse_legend(CLASSES),
        std=(255.0, 255.0, 255.0),
        name="colours",
        path=Path("m.safetensors"),
    )
    words = ["--codes", "#000000=nodata", "--classes", CLASSES]
    assert _run(["recode", "train/*_mask.png", *words, "-o", "masks"]) == 0
    words = ["--model", "m.safetensors", "--device", "cpu"]
    assert _run(["predict", "train/*_sat.jpg", *words, "-o", "maps"]) == 0
    assert sorted(p.name for p in Path("maps").glob("*.tif")) == [
        f"{name}_sat.tif" for name in ("119", "23", "40", "7")
    ]
    capsys.readouterr()
    for maps, masks in (("maps", "masks"), ("maps/*.tif", "masks/*.tif")):
        assert _run(["evaluate", maps, masks]) == 0
        said = capsys.readouterr()
        assert "paired by their names without _sat and _mask" in said.out + said.err
        assert "pixel accuracy (PA)  1.0000" in said.out
    words = ["--target", "urban", "--images", "train/*_sat.jpg", "-o", "c.csv"]
    assert _run(["coverage", "maps", *words]) == 0
    assert "119_sat.jpg" in Path("c.csv").read_text()
