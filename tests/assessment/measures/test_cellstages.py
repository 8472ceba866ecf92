from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.assessment.coverage.cells import coverage_by_cell, grid_of_cells
from geoseg.assessment.coverage.source import open_source
from geoseg.assessment.measures.cellstages import Cells, CellStages
from geoseg.assessment.measures.stagetable import UnitStages
from geoseg.assessment.stages import StageTable
from geoseg.errors import GridError, OptionError
from geoseg.raster.cover.cells import CellSize
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.window import Window

AGDE = StageTable.agde()
NAMES = AGDE.names
HERE = Affine(30, 0, 300000, 0, -30, 4000000)


def grid_of(
    height: int, width: int, *, transform: Affine = HERE, crs: str | None = "EPSG:32612"
) -> Grid:
    system = None if crs is None else CRS.from_string(crs)
    return Grid(crs=system, transform=transform, height=height, width=width)


def measure(
    grid: Grid,
    cell: str,
    truth: Any,
    found: Any,
    *,
    window: Window | None = None,
    wrong: bool = False,
    strip: int = 3,
) -> tuple[Cells, tuple[UnitStages, ...]]:
    truth, found = np.array(truth, np.uint8), np.array(found, np.uint8)
    found = found[np.newaxis] if found.ndim == 2 else found
    window = window or grid.window
    meter = CellStages(
        window,
        grid,
        CellSize.parse(cell),
        name="map",
        table=AGDE,
        target=[1],
        excluded=[2],
        predictions=len(found),
        unpredicted_is_wrong=wrong,
    )
    for row in range(0, len(truth), strip):
        meter.take(window.row + row, truth[row : row + strip], found[:, row : row + strip])
    return meter.result()


def test_pixels_that_two_cells_share_count_in_both_by_their_parts() -> None:
    # Cells of 45 m have borders at 299970, 300015, 300060 and 300105; pixels of 30 m at 300000, …
    cells, (got,) = measure(grid_of(1, 3), "45m", [[1, 0, 1]], [[1, 0, 0]])
    assert cells.cols.tolist() == [0, 1, 2]
    assert got.true_percent[:3] == pytest.approx([100, 100 / 3, 100])
    assert got.found_percent[:3] == pytest.approx([100, 100 / 3, 0])
    assert [NAMES[i] for i in got.true[:3]] == ["other", "II", "other"]
    assert cells.centres[0].tolist() == [299970 + 22.5, 4000005 - 22.5]


def test_pixels_without_label_or_prediction_are_not_scored_and_empty_cells_are_left_out() -> None:
    truth = [[1, 1, 0, 255, 1, 255]]
    found = [[0, 255, 0, 1, 255, 255]]
    cells, (got,) = measure(grid_of(1, 6), "2px", truth, found)
    assert cells.cols.tolist() == [0, 1]
    assert got.true_percent.tolist() == [100, 0]
    assert got.found_percent.tolist() == [0, 0]
    cells, (got,) = measure(grid_of(1, 6), "2px", truth, found, wrong=True)
    assert cells.cols.tolist() == [0, 1, 2]
    assert got.true_percent.tolist() == [100, 0, 100]
    np.testing.assert_array_equal(got.found_percent, [0, 0, np.nan])
    assert got.scores.totals.sum() == 3


def test_cell_that_only_another_map_has_is_no_unit_of_this_one() -> None:
    found = np.array([[[1, 1, 255, 255]], [[1, 1, 1, 0]]], np.uint8)
    cells, (one, other) = measure(grid_of(1, 4), "2px", [[1, 1, 1, 1]], found)
    assert cells.cols.tolist() == [0, 1]
    assert (one.scores.totals.sum(), other.scores.totals.sum()) == (1, 2)


def test_joined_units_are_those_of_all_maps() -> None:
    _, (one,) = measure(grid_of(1, 4), "2px", [[1, 0, 1, 1]], [[1, 0, 0, 0]])
    got = UnitStages.joined([one, one])
    assert got.true_percent.tolist() == [50, 100] * 2
    assert got.scores.confusion == one.scores.confusion + one.scores.confusion
    assert got.mean_error == one.mean_error == 50


def slow(
    grid: Grid, side: float, truth: np.ndarray, found: np.ndarray, window: Window, *, wrong: bool
) -> dict[tuple[int, int], tuple[float, float, float, float]]:
    """Pixel by pixel and cell by cell: part and whole of labels and of the map."""
    sums: dict[tuple[int, int], list[float]] = {}
    west = math.floor(grid.bounds()[0] / side + 1e-9)
    north = math.ceil(grid.bounds()[3] / side - 1e-9)
    step = grid.resolution[0]
    for (row, col), one in np.ndenumerate(truth):
        other = int(found[row, col])
        if one == 255 or (other == 255 and not wrong):
            continue
        x0 = grid.transform.c + step * (col + window.col)
        y1 = grid.transform.f - step * (row + window.row)
        for i in range(math.floor(x0 / side), math.ceil((x0 + step) / side)):
            for j in range(math.floor((y1 - step) / side), math.ceil(y1 / side)):
                wide = min(x0 + step, (i + 1) * side) - max(x0, i * side)
                high = min(y1, (j + 1) * side) - max(y1 - step, j * side)
                if wide <= 0 or high <= 0:
                    continue
                place = sums.setdefault((north - 1 - j, i - west), [0.0] * 4)
                for at, value in ((0, int(one)), (2, other)):
                    place[at] += wide * high * (value == 1)
                    place[at + 1] += wide * high * (value not in (2, 255))
    return {place: tuple(four) for place, four in sums.items()}  # type: ignore[misc]


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    side=st.sampled_from([20.0, 30.0, 64.0, 90.0, 100.0]),
    seed=st.integers(0, 10**6),
    wrong=st.booleans(),
    strip=st.integers(1, 4),
    cut=st.booleans(),
)
def test_percents_are_those_of_a_slow_count(
    size: tuple[int, int], side: float, seed: int, wrong: bool, strip: int, cut: bool
) -> None:
    random = np.random.default_rng(seed)
    grid = grid_of(*size)
    window = Window(size[0] // 3, size[1] // 4, size[0] - size[0] // 3, size[1] - size[1] // 4)
    window = window if cut else grid.window
    shape = (window.height, window.width)
    truth, found = (random.choice([0, 1, 2, 255], shape).astype(np.uint8) for _ in range(2))
    cells, (got,) = measure(
        grid, f"{side:g}m", truth, found, window=window, wrong=wrong, strip=strip
    )
    wanted = slow(grid, side, truth, found, window, wrong=wrong)
    places = list(zip(cells.rows.tolist(), cells.cols.tolist(), strict=True))
    assert places == sorted(wanted)
    for number, place in enumerate(places):
        part, whole, found_part, found_whole = wanted[place]
        expected = [100 * a / b if b else np.nan for a, b in ((part, whole),)]
        np.testing.assert_allclose(got.true_percent[number], expected[0], atol=1e-6)
        expected = [100 * found_part / found_whole if found_whole else np.nan]
        np.testing.assert_allclose(got.found_percent[number], expected[0], atol=1e-6)


@pytest.mark.parametrize(
    ("transform", "crs", "cell"),
    [
        (HERE, "EPSG:32612", "70m"),
        (Affine(0.01, 0, 10.003, 0, -0.01, 60.002), "EPSG:4326", "0.037deg"),
        (Affine(30, 0, 300000, 0, 30, 4000000), "EPSG:32612", "100m"),
        (Affine(30, 0, 0, 0, -30, 5000), None, "7px"),
    ],
)
def test_stages_are_those_that_coverage_writes_to_the_last_bit(
    transform: Affine, crs: str | None, cell: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    sides = random.integers(0, 3, (2, 40, 33), np.uint8)
    percents, stages = [], []
    for number, pixels in enumerate(sides):
        path = tmp_path / f"{number}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=33, height=40, count=1, dtype="uint8", crs=crs,
            transform=transform, nodata=255,
        ) as file:  # fmt: skip
            file.write(pixels, 1)
        legend = parse_legend("0=grass,1=weed,2=sky")
        source = open_source(path, target=["1"], excluded=["2"], classes=legend)
        output = tmp_path / f"{number}-coverage.tif"
        grid = grid_of_cells(source, size=cell)
        coverage_by_cell(source, output, grid, how={"cell": cell}, stages=AGDE)
        with rasterio.open(output) as file:
            percents.append(file.read(1))
        with rasterio.open(tmp_path / f"{number}-coverage_stage.tif") as file:
            stages.append(file.read(1))
    grid = grid_of(40, 33, transform=transform, crs=crs)
    cells, (got,) = measure(grid, cell, sides[0], sides[1], strip=7)
    assert cells.rows.size == percents[0].size
    place = (cells.rows, cells.cols)
    for found, percent in ((got.true_percent, percents[0]), (got.found_percent, percents[1])):
        np.testing.assert_array_equal(found.astype(np.float32), percent[place])
    some = stages[0][place] != 255
    np.testing.assert_array_equal(got.true[some] + 1, stages[0][place][some])


def test_cells_that_cannot_be_are_refused() -> None:
    with pytest.raises(GridError, match="coordinates in metres"):
        measure(grid_of(1, 1), "0.1deg", [[1]], [[1]])
    turned = HERE @ Affine.rotation(20)
    with pytest.raises(GridError, match="rotated"):
        measure(grid_of(1, 1, transform=turned), "100m", [[1]], [[1]])
    with pytest.raises(OptionError, match="far smaller"):
        measure(grid_of(1, 1), "0.1m", [[1]], [[1]])
