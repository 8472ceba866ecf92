"""What labels of whole patches say about a scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import DatasetError, LabelError
from geoseg.inference.cam.known import KnownClasses, known_classes
from geoseg.patches.tile import tile
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.window import Window

GRID = Grid(crs=CRS.from_epsg(32612), transform=Affine(30, 0, 0, 0, -30, 0), height=8, width=12)
LEGEND = parse_legend("1=water,2=forest,3=barren")


def test_a_class_that_a_patch_denies_is_nowhere_in_it() -> None:
    known = KnownClasses(np.array([[0, 0, 2]]), np.array([[1, 0, 255]], np.uint8))

    allowed = known.allowed(Window(0, 0, 3, 3))

    assert allowed is not None
    assert allowed[0].all()
    assert allowed[1].astype(int).tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 1]]
    assert allowed[2].all()  # of which nobody knows


def test_overlapping_patches_must_agree() -> None:
    known = KnownClasses(np.array([[0, 0, 2], [0, 1, 2]]), np.array([[1, 1], [0, 1]], np.uint8))

    allowed = known.allowed(Window(0, 0, 1, 3))

    assert allowed is not None
    assert allowed[:, 0].astype(int).tolist() == [[1, 0, 0], [1, 1, 1]]


def test_patches_that_deny_each_others_classes_leave_both() -> None:
    known = KnownClasses(
        np.array([[0, 0, 2], [0, 1, 2]]), np.array([[1, 0, 0], [0, 1, 0]], np.uint8)
    )

    allowed = known.allowed(Window(0, 0, 1, 3))

    assert allowed is not None
    assert allowed[:, 0].astype(int).tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_windows_are_cut_out_of_the_same_answer() -> None:
    random = np.random.default_rng(5)
    known = KnownClasses(
        np.stack([random.integers(-2, 9, 12), random.integers(-2, 9, 12), np.full(12, 4)], axis=1),
        random.choice([0, 1, 255], (12, 3)).astype(np.uint8),
    )

    whole = known.allowed(Window(0, 0, 10, 10))
    part = known.allowed(Window(3, 2, 4, 5))

    assert whole is not None
    assert part is not None
    np.testing.assert_array_equal(part, whole[:, 3:7, 2:7])


def test_where_no_patch_lies_everything_is_possible() -> None:
    known = KnownClasses(np.array([[0, 0, 2]]), np.array([[1, 0]], np.uint8))

    assert known.allowed(Window(2, 0, 3, 3)) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two patches of 4 × 4 side by side: water and barren, then forest."""
    labels = np.full((8, 12), 2, np.uint8)
    labels[:4, :4] = 1
    labels[0, 0] = 3  # 1 of 16 pixels is more than 5 %
    with RasterWriter(
        tmp_path / "labels.tif", GRID, band_names=["class"], dtype="uint8", nodata=255
    ) as writer:
        writer.write_rows(0, labels)
    with RasterWriter(
        tmp_path / "scene.tif", GRID, band_names=["red"], dtype="float32", nodata=None
    ) as writer:
        writer.write_rows(0, np.arange(96, dtype=np.float32).reshape(8, 12) + 1)
    tile(
        tmp_path / "scene.tif",
        tmp_path / "patches",
        labels=tmp_path / "labels.tif",
        size=4,
        split="1,0,0",
        classes="1=water,2=forest,3=barren",
        workers=1,
    )
    return tmp_path / "patches"


def test_a_data_set_says_what_its_patches_hold(folder: Path) -> None:
    known = known_classes(folder, GRID, LEGEND)

    assert sorted(known.windows[:, :2].tolist()) == [[r, c] for r in (0, 4) for c in (0, 4, 8)]
    held = {tuple(w[:2]): p.tolist() for w, p in zip(known.windows, known.present, strict=True)}
    assert held[0, 0] == [1, 0, 1]
    assert held[0, 4] == [0, 1, 0]


def test_a_data_set_of_another_scene_is_refused(folder: Path) -> None:
    elsewhere = Grid(crs=GRID.crs, transform=Affine(30, 0, 30, 0, -30, 0), height=8, width=12)
    with pytest.raises(DatasetError, match="not cut from this scene"):
        known_classes(folder, elsewhere, LEGEND)


def test_a_data_set_of_other_classes_is_refused(folder: Path) -> None:
    with pytest.raises(LabelError, match="water, forest, barren, and the model water, wood"):
        known_classes(folder, GRID, parse_legend("1=water,2=wood"))


def test_what_is_no_data_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="geoseg tile"):
        known_classes(tmp_path, GRID, LEGEND)
