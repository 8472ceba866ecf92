"""Coverage by zone: by hand, what the files hold, and against intersections with every pixel."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.assessment.coverage.result import Result
from geoseg.assessment.coverage.source import open_source
from geoseg.assessment.coverage.zones import coverage_by_zone
from geoseg.assessment.stages import StageTable
from geoseg.errors import OutputError, VectorError
from geoseg.raster.legend import Legend
from geoseg.raster.legend.written import parse_legend

CLASSES = parse_legend("1=water,2=forest,3=grass")
UTM = "EPSG:32612"
Write = Callable[..., Path]


def polygons(path: Path, shapes: list[Any], crs: str | None = UTM, **columns: Any) -> Path:
    geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(path)
    return path


def box(left: float, top: float, right: float, bottom: float) -> Any:
    """Rectangle in pixels of the small maps."""
    return shapely.box(
        300000 + 30 * left, 4000000 - 30 * bottom, 300000 + 30 * right, 4000000 - 30 * top
    )


def measure(
    raster: Path,
    zones: Path,
    output: Path,
    *,
    exclude: tuple[str, ...] = (),
    classes: Legend | None = CLASSES,
    target: str = "forest",
    probabilities: bool = False,
    **options: Any,
) -> Result:
    source = open_source(
        raster, target=[target], excluded=exclude, classes=classes, probabilities=probabilities
    )
    return coverage_by_zone(source, output, zones, **options)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def map_(write: Write, tmp_path: Path) -> Path:
    return write(tmp_path / "map.tif", [[2, 3, 1], [2, 2, 255]])


def test_zones_count_parts_of_pixels_and_each_all_of_an_overlap(map_: Path, tmp_path: Path) -> None:
    shapes = [box(0, 0, 1.5, 1), box(0, 0, 3, 2), box(1, 0, 2, 1)]
    zones = polygons(tmp_path / "z.gpkg", shapes, name=["a", "b", "c"])
    found = measure(
        map_, zones, tmp_path / "o.gpkg", exclude=("water",), stages=StageTable.agde(),
        name_field="name",
    )  # fmt: skip
    rows = table(tmp_path / "o.csv")
    assert [row["zone"] for row in rows] == ["a", "b", "c"]
    assert [float(row["coverage"]) for row in rows] == pytest.approx([200 / 3, 75, 0], abs=1e-6)
    assert [row["stage"] for row in rows] == ["IV", "IV", "I"]
    assert [float(row["nodata_share"]) for row in rows] == pytest.approx([0, 100 / 6, 0], abs=1e-3)
    for column, pixels in {
        "target_ha": [1, 3, 0],
        "counted_ha": [1.5, 4, 1],
        "excluded_ha": [0, 1, 0],
        "water_ha": [0, 1, 0],
        "forest_ha": [1, 3, 0],
        "grass_ha": [0.5, 1, 1],
    }.items():
        assert [float(r[column]) for r in rows] == pytest.approx(
            [0.09 * n for n in pixels], rel=2e-3, abs=1e-9
        )
    assert found.stages == {"I": 1, "II": 0, "III": 0, "IV": 2, "V": 0, "other": 0}
    assert [zone.name for zone in found.zones] == ["a", "b", "c"]


def test_geopackage_keeps_attributes_geometry_and_system(map_: Path, tmp_path: Path) -> None:
    shapes = [shapely.MultiPolygon([box(0, 0, 1, 1), box(2, 0, 3, 1)]), box(1, 0, 2, 1)]
    days = pd.to_datetime(["2020-01-02", None])
    zones = polygons(
        tmp_path / "z.gpkg", shapes, Coverage=[1, 2], day=days, ok=[True, False], text=["é", None],
        number=[1.5, np.nan],
    )  # fmt: skip
    found = measure(map_, zones, tmp_path / "o.gpkg")
    made = geopandas.read_file(tmp_path / "o.gpkg")
    assert made.crs == UTM
    assert made.geometry.to_numpy()[0].equals(shapes[0])
    assert made["Coverage_"].tolist() == [1, 2]
    assert made["text"].tolist()[0] == "é"
    assert made["ok"].tolist() == [True, False]
    assert str(made["day"][0]).startswith("2020-01-02")
    assert np.isnan(made["number"][1])
    assert found.notes == ("attributes of the zones have other names: Coverage is Coverage_",)
    assert table(tmp_path / "o.csv")[1]["number"] == ""
    assert "GEOSEG_COMMAND" in pyogrio.read_info(tmp_path / "o.gpkg")["dataset_metadata"]
    assert 'min(floor("coverage" / 20), 4)' in (tmp_path / "o.qml").read_text().replace(
        "&quot;", '"'
    )


def test_zones_of_another_system_are_brought_to_the_map(map_: Path, tmp_path: Path) -> None:
    shapes = [box(0.25, 0, 2, 1.5), box(0, 1, 2, 2)]
    measure(map_, polygons(tmp_path / "a.gpkg", shapes), tmp_path / "a_.gpkg")
    degrees = geopandas.GeoSeries(shapes, crs=UTM).to_crs(4326).tolist()
    measure(map_, polygons(tmp_path / "b.gpkg", degrees, "EPSG:4326"), tmp_path / "b_.gpkg")
    one, other = (
        [float(row["coverage"]) for row in table(tmp_path / name)] for name in ("a_.csv", "b_.csv")
    )
    assert one == pytest.approx(other, abs=1e-4)
    assert geopandas.read_file(tmp_path / "b_.gpkg").crs == "EPSG:4326"


def test_what_lies_off_the_map_is_without_data(map_: Path, tmp_path: Path) -> None:
    shapes = [box(-2, 0, 2, 1), box(50, 50, 51, 51)]
    found = measure(map_, polygons(tmp_path / "z.gpkg", shapes), tmp_path / "o.gpkg")
    assert found.zones[0].coverage == 50
    assert found.zones[0].nodata_share == pytest.approx(50, abs=1e-3)
    assert np.isnan(found.zones[1].coverage)
    assert found.zones[1].nodata_share == 100
    assert found.counted == 1
    assert f"1 of 2 zones has no ground on {map_}" in found.notes
    assert table(tmp_path / "o.csv")[1]["coverage"] == ""


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:32613", "EPSG:3857"])
def test_ground_off_the_map_is_the_same_in_every_system(
    write: Write, tmp_path: Path, crs: str
) -> None:
    raster = write(tmp_path / "m.tif", np.full((40, 40), 2))
    # Half on it; beside it by a pixel; further than what is brought along; around it; within it.
    shapes = [
        box(-20, 0, 20, 40), box(-41, 0, -1, 40), box(5000, 0, 5040, 40), box(-20, -20, 60, 60),
        box(10, 10, 30, 30),
    ]  # fmt: skip
    moved = geopandas.GeoSeries(shapes, crs=UTM).segmentize(60).to_crs(crs).tolist()
    zones = polygons(tmp_path / "z.gpkg", moved, crs)
    found = measure(raster, zones, tmp_path / "o.gpkg")
    shares = [zone.nodata_share for zone in found.zones]
    assert shares == pytest.approx([50, 100, 100, 75, 0], abs=1e-2)
    # 1,600 + 1,600 + 1,600 + 6,400 + 400 px, of which 800 + 1,600 + 400 have a class.
    assert found.total.nodata_share == pytest.approx(100 * (1 - 2800 / 11600), abs=1e-2)


def test_an_empty_zone_is_of_the_stage_other(map_: Path, tmp_path: Path) -> None:
    zones = polygons(tmp_path / "z.gpkg", [box(2, 0, 3, 1)])
    found = measure(map_, zones, tmp_path / "o.gpkg", exclude=("water",), stages=StageTable.agde())
    assert found.zones[0].stage == "other"


def test_crossed_rings_are_repaired(map_: Path, tmp_path: Path) -> None:
    left, right, top, low = 300000, 300060, 4000000, 3999940
    bow = shapely.Polygon([(left, top), (right, low), (right, top), (left, low)])
    found = measure(map_, polygons(tmp_path / "z.gpkg", [bow]), tmp_path / "o.gpkg")
    # Two triangles: three quarters... of each left pixel, a quarter of each right one.
    assert found.total.target_ha == pytest.approx(0.09 * 1.5, rel=2e-3)
    assert found.total.counted_ha == pytest.approx(0.09 * 2, rel=2e-3)


def test_maps_and_zones_without_place_are_measured_in_pixels(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "m.tif", [[2, 3]], crs=None, transform=Affine(1, 0, 0, 0, -1, 1))
    shape = shapely.box(-1, 0, 2, 1)
    zones = tmp_path / "z.gpkg"
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shape])
    with pytest.warns(UserWarning, match="crs"):
        frame.to_file(zones)
    found = measure(raster, zones, tmp_path / "o.gpkg")
    assert found.zones[0].coverage == 50
    assert found.zones[0].nodata_share == pytest.approx(100 / 3)
    assert table(tmp_path / "o.csv")[0]["forest_px"] == "1"


def test_probabilities_by_zone_have_hectares_by_class(write: Write, tmp_path: Path) -> None:
    raster = write(
        tmp_path / "p.tif", [[[0.5, 0.25]], [[0.5, 0.75]]], dtype="float32", names=("a", "b")
    )
    zones = polygons(tmp_path / "z.gpkg", [box(0, 0, 1.5, 1)])
    found = measure(
        raster, zones, tmp_path / "o.gpkg", target="b", classes=None, probabilities=True
    )
    assert found.zones[0].coverage == pytest.approx(100 * 0.875 / 1.5)
    assert float(table(tmp_path / "o.csv")[0]["a_ha"]) == pytest.approx(0.09 * 0.625, rel=2e-3)


def test_without_legend_the_values_found_have_columns(write: Write, tmp_path: Path) -> None:
    raster = write(tmp_path / "m.tif", [[0, 7, 9]])
    zones = polygons(tmp_path / "z.gpkg", [box(0, 0, 2, 1)])
    measure(raster, zones, tmp_path / "o.gpkg", target="7", classes=None)
    columns = list(table(tmp_path / "o.csv")[0])
    assert [name for name in columns if name.startswith("class")] == ["class 0_ha", "class 7_ha"]


def test_what_cannot_be_is_told_and_nothing_written(map_: Path, tmp_path: Path) -> None:
    zones = polygons(tmp_path / "z.gpkg", [box(50, 50, 51, 51)], name=["a"])
    with pytest.raises(VectorError, match="does not overlap"):
        measure(map_, zones, tmp_path / "o.gpkg")
    with pytest.raises(VectorError, match="no attribute 'parish'; there are name"):
        measure(map_, zones, tmp_path / "o.gpkg", name_field="parish")
    with pytest.raises(VectorError, match="zones are a file of polygons"):
        measure(map_, tmp_path / "none.gpkg", tmp_path / "o.gpkg")
    (tmp_path / "o.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"o.csv is there already"):
        measure(map_, zones, tmp_path / "o.gpkg")
    assert not (tmp_path / "o.gpkg").exists()


def test_workers_change_no_byte(write: Write, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 4, (600, 500))
    raster = write(tmp_path / "map.tif", pixels, nodata=0)
    rng = np.random.default_rng(4)
    places = zip(rng.uniform(0, 500, 30), rng.uniform(0, 600, 30), strict=True)
    shapes = [shapely.Point(300000 + 30 * x, 4000000 - 30 * y).buffer(3000) for x, y in places]
    zones = polygons(tmp_path / "z.gpkg", shapes)
    marks = set()
    for workers in (1, 3):
        target = tmp_path / str(workers) / "o.gpkg"
        target.parent.mkdir()
        measure(raster, zones, target, workers=workers)
        content = target.read_bytes() + target.with_suffix(".csv").read_bytes()
        marks.add(hashlib.sha256(content).hexdigest())
    assert len(marks) == 1


_CORNER = st.tuples(*[st.integers(-3 << 10, 12 << 10).map(lambda n: n / 1024)] * 2)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(_CORNER, min_size=3, max_size=7), min_size=1, max_size=4), st.data())
def test_zones_hold_what_intersections_hold(
    tmp_path: Path, write: Write, rings: list[Any], data: st.DataObject
) -> None:
    pixels = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 4, (7, 9))
    raster = write(tmp_path / "map.tif", pixels, nodata=0)
    shapes = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
    shapes = [shape for shape in shapes if shape.area > 0.01 and "Polygon" in shape.geom_type]
    if not any(shape.intersection(shapely.box(0, 0, 9, 7)).area > 0.01 for shape in shapes):
        return
    move = [30, 0, 0, -30, 300000, 4000000]
    placed = [shapely.affinity.affine_transform(shape, move) for shape in shapes]
    (tmp_path / "z.gpkg").unlink(missing_ok=True)
    zones = polygons(tmp_path / "z.gpkg", placed)
    found = measure(raster, zones, tmp_path / "o.gpkg", exclude=("water",), overwrite=True)
    rows, cols = np.mgrid[:7, :9]
    boxes = shapely.box(cols, rows, cols + 1, rows + 1)
    for zone, shape in zip(found.zones, shapes, strict=True):
        share = shapely.area(shapely.intersection(boxes, shape))
        forest, grass = share[pixels == 2].sum(), share[pixels == 3].sum()
        if forest + grass > 1e-3:
            assert zone.coverage == pytest.approx(100 * forest / (forest + grass), abs=1e-3)
        known = share[pixels > 0].sum()
        assert zone.nodata_share == pytest.approx(100 * (1 - known / shape.area), abs=0.02)
