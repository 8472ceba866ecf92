"""Labels of pixels, which weak labels are fitted on and measured by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import LabelError
from geoseg.inference.cam.measure import Measures
from geoseg.inference.cam.reference import FittedPatches, Reference
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

GRID = Grid(crs=CRS.from_epsg(32612), transform=Affine(30, 0, 0, 0, -30, 0), height=5, width=7)
LEGEND = parse_legend("3=water,7=forest")
VALUES = np.array(
    [
        [3, 3, 3, 3, 255, 255, 7],
        [3, 3, 3, 3, 255, 255, 7],
        [7, 7, 9, 9, 255, 255, 7],
        [7, 7, 9, 9, 255, 255, 255],
        [3, 7, 3, 7, 3, 7, 3],
    ],
    np.uint8,
)


class Left:
    """The three leftmost columns."""

    def mask(self, window: Window) -> np.ndarray:
        cols = np.arange(window.col, window.col_stop)
        return np.broadcast_to(cols < 3, (window.height, window.width))


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    return made(tmp_path)


def made(folder: Path, area: Left | None = None) -> Reference:
    for name, kind, values in (
        ("scene", "float32", np.ones((5, 7), np.float32)),
        ("labels", "uint8", VALUES),
    ):
        with RasterWriter(
            folder / f"{name}.tif",
            GRID,
            band_names=[name],
            dtype=kind,
            nodata=255 if kind == "uint8" else None,
            overwrite=True,
        ) as writer:
            writer.write_rows(0, values)
    return Reference(
        Scene.open(folder / "labels.tif"),
        Scene.open(folder / "scene.tif"),
        LEGEND,
        area=area,
        assume_aligned=False,
    )


def test_truth_is_class_index_and_other_values_are_no_labels(reference: Reference) -> None:
    assert reference.truth(Window(1, 1, 2, 6)).tolist() == [
        [0, 0, 0, 255, 255, 1],
        [1, 255, 255, 255, 255, 1],
    ]


def test_labels_outside_the_area_do_not_count(tmp_path: Path) -> None:
    truth = made(tmp_path, Left()).truth(Window(0, 0, 1, 7))

    assert truth.tolist() == [[0, 0, 0, 255, 255, 255, 255]]


def test_only_patches_with_labels_are_chosen_each_once_in_order(reference: Reference) -> None:
    chosen, labelled = reference.choose(2, 100, seed=1)

    assert labelled == 9

    assert [(w.row, w.col, w.height, w.width) for w in chosen] == [
        (0, 0, 2, 2),
        (0, 2, 2, 2),
        (0, 6, 2, 1),
        (2, 0, 2, 2),
        (2, 6, 2, 1),
        (4, 0, 1, 2),
        (4, 2, 1, 2),
        (4, 4, 1, 2),
        (4, 6, 1, 1),
    ]


def test_the_seed_chooses(reference: Reference) -> None:
    picks = {tuple((w.row, w.col) for w in reference.choose(2, 3, seed=s)[0]) for s in range(20)}

    assert len(picks) > 5
    assert reference.choose(2, 3, seed=4) == reference.choose(2, 3, seed=4)


def test_no_more_than_a_share_of_the_labelled_patches_is_chosen(reference: Reference) -> None:
    assert len(reference.choose(2, 100, seed=1, most=0.5)[0]) == 4
    assert len(reference.choose(2, 3, seed=1, most=0.5)[0]) == 3
    assert len(reference.choose(100, 3, seed=1, most=0.5)[0]) == 1


def test_a_reference_without_a_label_of_the_classes_is_refused(tmp_path: Path) -> None:
    reference = made(tmp_path)
    reference._legend = parse_legend("1=ice")  # what no pixel is
    with pytest.raises(LabelError, match=r"labels\.tif: no pixel .*ice"):
        reference.choose(2, 3, seed=0)


def test_the_regression_is_fitted_on_the_pixels_of_the_patches(reference: Reference) -> None:
    maps = np.zeros((2, 5, 7), np.float32)
    maps[0] = np.where(VALUES == 3, 4, 0)
    maps[1] = 1
    maps[:, 0, 0] = np.nan  # no activations there

    way = FittedPatches(reference.choose(2, 100, seed=0)[0]).fit(
        reference,
        lambda windows: (maps[(slice(None), *window.slices())] for window in windows),
        seed=0,
    )

    index, _ = way.choose(np.nan_to_num(maps), np.ones((5, 7), bool))
    known = (VALUES == 3) | (VALUES == 7)
    known[0, 0] = False
    np.testing.assert_array_equal(index[known], np.where(VALUES == 3, 0, 1)[known])


def test_measures_leave_out_what_was_fitted_on(reference: Reference) -> None:
    fitted = FittedPatches([Window(0, 0, 2, 4)])
    index = np.zeros((2, 5, 7), np.uint8)
    index[1] = 1
    index[:, 4, 6] = 255
    measures = Measures(["argmax", "zscore"], 2)

    measures.add(0, index[:, :3], reference, fitted)
    measures.add(3, index[:, 3:], reference, fitted)

    # Of water: 3 in the last row; of forest: 3 at the right, 4 at the left, 3 in the last row.
    assert measures.confusions["argmax"].tolist() == [[3, 0], [10, 0]]
    assert measures.confusions["zscore"].tolist() == [[0, 3], [0, 10]]
