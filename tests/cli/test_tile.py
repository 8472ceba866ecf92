"""``geoseg tile`` as it is typed."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.crs import CRS

from geoseg.cli import _run, main
from geoseg.patches.assembling import Assembly
from geoseg.patches.dataset import PatchDataset
from geoseg.raster.patchindex import read_columns
from geoseg.raster.vector import write_footprints


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the help's examples name."""
    rng = np.random.default_rng(0)
    place = {"crs": "EPSG:32612", "transform": Affine(30, 0, 500_000, 0, -30, 4_000_000)}
    scene = rng.integers(1, 3000, (4, 300, 280)).astype(np.uint16)
    labels = rng.integers(1, 4, (300, 280)).astype(np.uint8)
    size = {"driver": "GTiff", "height": 300, "width": 280}
    (tmp_path / "scenes").mkdir()
    (tmp_path / "labels").mkdir()
    for path, gain in (("scene.tif", 1), ("scenes/a.tif", 1), ("scenes/b.tif", 2)):
        with rasterio.open(tmp_path / path, "w", count=4, dtype="uint16", **size, **place) as file:
            file.write(scene * np.uint16(gain))
            file.descriptions = ("blue", "green", "red", "nir")
    with rasterio.open(
        tmp_path / "labels.tif", "w", count=1, dtype="uint8", **size, **place
    ) as file:
        file.write(labels, 1)
    for copy in ("weak.tif", "labels/a.tif", "labels/b.tif"):
        shutil.copy(tmp_path / "labels.tif", tmp_path / copy)
    with rasterio.open(
        tmp_path / "sure.tif", "w", count=1, dtype="float32", **size, **place
    ) as file:
        file.write(rng.random((300, 280)).astype(np.float32), 1)
    write_footprints(
        tmp_path / "fields.gpkg",
        "fields",
        {"crop": ["corn", "soybean"]},
        [
            [(500_000, 3_991_000), (504_000, 3_991_000), (504_000, 4_000_000), (500_000, 4e6)],
            [(504_000, 3_991_000), (508_400, 3_991_000), (508_400, 4_000_000), (504_000, 4e6)],
        ],
        CRS.from_epsg(32612),
    )
    for folder, shape in (("photographs", (400, 500, 3)), ("masks", (400, 500))):
        (tmp_path / folder).mkdir()
        for name in "abcd":
            picture = Image.fromarray(rng.integers(1, 3, shape, dtype=np.uint8))
            picture.save(tmp_path / folder / f"{name}.png")
    for folder, shape, ending in (
        ("train", (400, 500, 3), "_sat.jpg"),
        ("images", (400, 400, 3), ".png"),
        ("labels-of-half-the-size", (200, 200), ".png"),
    ):
        (tmp_path / folder).mkdir()
        for name in "abcd":
            picture = Image.fromarray(rng.integers(1, 3, shape, dtype=np.uint8))
            picture.save(tmp_path / folder / f"{name}{ending}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["tile", *arguments])
    return int(left.value.code or 0)


def test_examples_of_the_help_work_as_typed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out.replace("\\\n", " ")
    examples = [
        line.strip() for line in text.splitlines() if line.strip().startswith("geoseg tile ")
    ]
    assert len(examples) == 10
    made = []
    for example in examples:
        assert run(*shlex.split(example)[2:], "--overwrite") == 0
        made.append(PatchDataset.open("patches"))
        assert sum(made[-1].splits.values()) > 0
    assert made[2].bands == ("nir", "red", "green")
    kinds = ["pixels", "pixels", None, "pixels", "patches", *["pixels"] * 5]
    assert [data.labelling for data in made] == kinds
    assert [data.colour is not None for data in made] == [number == 3 for number in range(10)]
    assert made[4].legend is not None
    assert made[4].legend.names == ("corn", "soybean")
    assert made[5].has_confidence
    assert [data.scale for data in made] == [1] * 8 + [2, 1]


def test_american_spelling_is_taken_and_not_shown(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert "--homogenise " in text
    assert "homogenize" not in text
    for word in ("--homogenise", "--homogenize"):
        assert run("scenes/a.tif", "scenes/b.tif", word, "moments", "-o", word[-4:]) == 0
        assert "colour: that of the group, by mean and deviation" in capsys.readouterr().out
    assert Path("nise/dataset.json").read_bytes() == Path("nize/dataset.json").read_bytes()
    assert run("scene.tif", "--homogenise", "momnets", "-o", "a") == 2
    assert "--homogenise momnets is no way" in capsys.readouterr().err


def test_summary_goes_to_standard_output_and_json_is_one_object(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scene.tif", "--labels", "labels.tif", "--size", "64", "-o", "a") == 0
    text = capsys.readouterr()
    assert "train" in text.out
    assert "class 3" in text.out
    assert text.err == ""
    assert run("scene.tif", "--size", "64", "-o", "b", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["patches"] == PatchDataset.open("b").splits
    assert summary["output"] == "b"


def test_what_pads_a_patch_is_no_pixel_of_the_summary(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abcd":  # two rows of five have no label
        mask = np.full((400, 500), 1, np.uint8)
        mask[:160] = 255
        Image.fromarray(mask).save(f"masks/{name}.png")
    words = ["--labels", "masks", "--classes", "1=crop", "--size", "512", "--max-nodata", "1"]
    assert run("photographs", *words, "-o", "a", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    kept = [name for name, count in summary["patches"].items() if count]
    assert kept
    for name in kept:
        assert summary["class_shares"][0][name] == pytest.approx(0.6)
        assert summary["unlabelled"][name] == pytest.approx(0.4)


def test_mistakes_are_one_line_with_their_status(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, status, words in [
        (["gone.tif", "-o", "a"], 1, "gone.tif"),
        (["scene.tif", "-o", "no/where"], 1, "does not exist"),
        (["scene.tif", "-o", "scenes"], 1, "--overwrite"),
        (["scene.tif", "--bands", "swir", "-o", "a"], 1, "swir"),
        (["scene.tif", "--size", "8", "--stride", "9", "-o", "a"], 2, "stride"),
        (["scene.tif", "--split", "x", "-o", "a"], 2, "--split"),
        (["scene.tif", "--label-table", "gone.csv", "-o", "a"], 1, "gone.csv"),
        (["scene.tif", "--label-table", "gone.gpkg", "-o", "a"], 1, "label table"),
        (["scene.tif", "--label-table", "labels.tif", "-o", "a"], 1, "labels.tif"),
        (["scene.tif", "--label-table", "fields.gpkg", "-o", "a"], 1, "--label-field"),
        (["scene.tif", "--labels", "labels.tif", "--label-table", "x.csv", "-o", "a"], 2, "one of"),
        (["scene.tif", "--label-field", "crop", "-o", "a"], 2, "--label-table"),
        (["scene.tif", "--confidence", "sure.tif", "-o", "a"], 2, "--labels"),
        (["scene.tif", "--min-confidence", "0.5", "-o", "a"], 2, "--confidence"),
    ]:
        assert run(*arguments) == status
        errors = capsys.readouterr().err.strip()
        assert words in errors
        assert errors.count("\n") == 0
    assert not (here / "a").exists()


def test_table_that_names_a_patch_too_many_is_noted_on_standard_error(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "t.csv").write_text(
        "patch,classes\nscene_r000000_c000000,corn\nscene_r000000_c000128,-\nother_r0_c0,corn\n"
    )
    options = ["--label-table", "t.csv", "--size", "128", "--split", "1,0,0", "-o", "a"]
    assert run("scene.tif", *options) == 0
    found = capsys.readouterr()
    assert "1 patch that is not in this set: other_r0_c0" in found.err
    assert "patches with the class" in found.out
    assert "50.00%" in found.out


@pytest.mark.realdata
def test_real_patches_of_the_cropland_paper(real_data: Path, tmp_path: Path) -> None:
    codes = (0, 1, 5, 141, 176)
    arrays = [np.load(path) for path in sorted((real_data / "cropland_patches").rglob("*.npy"))]
    arrays = [a for a in arrays if a.shape == (50, 50, 18)]
    assert len(arrays) == 20
    for number, array in enumerate(arrays):
        profile = {
            "driver": "GTiff",
            "height": 50,
            "width": 50,
            "crs": "EPSG:32615",
            "transform": Affine(30, 0, 5e5 + 3000 * number, 0, -30, 4e6),
        }
        name = tmp_path / f"s{number:02}.tif"
        with rasterio.open(
            name, "w", count=7, dtype="float32", nodata=float("nan"), **profile
        ) as file:
            file.write(array[..., :7].transpose(2, 0, 1).astype(np.float32))
        label = np.rint(np.nan_to_num(array[..., -1]) * 10000).astype(np.uint8)
        label[~np.isin(label, codes)] = 0
        with rasterio.open(
            tmp_path / f"l{number:02}.tif", "w", count=1, dtype="uint8", **profile
        ) as file:
            file.write(label, 1)
    classes = "0=other,1=corn,5=soybean,141=deciduous forest,176=grassland"
    words = [str(tmp_path / "s*.tif"), "--labels", str(tmp_path / "l*.tif"), "--classes", classes]
    output = tmp_path / "set"
    assert run(*words, "--size", "50", "--split", "1,0,0", "-o", str(output)) == 0
    kept_names, images, presence = [], [], []
    for number, array in enumerate(arrays):
        invalid = np.isnan(array[..., :7].astype(np.float32)).any(axis=-1)
        if invalid.mean() > 0.5:
            continue
        label = np.rint(np.nan_to_num(array[..., -1]) * 10000).astype(int)
        label[~np.isin(label, codes)] = 0
        presence.append([((label == c) & ~invalid).sum() > 125 for c in codes])
        images.append(np.where(invalid, 0, array[..., :7].transpose(2, 0, 1)).astype(np.float32))
        kept_names.append(f"s{number:02}_r000000_c000000")
    index = read_columns(output / "index.gpkg", "patches", ("patch", "reason"))
    assert [name for name, reason in index if not reason] == kept_names
    assert {reason for _, reason in index} <= {"", "too much nodata"}
    found = PatchDataset.open(output).split("train")
    assert np.array_equal(found.images[:], np.stack(images))
    assert found.presence is not None
    assert np.array_equal(found.presence, np.array(presence))


@pytest.mark.realdata
def test_real_scene_with_labels_on_another_grid(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zion = real_data / "zion"
    for number, labels in enumerate(("nlcd_simplified_on_landsat_grid.tif", "nlcd2011.tif")):
        output = tmp_path / f"set{number}"
        assert (
            run(
                str(zion / "landsat8_b2345.tif"),
                *("--labels", str(zion / labels)),
                *("--size", "128", "--stride", "64", "-o", str(output)),
            )
            == 0
        )
        # Half a pixel apart and in another coordinate system: said once, and only there.
        assert capsys.readouterr().err.count("another grid") == number
        data = PatchDataset.open(output)
        assert data.bands == ("blue", "green", "red", "nir")
        kept = np.array([data.splits[name] for name in ("train", "val", "test")])
        assert np.abs(kept / kept.sum() - (0.8, 0.1, 0.1)).max() < 0.03
        assert data.metadata["dropped"].get("straddles two splits", 0) < 0.1 * 374


@pytest.mark.realdata
def test_real_bands_in_separate_files_with_shifted_labels(real_data: Path, tmp_path: Path) -> None:
    storml = real_data / "storml"
    bands = sorted(str(p) for p in storml.glob("sr_b*.tif"))
    output = tmp_path / "set"
    labels = str(storml / "storml_evt.tif")
    assert run(*bands, "--labels", labels, "--size", "32", "-o", str(output)) == 0
    data = PatchDataset.open(output)
    assert len(data.bands) == 3
    assert data.legend is not None
    assert {value for c in data.legend.classes for value in c.values} >= {7046, 9016, 9018}


def test_labels_without_a_coordinate_system_alone_can_be_assumed_aligned(tmp_path, capsys):
    """A transform without a CRS is half a georeference, which the option makes whole."""

    def write(name, pixels, crs, transform):
        with rasterio.open(
            tmp_path / name,
            "w",
            driver="GTiff",
            count=1,
            height=pixels.shape[0],
            width=pixels.shape[1],
            dtype=pixels.dtype,
            crs=crs,
            transform=transform,
        ) as dataset:
            dataset.write(pixels, 1)
        return str(tmp_path / name)

    rows = np.arange(1, 1025, dtype=np.uint16).reshape(32, 32)
    scene = write("s.tif", rows, "EPSG:32633", Affine(10, 0, 5e5, 0, -10, 5e6))
    labels = write("l.tif", (rows % 2 + 1).astype(np.uint8), None, Affine(1, 0, 7, 0, -1, 9))
    words = ["tile", scene, "--labels", labels, "--size", "16", "--split", "1,0,0"]
    assert _run([*words, "-o", str(tmp_path / "refused")]) == 1
    assert "--assume-aligned" in capsys.readouterr().err
    assert _run([*words, "--assume-aligned", "-o", str(tmp_path / "set")]) == 0
    cut = np.load(tmp_path / "set" / "train" / "labels.npy")
    np.testing.assert_array_equal(cut[0], rows[:16, :16] % 2)


def test_a_stopped_run_says_what_is_kept_and_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoseg.raster.outputs.unfinished.EVERY_SECONDS", 0.0)
    words = ["tile", "scene.tif", "--labels", "labels.tif", "--size", "20"]
    assert _run([*words, "-o", "whole"]) == 0
    finished = Assembly.row_finished
    rows = [6]

    def stopped(self: Assembly, patches: range, read_to: int) -> None:
        rows[0] -= 1
        if rows[0] < 0:
            raise KeyboardInterrupt
        finished(self, patches, read_to)

    with monkeypatch.context() as patch:
        patch.setattr(Assembly, "row_finished", stopped)
        assert _run([*words, "-o", "out"]) == 130
    told = capsys.readouterr().err
    assert "Interrupted; .out.part keeps what " in told
    assert "--resume goes on from there" in told
    assert _run([*words, "-o", "out"]) == 1
    assert "go on with --resume, or begin anew with --overwrite" in capsys.readouterr().err
    assert _run([*words, "--fill", "4", "--resume", "-o", "out"]) == 1
    assert "--fill: 0.0 then, 4.0 now" in capsys.readouterr().err
    assert _run([*words, "--resume", "-o", "out"]) == 0
    assert "gone on with: " in capsys.readouterr().out
    assert not (here / ".out.part").exists()
    for made in (here / "whole").rglob("*.*"):
        assert (here / "out" / made.relative_to(here / "whole")).read_bytes() == made.read_bytes()
    assert _run([*words, "--resume", "-o", "out"]) == 0
    assert "out is there already, of the same inputs and settings" in capsys.readouterr().out
    assert _run([*words, "--resume", "-o", "new"]) == 0
    assert "nothing is kept of new" in capsys.readouterr().err


def test_a_cluster_that_is_none_is_told_in_a_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["tile", "scene.tif", "--cluster", "somewhere", "-o", "out"]) == 2
    assert "--cluster somewhere is no address" in capsys.readouterr().err
    assert not (here / "out").exists()
    assert not (here / ".out.part").exists()
