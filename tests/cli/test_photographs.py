"""Photographs through the whole path: masks, patches, maps, coverage; with sizes that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geoseg.cli import main
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.testing.bundles import pointwise_bundle

SIZES = {"a": (24, 40), "b": (16, 16), "c": (9, 12), "d": (40, 24), "e": (20, 20)}


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def codes(path: Path) -> NDArray[Any]:
    with Scene.open(path) as scene:
        return scene.read(scene.grid.window).data[0]


def picture(green: NDArray[Any]) -> Image.Image:
    """Bright green where the plant is, dark elsewhere."""
    pixels = np.zeros((*green.shape, 3), np.uint8)
    pixels[..., 1] = np.where(green, 220, 40)
    pixels[..., 0] = 90
    return Image.fromarray(pixels)


def plants(name: str) -> NDArray[np.bool_]:
    height, width = SIZES[name]
    rows, cols = np.mgrid[:height, :width]
    return np.asarray((rows + 2 * cols) % 16 < 8)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for name in SIZES:
        picture(plants(name)).save(images / f"{name}.png")
        Image.fromarray(plants(name).astype(np.uint8)).save(masks / f"{name}.png")
    return images, masks


WORDS = ["--classes", "0=soil,1=plant", "--size", 16, "--max-nodata", 0.9]


def test_photographs_of_any_size_become_patches_whose_padding_counts_for_nothing(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, masks = folders
    out = tmp_path / "set"
    assert (
        call("tile", images, "--labels", masks, "-o", out, *WORDS, "--split", "1,0,0", "--json")
        == 0
    )
    told(capsys)
    labels = np.load(out / "train" / "labels.npy")
    assert len(labels) == 6 + 1 + 1 + 6 + 4
    padded = [i for i in range(len(labels)) if (labels[i] == 255).any()]
    assert len(padded) == 1
    small = labels[padded[0]]
    assert np.array_equal(small[:9, :12], plants("c"))
    assert (small[9:] == 255).all()
    assert (small[:, 12:] == 255).all()
    described = json.loads((out / "dataset.json").read_text())
    # Greens are 40 and 220: zeros of the padding would show in the least reading.
    assert [b["min"] for b in described["statistics"]["bands"]] == [90, 40, 0]


def test_labels_belong_to_photographs_by_name_and_not_by_order(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, masks = folders
    (masks / "a.png").unlink()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(masks / "z.png")
    out = tmp_path / "set"
    assert call("tile", images, "--labels", masks, "-o", out, *WORDS, "--json") == 0
    said = capsys.readouterr()
    assert "1 files of labels have no photograph of their name: z.png" in said.err
    problems = json.dumps(json.loads(said.out))
    assert "there is no label of its name" in problems
    assert "a.png" in problems


def test_a_mask_of_another_size_is_left_out_and_all_of_them_refused(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, masks = folders
    Image.fromarray(np.zeros((24, 41), np.uint8)).save(masks / "a.png")
    assert call("tile", images, "--labels", masks, "-o", tmp_path / "set", *WORDS) == 0
    assert (
        "left out: a.png: the labels have no georeference, and 24 × 41 labels do not fit"
        " 24 × 40 pixels of a"
    ) in capsys.readouterr().out
    for name in SIZES:
        Image.fromarray(np.zeros((24, 41), np.uint8)).save(masks / f"{name}.png")
    assert call("tile", images, "--labels", masks, "-o", tmp_path / "none", *WORDS) == 1
    assert "24 × 41 labels do not fit 24 × 40 pixels" in capsys.readouterr().err


def test_photographs_are_kept_whole_in_one_split(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    images, masks = folders
    out = tmp_path / "set"
    assert call("tile", images, "--labels", masks, "-o", out, *WORDS, "--split", "0.6,0.4,0") == 0
    index = geopandas.read_file(out / "index.gpkg")
    assert (index.groupby("scene")["split"].nunique() == 1).all()
    assert index["split"].nunique() == 2


def test_annotations_in_place_of_masks_are_told_what_to_do(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "a.json").write_text('{"shapes": []}')
    assert call("tile", folders[0], "--labels", drawn, "-o", tmp_path / "set") == 1
    assert "geoseg rasterise drawn --like IMAGES -o masks" in capsys.readouterr().err


def test_a_turned_photograph_is_cut_as_it_is_shown(tmp_path: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    shown = np.zeros((16, 8), bool)
    shown[:8] = True
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = picture(np.rot90(shown))  # a camera held upright stores it lying
    stored.save(images / "a.jpg", quality=95, exif=exif.tobytes())
    Image.fromarray(shown.astype(np.uint8)).save(masks / "a.png")
    out = tmp_path / "set"
    words = ["--classes", "0=soil,1=plant", "--size", 8, "--split", "1,0,0"]
    assert call("tile", images, "--labels", masks, "-o", out, *words) == 0
    both = np.load(out / "train" / "images.npy"), np.load(out / "train" / "labels.npy")
    assert len(both[0]) == 2
    for image, label in zip(*both, strict=True):
        assert np.array_equal(image[1] > 130, label == 1)
        assert len(np.unique(label)) == 1


# -- maps -----------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    pointwise_bundle(
        [[0, -1, 0], [0, 1, 0]],
        [130, -130],
        bands=["red", "green", "blue"],
        legend=parse_legend("0=soil,1=plant"),
        path=path,
    )
    return path


def test_each_photograph_gets_a_map_of_its_own(
    folders: tuple[Path, Path], tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = folders
    out = tmp_path / "maps"
    assert call("predict", images, "-m", model, "--tile", 16, "-o", out, "--json") == 0
    found = told(capsys)
    assert found["maps"] == [f"{name}.tif" for name in SIZES]
    for name in SIZES:
        assert np.array_equal(codes(out / f"{name}.tif"), plants(name))
    assert found["pixels"]["plant"] == sum(int(plants(name).sum()) for name in SIZES)
    assert raster_legend(out / "a.tif") == parse_legend("0=soil,1=plant")
    assert sorted(p.suffix for p in out.iterdir()) == sorted([".tif", ".xml", ".qml"] * 5)
    assert not list(tmp_path.glob(".*"))


def test_one_photograph_with_a_raster_for_output_is_one_scene(
    folders: tuple[Path, Path], tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "a.tif"
    assert call("predict", folders[0] / "a.png", "-m", model, "-o", out) == 0
    assert np.array_equal(codes(out), plants("a"))


def test_many_photographs_with_one_raster_for_output_are_told_what_to_do(
    folders: tuple[Path, Path], tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("predict", folders[0], "-m", model, "-o", tmp_path / "a.tif") == 2
    assert "5 photographs are a scene each" in capsys.readouterr().err


def test_a_damaged_photograph_is_listed_and_the_others_are_mapped(
    folders: tuple[Path, Path], tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = folders
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(images / "f.jpg")
    cut = (images / "f.jpg").read_bytes()
    (images / "f.jpg").write_bytes(cut[: len(cut) // 2])
    (images / "g.jpg").write_bytes(b"nothing")
    Image.fromarray(noise[..., 0]).save(images / "h.png")  # grey: the bands are missing
    out = tmp_path / "maps"
    assert call("predict", images, "-m", model, "-o", out, "--json") == 0
    found = told(capsys)
    assert len(found["maps"]) == 5
    assert [Path(p["path"]).name for p in found["problems"]] == ["g.jpg", "f.jpg", "h.png"]
    for name in SIZES:
        (images / f"{name}.png").unlink()
    assert call("predict", images, "-m", model, "-o", tmp_path / "none") == 1
    assert "no photograph can be used" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_options_of_one_scene_are_refused_for_many(
    folders: tuple[Path, Path], tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", model, "-o", tmp_path / "maps", "--confidence", tmp_path / "c.tif"]
    assert call("predict", folders[0], *words) == 2
    assert "are for one scene" in capsys.readouterr().err


def test_photographs_of_the_same_name_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = folders
    picture(plants("a")).save(images / "a.jpg")
    assert call("predict", images, "-m", model, "-o", tmp_path / "maps") == 1
    assert "have the same name" in capsys.readouterr().err


def test_a_folder_of_other_things_is_not_replaced(
    folders: tuple[Path, Path], tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = folders
    assert call("predict", images, "-m", model, "-o", images, "--overwrite") == 1
    assert "something else than class rasters" in capsys.readouterr().err
    assert len(list(images.iterdir())) == 5


def test_a_turned_photograph_is_mapped_as_it_is_shown(tmp_path: Path, model: Path) -> None:
    shown = np.zeros((48, 32), bool)
    shown[:16, 8:] = True
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(np.rot90(shown)).save(tmp_path / "a.jpg", quality=95, exif=exif.tobytes())
    words = ["-m", model, "--tile", 16, "-o", tmp_path / "maps"]
    assert call("predict", tmp_path / "a.jpg", *words) == 0
    assert np.array_equal(codes(tmp_path / "maps" / "a.tif"), shown)


@pytest.mark.realdata
def test_field_photographs_go_the_whole_way(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "peanut"
    masks, patches, maps = (tmp_path / name for name in ("masks", "patches", "maps"))
    model, table = tmp_path / "m.safetensors", tmp_path / "c.csv"
    named = ["--classes", "0=soil,1=crop,2=weed", "--background", "soil"]
    assert (
        call("rasterise", data / "annotations", "--like", data / "images", *named, "-o", masks) == 0
    )
    words = ["--size", 240, "--split", "0.75,0.25,0"]
    assert call("tile", data / "images", "--labels", masks, *words, "-o", patches) == 0
    # Plants are greener than red and blue together, by so much.
    pointwise_bundle(
        [[0, 0, 0], [-1, 2, -1], [0, 0, 0]],
        [0, -45, -1000],
        bands=["red", "green", "blue"],
        legend=parse_legend("0=soil,1=crop,2=weed"),
        path=model,
    )
    assert call("predict", data / "images", "-m", model, "--overlap", 0, "-o", maps) == 0
    words = ["--target", "crop,weed", "--stages", "agde", "--images", data / "images"]
    assert call("coverage", maps, *words, "-o", table) == 0
    truth = [np.isin(codes(path), (1, 2)).mean() for path in sorted((data / "masks").glob("*.png"))]
    lines = [line.split(",") for line in table.read_text().splitlines()]
    assert lines[0][:3] == ["photograph", "coverage", "stage"]
    found = np.array([float(line[1]) for line in lines[1:]])
    # Colour alone tells plants from soil, more or less: saying nothing of them is wrong by 13.9.
    assert np.abs(found - 100 * np.array(truth)).mean() < 4
    assert len(found) == 16
