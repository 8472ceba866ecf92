from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from PIL import Image

from geoseg.assessment.mapfiles import are_folders, common_legend, pair_maps
from geoseg.errors import InputError, LabelError
from geoseg.raster.legend.written import parse_legend

Write = Callable[..., Path]


def at(col: int, row: int = 0) -> Affine:
    return Affine(30, 0, 300000 + 30 * col, 0, -30, 4000000 - 30 * row)


@pytest.fixture
def fill(write: Write, tmp_path: Path) -> Callable[..., str]:
    """Write georeferenced rasters by name; of pictures, pass places=None."""

    def made(folder: str, places: dict[str, Any]) -> str:
        (tmp_path / folder).mkdir()
        for name, transform in places.items():
            if transform is None:
                Image.fromarray(np.ones((2, 2), np.uint8)).save(tmp_path / folder / name)
            else:
                write(tmp_path / folder / name, [[1, 1], [1, 1]], transform=transform)
        return str(tmp_path / folder)

    return made


def test_maps_and_labels_of_the_same_names_are_many(fill: Callable[..., str]) -> None:
    # Side by side they could be one map as well.
    maps = fill("maps", {"a.tif": at(0), "b.tif": at(2)})
    labels = fill("labels", {"a.tif": at(0), "b.tif": at(2), "c.tif": at(4)})
    assert are_folders([maps, labels])
    assert are_folders([f"{maps}/*.tif", f"{labels}/?.tif"])
    got = pair_maps([f"{maps}/*.tif", labels])
    assert [(one.name, Path(one.labels).name) for one in got.files] == [
        ("a", "a.tif"),
        ("b", "b.tif"),
    ]
    assert not got.photographs
    assert not got.one_labels
    assert got.notes == (f"1 mask without a map in {maps}/*.tif is left out: c.tif",)


def test_tiles_of_one_export_are_one_map(fill: Callable[..., str]) -> None:
    names = {"m-0000000000-0000000000.tif": at(0), "m-0000000000-0000000002.tif": at(2)}
    maps, labels = fill("maps", names), fill("labels", names)
    assert not are_folders([maps, labels])


def test_maps_that_are_one_together_go_with_labels_that_are(fill: Callable[..., str]) -> None:
    maps = fill("maps", {"west.tif": at(0), "east.tif": at(2)})
    labels = fill("labels", {"north.tif": at(0), "south.tif": at(0, 2)})
    assert not are_folders([maps, labels])
    assert not are_folders([maps, f"{labels}/north.tif"])
    assert not are_folders([f"{maps}/west.tif", labels])


def test_maps_of_the_same_ground_are_many_and_may_share_labels(fill: Callable[..., str]) -> None:
    maps = fill("maps", {"corn.tif": at(0), "beet.tif": at(0)})
    labels = fill("labels", {"all.tif": at(0)})
    assert are_folders([maps, labels])
    with pytest.raises(InputError, match="no mask of the name of a map"):
        pair_maps([maps, labels])
    assert are_folders([maps, f"{labels}/all.tif"])
    got = pair_maps([maps, f"{labels}/all.tif"])
    assert got.one_labels
    assert [one.name for one in got.files] == ["beet", "corn"]
    assert {Path(one.labels).name for one in got.files} == {"all.tif"}


def test_maps_that_another_folder_has_not_are_left_out_where_labels_are_shared(
    fill: Callable[..., str],
) -> None:
    old = fill("old", {"a.tif": at(0), "b.tif": at(0)})
    new = fill("new", {"a.tif": at(0), "c.tif": at(0)})
    labels = fill("labels", {"all.tif": at(0)})
    got = pair_maps([old, new, f"{labels}/all.tif"])
    assert [[Path(m).parent.name for m in one.maps] for one in got.files] == [["old", "new"]]
    assert got.notes == (
        "2 maps are not in every folder, so they are not compared side by side: b.tif, c.tif",
    )
    assert got.uneven


def test_photographs_have_labels_of_their_own(fill: Callable[..., str]) -> None:
    maps = fill("maps", {"a.png": None, "b.png": None})
    masks = fill("masks", {"a.png": None, "b.png": None})
    assert are_folders([maps, masks])
    assert pair_maps([maps, masks]).photographs
    with pytest.raises(InputError, match="name the folder that holds labels"):
        pair_maps([maps, f"{masks}/a.png"])


def test_names_that_end_in_what_they_are_belong_together(fill: Callable[..., str]) -> None:
    maps = fill("maps", {"1_sat.png": None, "2_sat.png": None})
    masks = fill("masks", {"1_mask.png": None, "2_mask.png": None})
    got = pair_maps([maps, masks])
    assert [one.name for one in got.files] == ["1_sat", "2_sat"]
    assert got.notes == ("paired by their names without _sat and _mask",)


# -- classes --------------------------------------------------------------------------------------


@pytest.fixture
def named(class_raster: Write, tmp_path: Path) -> Callable[..., str]:
    def made(folder: str, legends: dict[str, str]) -> str:
        (tmp_path / folder).mkdir()
        for name, legend in legends.items():
            class_raster(tmp_path / folder / f"{name}.tif", [[1]], parse_legend(legend))
        return str(tmp_path / folder)

    return made


def test_classes_are_all_that_maps_name(named: Callable[..., str]) -> None:
    maps = named("maps", {"a": "1=corn,3=beet", "b": "1=corn,2=wood"})
    labels = named("labels", {"a": "1=corn", "b": "1=corn"})
    legend, said = common_legend(pair_maps([maps, labels]).files)
    assert legend is not None
    assert list(zip(legend.ids, legend.names, strict=True)) == [
        (1, "corn"),
        (2, "wood"),
        (3, "beet"),
    ]
    assert said == ()


def test_classes_that_maps_and_labels_name_differently_are_told(
    named: Callable[..., str],
) -> None:
    maps = named("maps", {"a": "1=corn"})
    labels = named("labels", {"a": "1=maize"})
    _, said = common_legend(pair_maps([maps, labels]).files)
    assert said == ("class names differ: 1 is 'corn' in the maps and 'maize' in the labels",)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("1=beet,2=corn", r"b\.tif and .*a\.tif name their classes differently \(id 1 is 'beet'"),
        ("2=corn", r"b\.tif names its classes otherwise than .*given to two classes"),
    ],
)
@pytest.mark.parametrize("kind", ["maps", "labels"])
def test_classes_that_files_of_one_kind_name_differently_are_refused(
    named: Callable[..., str], other: str, message: str, kind: str
) -> None:
    legends = {"a": "1=corn", "b": other}
    plain = {"a": "1=corn", "b": "1=corn"}
    maps = named("maps", legends if kind == "maps" else plain)
    labels = named("labels", legends if kind == "labels" else plain)
    with pytest.raises(LabelError, match=message):
        common_legend(pair_maps([maps, labels]).files)
