from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.assessment.describe import describe
from geoseg.assessment.describe_text import text
from geoseg.compositing.homogenise.standard import ImageLine
from geoseg.errors import DatasetError, InputError, ModelError, RasterReadError
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.colours import even_standard

Write = Callable[..., Path]

CLASSES = [
    {"id": 1, "name": "water", "color": "#0000ff", "values": [11, 12]},
    {"id": 2, "name": "forest", "color": "#00ff00"},
]


def one(source: Path) -> dict[str, Any]:
    (found,) = describe(str(source))
    assert isinstance(found, dict)
    return found


def model(path: Path, **changes: Any) -> Path:
    card = {
        "format": "geoseg-model",
        "version": 1,
        "name": "landsat small",
        "network": "unet",
        "arguments": {"widths": [8, 16], "dropout": 0.1},
        "bands": ["red", "nir"],
        "sensor": "Landsat 8",
        "mean": [100.5, 2000.0],
        "std": [10.0, 300.0],
        "fill": 0.0,
        "classes": CLASSES,
        "tile": 128,
        "resolution": 30.0,
        "training": {
            "seed": 7,
            "scores": {"miou": 0.641, "classes": [{"id": 2, "iou": 0.25, "recall": None}]},
            "losses": list(range(50)),
        },
        "description": "One scene only.",
    } | changes
    header = {
        "__metadata__": {"geoseg": json.dumps(card)},
        "conv.weight": {"dtype": "F32", "shape": [4, 2, 1, 1], "data_offsets": [0, 32]},
        "norm.running_mean": {"dtype": "F32", "shape": [4], "data_offsets": [32, 48]},
    }
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(48))
    return path


def dataset(folder: Path, **changes: Any) -> Path:
    bands = [
        {
            "name": name,
            "mean": 5.5,
            "std": 2.25,
            "min": 0.0,
            "max": 12.0,
            "percentiles": {p: float(p) for p in ("1", "2", "25", "50", "75", "98", "99")},
            "count": 48,
        }
        for name in ("red", "nir")
    ]
    meta: dict[str, Any] = {
        "format": "geoseg-patches",
        "version": 1,
        "storage": "npy",
        "size": 4,
        "stride": 4,
        "bands": ["red", "nir"],
        "dtype": "uint16",
        "fill": 0,
        "max_nodata": 0.5,
        "min_labelled": 0.0,
        "classes": CLASSES,
        "resolution": [30.0, 30.0],
        "crs_units": "metre",
        "statistics": {"bands": bands, "source": "train"},
        "class_pixels": {"train": [12, 36], "val": [0, 0]},
        "splits": {"train": 3, "val": 0},
        "dropped": {"too much nodata": 2, "no label": 1},
        "scenes": [{"name": "zion", "height": 9, "width": 8, "crs": "EPSG:32612", "problems": []}],
        "problems": [{"path": "bad.tif", "reason": "is empty"}],
        "ignored_label_values": {"0": 17},
        "command": "geoseg tile zion.tif",
        "versions": {"numpy": "2"},
        "seed": 0,
    } | changes
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps(meta))
    for split, count in meta["splits"].items():
        (folder / split).mkdir()
        np.save(folder / split / "images.npy", np.zeros((count, 2, 4, 4), np.uint16))
        np.save(folder / split / "labels.npy", np.zeros((count, 4, 4), np.uint8))
        np.save(folder / split / "class_pixels.npy", np.zeros((count, 2), np.int64))
        np.save(folder / split / "presence.npy", np.zeros((count, 2), np.uint8))
    return folder


# -- told by content ------------------------------------------------------------------------------


def test_model_is_told_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    assert one(model(tmp_path / "model.tif"))["kind"] == "model"


def test_raster_is_told_by_its_content_whatever_its_name(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "scene.tif", [[1, 2]])
    assert one(path.rename(tmp_path / "scene.safetensors"))["kind"] == "scene"


def test_class_raster_is_told_by_its_legend(tmp_path: Path, class_raster: Write) -> None:
    path = class_raster(tmp_path / "c.tif", [[1, 2]], parse_legend("1=water,2=forest"))
    assert one(path)["kind"] == "class raster"


def test_data_set_is_told_by_its_folder_or_its_json(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "patches")
    assert one(folder) == one(folder / "dataset.json")
    assert one(folder)["kind"] == "data set"


def test_folder_of_a_split_is_its_data_set(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "patches")
    assert one(folder / "train") == one(folder) | {"split": "train"}
    assert "  named     the folder of its split train" in text(one(folder / "train")).splitlines()


def test_folder_of_rasters_holds_scenes(tmp_path: Path, write: Write) -> None:
    for name in ("a_red.tif", "a_nir.tif"):
        write(tmp_path / name, [[1, 2]])
    (found,) = describe(str(tmp_path))
    assert isinstance(found, dict)
    assert [Path(file).name for file in found["files"]] == ["a_nir.tif", "a_red.tif"]


def test_unreadable_file_of_a_folder_is_told_beside_the_scenes(
    tmp_path: Path, write: Write
) -> None:
    write(tmp_path / "good.tif", [[1, 2]])
    (tmp_path / "bad.tif").write_text("no raster")
    error, scene = describe(str(tmp_path))
    assert isinstance(error, RasterReadError)
    assert "bad.tif" in str(error)
    assert str(error).count("bad.tif") == 1
    assert isinstance(scene, dict)


def test_pattern_is_expanded(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "one.tif", [[1, 2]])
    assert one(tmp_path / "o*.tif")["kind"] == "scene"


@pytest.mark.parametrize("name", ["missing.tif", "empty", "text.txt", "other.json", "archive.zip"])
def test_what_is_nothing_known_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no raster")
    (tmp_path / "other.json").write_text('{"format": "something else"}')
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("a.txt", "no raster")
    (found,) = describe(str(tmp_path / name))
    assert isinstance(found, InputError)
    assert name in str(found)


def test_pickles_are_refused_as_models(tmp_path: Path) -> None:
    plain, zipped = tmp_path / "plain.pth", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps({"weight": 1}))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    for path in (plain, zipped):
        with pytest.raises(ModelError, match="pickle"):
            one(path)


# -- data sets and models -------------------------------------------------------------------------


def test_data_set_is_described(tmp_path: Path) -> None:
    found = one(dataset(tmp_path / "patches"))
    assert found["patches"] == 3
    assert found["dropped"] == {"too much nodata": 2, "no label": 1}
    water, forest = found["classes"]
    assert water["shares"]["train"] == 0.25
    assert np.isnan(forest["shares"]["val"])


def test_data_set_is_said_in_words(tmp_path: Path) -> None:
    told = text(one(dataset(tmp_path / "patches")))
    lines = {" ".join(line.split()) for line in told.splitlines()}
    assert "splits train 3, val 0" in lines
    assert "dropped 3 patches: 2 too much nodata, 1 no label" in lines
    assert "ignored label values that are no class: 0 (17 px)" in lines
    assert "scene zion, 8 × 9 px, EPSG:32612" in lines
    assert "1 water 25.0 % –" in lines
    assert "red 0 2 50 98 12 5.5 2.25" in lines
    assert "problems bad.tif: is empty" in lines
    assert "made by geoseg tile zion.tif" in lines


def test_data_set_of_labelled_patches_is_described(tmp_path: Path) -> None:
    found = one(
        dataset(
            tmp_path / "patches",
            labelling="patches",
            class_pixels={},
            patches_with_class={"train": [3, 1], "val": [0, 0]},
        )
    )
    assert found["labelling"] == "patches"
    assert [c["patches"]["train"] for c in found["classes"]] == [3, 1]
    lines = {" ".join(line.split()) for line in text(found).splitlines()}
    assert "id class in patches train val" in lines
    assert "2 forest 33.3 % –" in lines


def test_data_set_without_labels_is_described(tmp_path: Path) -> None:
    found = one(dataset(tmp_path / "patches", classes=None, class_pixels={}, problems=[]))
    assert found["classes"] is None
    assert "water" not in text(found)


def test_data_set_with_a_missing_file_is_refused(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "patches")
    (folder / "train" / "images.npy").unlink()
    with pytest.raises(DatasetError, match=r"images\.npy"):
        one(folder)


def test_model_is_described_without_reading_weights(tmp_path: Path) -> None:
    found = one(model(tmp_path / "m.safetensors"))
    assert found["parameters"] == 8  # running statistics are not trained
    assert found["bands"] == ["red", "nir"]
    assert len(found["hash"]) == 32


def test_model_is_said_in_words(tmp_path: Path) -> None:
    told = text(one(model(tmp_path / "m.safetensors")))
    lines = {" ".join(line.split()) for line in told.splitlines()}
    assert "about One scene only." in lines
    assert "network unet (widths 8, 16, dropout 0.1), 8 parameters" in lines
    assert "input 2 bands, of Landsat 8, tiles of 128 px, pixels of 30" in lines
    assert "2 nir 2000 300" in lines
    assert "1 water #0000ff 11, 12 –" in lines
    assert "2 forest #00ff00 2 0.2500" in lines
    assert "scores.miou 0.641" in lines
    assert "losses (50 entries, see --json)" in lines


def test_colour_of_a_model_is_said_in_a_line(tmp_path: Path) -> None:
    assert "homogenised" not in text(one(model(tmp_path / "a.safetensors")))
    line = ImageLine(name="a", fingerprint="00", gains=(1.0, 1.0), offsets=(0.0, 0.0))
    colour = even_standard({"red": (9.0, 1.0), "nir": (9.0, 1.0)}, method="overlap", images=[line])
    found = one(model(tmp_path / "b.safetensors", colour=colour.to_json()))
    said = next(row for row in text(found).splitlines() if row.strip().startswith("colour "))
    assert said.endswith("homogenised to that of the group, by overlaps, 1 image known")
    assert found["colour"]["method"] == "overlap"


def test_words_of_a_model_cannot_command_the_terminal(tmp_path: Path) -> None:
    path = model(tmp_path / "m.safetensors", description="\x1b[2Jgood\r\nbye", name="a\x07b")
    told = text(one(path))
    assert "�[2Jgood\n" in told
    assert all(c.isprintable() or c == "\n" for c in told)


def test_damaged_model_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "m.safetensors", std=[0.0, 1.0])
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        one(path)
    whole = model(tmp_path / "n.safetensors").read_bytes()
    (tmp_path / "n.safetensors").write_bytes(whole[:-8])
    with pytest.raises(ModelError, match="truncated"):
        one(tmp_path / "n.safetensors")


# -- scenes in words ------------------------------------------------------------------------------


def test_scene_is_said_in_aligned_columns(tmp_path: Path, write: Write) -> None:
    told = text(one(write(tmp_path / "s.tif", np.arange(24).reshape(2, 3, 4), dtype="int16")))
    lines = told.splitlines()
    start = next(i for i, line in enumerate(lines) if "band" in line.split())
    header, first, second = lines[start : start + 3]
    assert len(header) == len(first) == len(second)
    assert "pixels of 30 m, EPSG:32612 (WGS 84 / UTM zone 12N), north up" in told
    assert "bounds 300000 to 300120, 3999910 to 4000000" in " ".join(told.split())


def test_class_raster_is_said_with_shares(tmp_path: Path, class_raster: Write) -> None:
    legend = parse_legend("1=water:#0000ff,2=forest:#00ff00")
    told = text(one(class_raster(tmp_path / "c.tif", [[1, 1, 1, 255]], legend)))
    lines = {" ".join(line.split()) for line in told.splitlines()}
    assert "1 water #0000ff 100.0 %" in lines
    assert "2 forest #00ff00 0.0 %" in lines
    assert "invalid 25.0 % of the pixels" in lines
    assert any(line.startswith("layout Cloud Optimized GeoTIFF") for line in lines)


def test_scene_without_a_place_is_said_to_have_none(tmp_path: Path, write: Write) -> None:
    told = text(one(write(tmp_path / "s.tif", [[1, 2]], transform=None, crs=None)))
    assert "none: no coordinate system, no transform" in told
    assert "Note: it has no place on Earth" in told
