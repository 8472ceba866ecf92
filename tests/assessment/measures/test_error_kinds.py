from __future__ import annotations

import numpy as np

from geoseg.assessment.confusion import NOTHING, Confusion
from geoseg.assessment.measures.errors import MOST_KINDS, error_kinds
from geoseg.assessment.measures.overview import OverviewMeter
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.palette import color_distance
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.window import Window

LEGEND = parse_legend("1=water,2=forest,3=shrub")


def test_errors_are_named_by_both_classes_the_commonest_first() -> None:
    counts = np.array([[5, 0, 2], [0, 9, 7], [0, 1, 4]])
    kinds = error_kinds(Confusion(counts, np.array([0, 3, 0])), LEGEND)
    assert kinds.legend.names == (
        "right",
        "forest → shrub",
        "water → shrub",
        "shrub → forest",
        "no prediction",
    )
    truth = np.array([0, 1, 0, 2, 1, NOTHING], np.uint8)
    found = np.array([0, 2, 2, 1, NOTHING, 1], np.uint8)
    assert kinds.ids(truth, found).tolist() == [0, 1, 2, 3, 4, NODATA]


def test_no_class_without_pixels_is_in_the_legend() -> None:
    kinds = error_kinds(Confusion(np.diag([1, 2, 3]), np.zeros(3)), LEGEND)
    assert kinds.legend.names == ("right",)


def test_rarer_errors_share_one_class_and_colours_are_told_apart() -> None:
    legend = Legend.of_values(range(12))
    counts = np.arange(1, 145).reshape(12, 12)
    kinds = error_kinds(Confusion(counts, np.ones(12)), legend)
    names = kinds.legend.names
    assert len(names) == MOST_KINDS + 3
    assert names[-2:] == ("other errors", "no prediction")
    assert names[1] == "class 11 → class 10"
    pixels = np.arange(12, dtype=np.uint8)
    ids = kinds.ids(*np.meshgrid(pixels, pixels, indexing="ij"))
    assert (ids == names.index("other errors")).sum() == 12 * 11 - MOST_KINDS
    assert set(np.diagonal(ids)) == {0}
    colors = kinds.legend.colors
    assert min(color_distance(colors[0], c) for c in colors[1:]) > 15


def test_overview_has_shares_by_cell_and_the_worst_patches_first() -> None:
    truth = np.zeros((400, 40), np.uint8)
    truth[:50] = NOTHING
    found = np.zeros((1, 400, 40), np.uint8)
    found[0, 210:215] = 1  # 200 errors
    found[0, 399, :7] = 1
    found[0, 300:310] = NOTHING
    meter = OverviewMeter(
        Window(0, 0, 400, 40), predictions=1, patches=8, unpredicted_is_wrong=False
    )
    for row in range(0, 400, 64):
        part = np.ascontiguousarray(found[:, row : row + 64])
        meter.take(row, truth[row : row + 64], part)
    (got,) = meter.result()
    assert got.side == 2
    assert got.shares.shape == (200, 20)
    assert np.isnan(got.shares[:25]).all()
    assert np.isnan(got.shares[150:155]).all()
    assert got.shares[105:107].min() == 1
    assert got.shares[107, 0] == 0.5
    assert np.nansum(got.shares) == 2.5 * 20 + 3 * 0.5 + 0.25
    # Patches of 100 rows.
    assert [(w.row, wrong, scored) for w, wrong, scored in got.worst] == [
        (200, 200, 4000),
        (300, 7, 3600),
    ]
