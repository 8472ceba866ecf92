"""Labels, regions and places: what patches are of, and where they lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
from affine import Affine

from geoseg.patches.tile import tile

WriteRaster = Callable[..., Path]


def index_of(folder: Path) -> Any:
    return pyogrio.read_dataframe(folder / "index.gpkg", read_geometry=True)


def made(
    height: int, width: int, *, bands: int = 2, dtype: str = "uint16", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A scene with a triangle of nodata (0) in a corner, and labels 1, 2, 5 and some 0 and 9."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(1, 2000, (bands, height, width)).astype(dtype)
    rows, cols = np.mgrid[:height, :width]
    scene[:, rows + cols < (height + width) // 4] = 0
    scene[0, -2:, -3:] = 0  # invalid in one band alone
    labels = rng.choice([1, 2, 5, 5, 5, 0, 9], (height, width)).astype(np.uint8)
    return scene, labels


def test_labels_of_16_bits_are_looked_up_and_unknown_values_counted(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.ones((1, 4, 4), np.uint8)
    labels = np.array([[7011, -5, 9016, 9016]] * 2 + [[4, 4, 32767, 4]] * 2, np.int16)
    result = tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels, nodata=32767),
        classes=write_csv(tmp_path, "id,name,values\n0,low,7011\n1,high,9016;-5\n"),
        size=4,
        split=(1, 0, 0),
    )
    found = result.open()
    arrays = found.split("train")
    assert arrays.labels is not None
    assert arrays.labels[0].tolist() == [[0, 1, 1, 1]] * 2 + [[255] * 4] * 2
    # Nodata of the labels is no unknown value.
    assert found.metadata["ignored_label_values"] == {"4": 6}
    assert "4 (6 px)" in result.text


def write_csv(folder: Path, text: str) -> str:
    path = folder / "classes.csv"
    path.write_text(text)
    return str(path)


def test_classes_are_the_values_present_if_nobody_names_them(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.ones((1, 4, 4), np.uint8)
    labels = np.array([[3, 3, 0, 0]] * 2 + [[11, 11, 0, 3]] * 2, np.uint8)
    found = tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels, nodata=0),
        size=4,
        split=(1, 0, 0),
    ).open()
    assert found.legend is not None
    assert found.legend.ids == (3, 11)
    assert found.class_pixels["train"] == (6, 4)


def test_labels_on_a_shifted_grid_are_brought_to_the_scene(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.ones((1, 8, 8), np.uint8)
    labels = np.arange(1, 10, dtype=np.uint8).reshape(3, 3)
    said: list[str] = []
    # 60 m labels whose first pixel begins 40 m right of and 10 m below the scene's first.
    found = tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels, transform=Affine(60, 0, 500_040, 0, -60, 3_999_990)),
        size=8,
        split=(1, 0, 0),
        say=said.append,
    ).open()
    arrays = found.split("train")
    assert arrays.labels is not None
    # Centres of pixels lie at 15, 45, 75 … m from the scene's corner.
    col = [-1, 0, 0, 1, 1, 2, 2, -1]
    row = [0, 0, 1, 1, 2, 2, -1, -1]
    wanted = [[255 if r < 0 or c < 0 else labels[r, c] - 1 for c in col] for r in row]
    assert arrays.labels[0].tolist() == wanted
    assert len(said) == 1
    assert "another grid" in said[0]


def test_region_bounds_patches_and_labels(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene, labels = made(20, 20)
    labels[:] = 1
    scene[scene == 0] = 1
    # Rows 10 to 19, columns 4 to 13.
    region = f"{500_000 + 4 * 30},{4_000_000 - 20 * 30},{500_000 + 14 * 30},{4_000_000 - 10 * 30}"
    found = tile(
        write_raster("s.tif", scene, nodata=0),
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        region=region,
        size=5,
        split=(1, 0, 0),
    ).open()
    index = index_of(tmp_path / "set")
    assert list(zip(index.row, index.col, strict=True)) == [(10, 4), (10, 9), (15, 4), (15, 9)]
    assert found.class_pixels["train"] == (100,)


def test_patches_outside_a_polygon_are_dropped_and_labels_there_do_not_count(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.ones((1, 12, 12), np.uint8)
    labels = np.ones((12, 12), np.uint8)
    # The corner triangle below the diagonal of the first 8 rows and columns.
    ring = [(0, 0), (0, 8), (8, 8), (0, 0)]
    geometry = {
        "type": "Polygon",
        "coordinates": [[[500_000 + 30 * c, 4_000_000 - 30 * r] for c, r in ring]],
    }
    polygon = tmp_path / "region.geojson"
    polygon.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "EPSG:32612"}},
                "features": [{"type": "Feature", "properties": {}, "geometry": geometry}],
            }
        )
    )
    found = tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        region=str(polygon),
        size=4,
        split=(1, 0, 0),
    ).open()
    index = index_of(tmp_path / "set")
    assert dict(zip(zip(index.row, index.col, strict=True), index.reason, strict=True)) == {
        (0, 0): "",
        (0, 4): "outside the region",
        (4, 0): "",
        (4, 4): "",
    }
    assert found.class_pixels["train"][0] == pytest.approx(32, abs=4)


def test_footprints_lie_where_patches_do_on_rotated_and_south_up_grids(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.ones((1, 6, 9), np.uint8)
    for number, transform in enumerate(
        [Affine(10, 0, 1000, 0, 10, 5000), Affine(8, 6, 1000, -6, 8, 5000)]
    ):
        folder = tmp_path / f"set{number}"
        tile(write_raster("s.tif", scene, transform=transform), folder, size=3, split=(1, 0, 0))
        for row in index_of(folder).itertuples():
            corners = [
                transform @ (c, r)
                for c, r in [(0, 0), (3, 0), (3, 3), (0, 3)]
                for c, r in [(c + row.col, r + row.row)]
            ]
            found = sorted(set(row.geometry.exterior.coords))
            assert np.allclose(found, sorted(corners))


def test_photographs_need_no_place(write_raster: WriteRaster, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nowhere: dict[str, Any] = {"crs": None, "transform": None}
    photos = [
        write_raster(f"p{i}.tif", rng.integers(1, 255, (3, 8, 8), np.uint8), **nowhere)
        for i in range(5)
    ]
    masks = [
        write_raster(f"m{i}.tif", rng.integers(0, 2, (8, 8), np.uint8), **nowhere) for i in range(5)
    ]
    found = tile(
        photos,
        tmp_path / "set",
        labels=masks,
        classes="0=ground,1=plant",
        assume_aligned=True,
        size=8,
        split=(0.6, 0.2, 0.2),
    ).open()
    assert found.splits == {"train": 3, "val": 1, "test": 1}
    assert found.crs_units is None
    index = index_of(tmp_path / "set")
    assert index.geometry.total_bounds.tolist() == [0, -8, 8, 0]


def test_scenes_in_two_coordinate_systems_share_ground(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    one = np.ones((1, 64, 64), np.uint8)
    # About the same place: 30 m are near 0.00033° of longitude there.
    left, top = -111.0, 36.1441
    two = write_raster(
        "b.tif", one, crs="EPSG:4326", transform=Affine(3.34e-4, 0, left, 0, -2.7e-4, top)
    )
    tile([write_raster("a.tif", one), two], tmp_path / "set", size=8, seed=2, split=(0.5, 0.5, 0))
    index = index_of(tmp_path / "set")
    assert str(index.crs.to_epsg()) == "32612"
    kept = index[index.split != ""]
    train, val = (kept[kept.split == s].geometry.union_all() for s in ("train", "val"))
    assert kept.scene.nunique() == 2
    assert train.intersection(val).area < 1.0


def test_patches_with_few_labels_are_dropped_on_demand(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    labels = np.zeros((4, 12), np.uint8)
    labels[0, 0] = 1
    labels[0, 4:6] = 1
    tile(
        write_raster("s.tif", np.ones((1, 4, 12), np.uint8)),
        tmp_path / "set",
        labels=write_raster("l.tif", labels, nodata=0),
        size=4,
        min_labelled=0.1,
        split=(1, 0, 0),
    )
    assert index_of(tmp_path / "set").reason.tolist() == ["too few labels", "", "no label"]
