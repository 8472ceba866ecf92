"""Coverage by cell: by hand, against sums over finer pixels, and on every kind of grid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.assessment.coverage.cells import coverage_by_cell, grid_of_cells, stage_path
from geoseg.assessment.coverage.result import Result
from geoseg.assessment.coverage.source import open_source
from geoseg.assessment.stages import StageTable
from geoseg.errors import LabelError, OutputError
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend

CLASSES = parse_legend("1=water,2=forest,3=grass")
Write = Callable[..., Path]


def measure(
    raster: Path,
    output: Path,
    *,
    target: str = "forest",
    exclude: tuple[str, ...] = (),
    classes: Legend | None = CLASSES,
    probabilities: bool = False,
    size: str | None = None,
    like: Path | None = None,
    **options: Any,
) -> Result:
    source = open_source(
        raster, target=[target], excluded=exclude, classes=classes, probabilities=probabilities
    )
    cells = grid_of_cells(source, size=size, like=None if like is None else str(like))
    how = {"cell": size} if size else {"like": str(like)}
    return coverage_by_cell(source, output, cells, how=how, **options)


def bands(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def test_a_cell_counts_its_pixels_but_for_the_excluded_and_nodata(
    write: Write, tmp_path: Path
) -> None:
    pixels = [[2, 3, 1, 1], [2, 2, 1, 1], [255, 255, 255, 2], [255, 255, 1, 9]]
    raster = write(tmp_path / "map.tif", pixels)
    found = measure(raster, tmp_path / "c.tif", size="2px", exclude=("water",), hectares=True)
    coverage, nodata, hectares = bands(tmp_path / "c.tif")
    assert coverage == pytest.approx(np.array([[75, np.nan], [np.nan, 100]]), nan_ok=True)
    assert nodata.tolist() == [[0, 0], [100, 50]]  # 9 is no class
    assert hectares[0, 0] == pytest.approx(0.27, rel=1e-3)
    assert np.isnan(hectares[0, 1])
    assert found.total.coverage == 80
    assert found.total.nodata_share == pytest.approx(37.5)
    assert found.total.excluded_ha == pytest.approx(5 * 0.09, rel=1e-3)
    assert (found.counted, found.count) == (2, 4)
    assert found.notes == (
        f"1 px of {raster} hold a value that is no class (9) and count as without data",
    )


def test_pixels_cut_by_a_border_count_by_their_part(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "map.tif", [[2, 3, 2]])
    # Cells of 45 m on pixels of 30 m: of the first cell, two thirds are forest.
    like = write(
        tmp_path / "like.tif", np.zeros((1, 3)), transform=Affine(45, 0, 300000, 0, -30, 4000000)
    )
    measure(raster, tmp_path / "c.tif", like=like)
    coverage, nodata = bands(tmp_path / "c.tif")
    assert coverage[0] == pytest.approx([200 / 3, 200 / 3, np.nan], nan_ok=True)
    assert nodata[0].tolist() == [0, 0, 100]


@pytest.mark.parametrize("size", ["100m", "7m", "0.3px"])
def test_full_cells_whose_borders_are_rounded_miss_nothing(
    write: Write, tmp_path: Path, size: str
) -> None:
    raster = write(
        tmp_path / "map.tif", np.full((40, 50), 2), transform=Affine(30, 0, 300010, 0, -30, 4000020)
    )
    # Their sides are no whole number of pixels, nor of the parts that places are rounded to.
    measure(raster, tmp_path / "c.tif", size=size)
    nodata = bands(tmp_path / "c.tif")[1]
    assert nodata.min() == 0
    assert (nodata[1:-1, 1:-1] == 0).all()


def test_output_says_what_it_holds(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "map.tif", [[2, 3]])
    measure(raster, tmp_path / "c.tif", size="60m", stages=StageTable.agde())
    with rasterio.open(tmp_path / "c.tif") as file:
        assert file.descriptions == ("coverage", "nodata_share")
        assert file.units == ("%", "%")
        assert file.dtypes == ("float32", "float32")
        assert np.isnan(file.nodata)
        assert (
            file.tags()["GEOSEG_COMMAND"]
            == "geoseg coverage map.tif --target forest --cell 60m --stages agde"
        )
    style = (tmp_path / "c.qml").read_text()
    assert 'classificationMin="0.0"' in style
    assert 'classificationMax="100.0"' in style
    legend = raster_legend(stage_path(tmp_path / "c.tif"))
    assert legend is not None
    assert legend.names == ("I", "II", "III", "IV", "V", "other")


@pytest.mark.parametrize(
    ("forest", "stage"), [(0, 1), (195, 1), (200, 2), (959, 5), (960, 6), (1000, 6), (None, 255)]
)
def test_stages_at_their_borders(
    write: Write, tmp_path: Path, forest: int | None, stage: int
) -> None:
    pixels = np.full((20, 50), 3)
    pixels.ravel()[:forest] = 2
    if forest is None:
        pixels[:] = 1
    raster = write(tmp_path / "map.tif", pixels)
    options = {"exclude": ("water",), "stages": StageTable.agde()}
    measure(raster, tmp_path / "c.tif", size="3000m", **options)
    assert bands(tmp_path / "c_stage.tif").tolist() == [[[stage]]]
    shape = Affine(1500, 0, 300000, 0, -600, 4000000)
    like = write(tmp_path / "like.tif", [[0]], transform=shape)
    result = measure(raster, tmp_path / "l.tif", like=like, **options)
    assert bands(tmp_path / "l_stage.tif").ravel().tolist() == [stage]
    assert sum(result.stages.values()) == (stage != 255)


def test_south_up_and_north_up_rasters_give_the_same_cells(write: Write, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(1, 4, (13, 17))
    up = write(tmp_path / "up.tif", pixels)
    turned = Affine(30, 0, 300000, 0, 30, 4000000 - 13 * 30)
    down = write(tmp_path / "down.tif", pixels[::-1], transform=turned)
    for name, raster in (("u.tif", up), ("d.tif", down)):
        measure(raster, tmp_path / name, size="100m")
    # Rows are added in the other order, so but for rounding.
    assert bands(tmp_path / "u.tif") == pytest.approx(bands(tmp_path / "d.tif"), nan_ok=True)


def test_rotated_raster_has_cells_of_its_own_pixels(write: Write, tmp_path: Path) -> None:
    turned = Affine(20, 10, 300000, 10, -20, 4000000)
    raster = write(tmp_path / "map.tif", [[2, 2, 3], [2, 3, 3]], transform=turned)
    measure(raster, tmp_path / "c.tif", size="2px")
    coverage, nodata = bands(tmp_path / "c.tif")
    assert coverage.tolist() == [[75, 0]]
    assert nodata.tolist() == [[0, 50]]
    with rasterio.open(tmp_path / "c.tif") as file:
        assert file.transform == Affine(40, 20, 300000, 20, -40, 4000000)


def test_a_map_without_place_has_shares_and_no_hectares(write: Write, tmp_path: Path) -> None:
    raster = write(
        tmp_path / "map.tif", [[2, 3], [3, 3]], crs=None, transform=Affine(1, 0, 0, 0, -1, 9)
    )
    found = measure(raster, tmp_path / "c.tif", size="2px", hectares=True)
    assert bands(tmp_path / "c.tif").tolist() == [[[25]], [[0]]]
    assert found.total.target_ha is None


def test_rows_of_degrees_weigh_by_their_area(write: Write, tmp_path: Path) -> None:
    # One row about the equator, one at 60° north, of half its area.
    degrees = Affine(10, 0, 0, 0, -60.5, 61)
    raster = write(tmp_path / "map.tif", [[2], [3]], crs="EPSG:4326", transform=degrees)
    found = measure(raster, tmp_path / "c.tif", size="2px", hectares=True)

    def zone(south: float, north: float) -> float:
        return float(np.diff(np.sin(np.radians([south, north])))[0])

    upper, lower = zone(0.5, 61), zone(-60, 0.5)
    assert found.total.coverage == pytest.approx(100 * upper / (upper + lower), abs=0.3)
    assert bands(tmp_path / "c.tif")[2, 0, 0] == pytest.approx(found.total.target_ha)


def test_without_legend_classes_are_the_values(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "map.tif", [[0, 7, 7, 8]])
    found = measure(
        raster, tmp_path / "c.tif", target="7", exclude=("0",), classes=None, size="4px"
    )
    assert bands(tmp_path / "c.tif")[0, 0, 0] == pytest.approx(200 / 3)
    assert (found.target, found.excluded) == (("class 7",), ("class 0",))


def test_probabilities_give_the_expected_coverage(write: Write, tmp_path: Path) -> None:
    water, forest, grass = [0.5, 0.0, 0.0], [0.25, 1.0, np.nan], [0.25, 0.0, 1.0]
    raster = write(
        tmp_path / "p.tif",
        [[water], [forest], [grass]],
        dtype="float32",
        nodata=float("nan"),
        names=("water", "forest", "grass"),
    )
    options: dict[str, Any] = {"probabilities": True, "classes": None, "size": "3px"}
    found = measure(raster, tmp_path / "c.tif", exclude=("water",), **options)
    # 1.25 of (1 − 0.5) + 1.
    assert found.total.coverage == pytest.approx(100 * 1.25 / 1.5)
    measure(raster, tmp_path / "d.tif", **options)
    assert bands(tmp_path / "d.tif")[0, 0, 0] == pytest.approx(62.5)
    assert bands(tmp_path / "d.tif")[1, 0, 0] == pytest.approx(100 * 7 / 9)  # 2 px of 3 × 3


def test_no_file_is_left_where_a_value_is_no_probability(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "p.tif", [[[1, 2]], [[0, 0]]], dtype="float32", names=("a", "b"))
    with pytest.raises(LabelError, match="band 'a' holds 2, which is no probability"):
        measure(
            raster, tmp_path / "c.tif", target="a", probabilities=True, classes=None, size="1px"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.tif"]


def test_scaled_probabilities_are_scaled(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "p.tif", [[[50]], [[150]]], names=("a", "b"))
    with rasterio.open(raster, "r+") as file:
        file.scales = (0.005, 0.005)
    options: dict[str, Any] = {"probabilities": True, "classes": None, "size": "1px"}
    measure(raster, tmp_path / "c.tif", target="b", **options)
    assert bands(tmp_path / "c.tif")[0, 0, 0] == pytest.approx(75)


def test_stages_that_are_there_stop_the_run_before_it_reads(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "map.tif", [[2]])
    (tmp_path / "c_stage.tif").write_text("mine")
    with pytest.raises(OutputError, match=r"c_stage.tif is there already"):
        measure(raster, tmp_path / "c.tif", size="1px", stages=StageTable.agde())
    assert not (tmp_path / "c.tif").exists()


def test_workers_change_no_byte(write: Write, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 4, (700, 900))
    degrees = Affine(0.001, 0, 8.0003, 0, -0.001, 50.0007)
    raster = write(tmp_path / "map.tif", pixels, nodata=0, crs="EPSG:4326", transform=degrees)
    marks = set()
    for workers in (1, 3):
        target = tmp_path / f"{workers}" / "c.tif"
        target.parent.mkdir()
        measure(raster, target, size="0.0137deg", workers=workers, hectares=True)
        marks.add(hashlib.sha256(target.read_bytes()).hexdigest())
    assert len(marks) == 1


_GRIDS = st.tuples(
    st.integers(1, 30), st.integers(1, 30), st.integers(-40, 60), st.integers(-40, 60)
)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 7), _GRIDS)
def test_cells_are_sums_over_fine_pixels(
    tmp_path: Path, write: Write, seed: int, height: int, width: int, cells: tuple[int, ...]
) -> None:
    tall, wide, left, top = cells  # in units, of which a pixel has 8 × 8
    pixels = np.random.default_rng(seed).integers(0, 4, (height, width)).astype(np.uint8)
    raster = write(
        tmp_path / "map.tif", pixels, nodata=0, transform=Affine(8, 0, 1000, 0, -8, 1000)
    )
    shape = (3, 4)
    like = write(
        tmp_path / "like.tif",
        np.zeros(shape),
        transform=Affine(wide, 0, 1000 + left, 0, -tall, 1000 - top),
    )
    if left >= 8 * width or top >= 8 * height or left + 4 * wide <= 0 or top + 3 * tall <= 0:
        return
    measure(raster, tmp_path / "c.tif", like=like, exclude=("water",), overwrite=True)
    fine = np.zeros((8 * height + 400, 8 * width + 400), np.uint8)
    fine[200:-200, 200:-200] = np.kron(pixels, np.ones((8, 8), np.uint8))
    coverage, nodata = bands(tmp_path / "c.tif")
    for row in range(shape[0]):
        for col in range(shape[1]):
            y, x = 200 + top + row * tall, 200 + left + col * wide
            part = fine[y : y + tall, x : x + wide]
            forest, counted = (part == 2).sum(), (part >= 2).sum()
            wanted = 100 * forest / counted if counted else np.nan
            assert coverage[row, col] == pytest.approx(wanted, nan_ok=True, rel=1e-6)
            assert nodata[row, col] == pytest.approx(100 * (part == 0).mean(), abs=1e-5)


def overlaps(start: float, count: int, size: int) -> NDArray[np.float64]:
    """(count, size): what cells of one pixel, the first from `start`, share with pixels from 0."""
    cell, pixel = start + np.arange(count)[:, np.newaxis], np.arange(size)
    return np.clip(np.minimum(cell, pixel) + 1 - np.maximum(cell, pixel), 0, 1)


@pytest.mark.realdata
@pytest.mark.parametrize("half", [True, False])
def test_tree_canopy_on_a_shifted_grid(
    real_data: Path, write: Write, tmp_path: Path, half: bool
) -> None:
    canopy, like = (real_data / "storml" / n for n in ("storml_tcc.tif", "sr_b4_20200829.tif"))
    with rasterio.open(canopy) as file:
        values, grid, crs = file.read(1), file.transform, file.crs
    if half:
        shifted = Affine(30, 0, grid.c - 15, 0, -30, grid.f - 15)
        like = write(tmp_path / "like.tif", np.zeros((108, 144)), transform=shifted, crs=crs)
    with rasterio.open(like) as file:
        there, shape = file.transform, file.shape
    trees, bare = range(10, 72), range(10)
    legend = Legend.of([(1, "trees", None, trees), (2, "bare", None, bare)])
    measure(canopy, tmp_path / "c.tif", target="trees", classes=legend, like=like)
    coverage, nodata = bands(tmp_path / "c.tif")
    down = overlaps((there.f - grid.f) / grid.e, shape[0], values.shape[0])
    along = overlaps((there.c - grid.c) / grid.a, shape[1], values.shape[1]).T
    wooded, known = down @ (values >= 10) @ along, down @ np.ones(values.shape) @ along
    wanted = np.divide(100 * wooded, known, out=np.full(shape, np.nan), where=known > 0)
    assert coverage == pytest.approx(wanted, nan_ok=True, rel=1e-6, abs=1e-5)
    assert nodata == pytest.approx(100 - 100 * known, abs=1e-5)
    assert len(np.unique(coverage[np.isfinite(coverage)])) > 4


@pytest.mark.realdata
def test_forest_of_zion_by_cell_is_the_share_of_whole_pixels(
    real_data: Path, tmp_path: Path
) -> None:
    raster = real_data / "zion" / "nlcd_simplified_on_landsat_grid.tif"
    legend = parse_legend("1=water,2=developed,3=barren,4=forest,5=shrub,6=herb,7=crop,8=wetland")
    found = measure(raster, tmp_path / "c.tif", classes=legend, size="10px")
    values = bands(raster)[0]
    coverage = bands(tmp_path / "c.tif")[0]
    block = values[500:510, 300:310]
    assert coverage[50, 30] == pytest.approx(100 * (block == 4).sum() / (block > 0).sum())
    assert found.total.coverage == pytest.approx(100 * (values == 4).sum() / (values > 0).sum())
