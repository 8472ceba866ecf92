"""Polygons become masks on a grid, and patches become footprints."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import GeosegError, OptionError, OutputError, VectorError
from geoseg.raster.cover.region import polygons_of
from geoseg.raster.grid import Grid
from geoseg.raster.vector import (
    Purpose,
    Region,
    read_features,
    read_region,
    write_footprints,
)
from geoseg.raster.window import Window

UTM = CRS.from_epsg(32612)
NORTH_UP = Affine(30, 0, 300000, 0, -30, 4200000)


def grid_of(
    height: int = 20, width: int = 30, transform: Affine = NORTH_UP, crs: CRS | None = UTM
) -> Grid:
    return Grid(crs=crs, transform=transform, height=height, width=width)


def centres(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    t = grid.transform
    return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f


def oracle(polygons: Any, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which centres lie inside, one by one; and for which it is certain (not on an edge)."""
    x, y = centres(grid)
    area = shapely.union_all(polygons)
    inside = shapely.contains_xy(area, x, y)
    edge = shapely.boundary(area)
    shapely.prepare(edge)
    near = shapely.dwithin(edge, shapely.points(x, y), 1e-6)
    return inside, ~near


def geojson(path: Path, *geometries: Any, crs: int | None = 4326) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": shapely.geometry.mapping(g) if g else None,
        }
        for g in geometries
    ]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs}"}}
    path.write_text(json.dumps(document))
    return path


# -- regions --------------------------------------------------------------------------------------


def test_a_box_of_four_numbers_is_in_the_grids_own_units() -> None:
    region = read_region("300030, 4199400,300090.0 ,4199970", grid_of())
    assert region.window == Window(1, 1, 19, 2)
    mask = region.mask(grid_of().window)
    assert mask.dtype == np.bool_
    expected = np.zeros((20, 30), bool)
    expected[1:20, 1:3] = True
    assert np.array_equal(mask, expected)


def test_a_pixel_is_inside_where_its_centre_is() -> None:
    grid = grid_of(4, 4, Affine(1, 0, 0, 0, -1, 4))
    triangle = shapely.Polygon([(0, 0), (4, 0), (0, 4.2)])
    mask = Region([triangle], grid, source="a triangle").mask(grid.window)
    assert mask.astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_holes_are_outside_and_overlaps_count_once() -> None:
    grid = grid_of(6, 6, Affine(1, 0, 0, 0, -1, 6))
    ring = shapely.Polygon(
        [(0, 0), (6, 0), (6, 6), (0, 6)], holes=[[(2, 2), (4, 2), (4, 4), (2, 4)]]
    )
    mask = Region([ring, shapely.box(0, 0, 3, 3)], grid, source="x").mask(grid.window)
    assert mask.sum() == 36 - 4 + 1


TRANSFORMS = {
    "north-up": NORTH_UP,
    "south-up": Affine(30, 0, 300000, 0, 30, 4200000),
    "rotated": Affine(20, 11, 300000, 13, -25, 4200000),
    "mirrored": Affine(-30, 0, 300000, 0, -30, 4200000),
}


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(sorted(TRANSFORMS)),
    points=st.lists(
        st.tuples(st.floats(-5, 35), st.floats(-5, 25)), min_size=3, max_size=9, unique=True
    ),
    cut=st.tuples(st.integers(-3, 19), st.integers(-3, 29), st.integers(1, 25), st.integers(1, 35)),
)
def test_any_polygon_on_any_grid_gives_each_windows_pixels(
    name: str, points: list[tuple[float, float]], cut: tuple[int, int, int, int]
) -> None:
    grid = grid_of(transform=TRANSFORMS[name])
    t = grid.transform
    ring = [(t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f) for c, r in points]
    polygon = shapely.make_valid(shapely.Polygon(ring))
    assume(polygon.area > 1)
    parts = polygons_of(polygon)
    try:
        region = Region(parts, grid, source="x")
    except VectorError:
        assert not oracle(polygon, grid)[0].any()
        return
    inside, certain = oracle(polygon, grid)
    mask = region.mask(grid.window)
    assert np.array_equal(mask[certain], inside[certain])

    window = Window(*cut)
    padded = np.zeros((grid.height + 60, grid.width + 80), bool)
    padded[30:-30, 40:-40] = mask
    rows, cols = window.slices(row_origin=-30, col_origin=-40)
    assert np.array_equal(region.mask(window), padded[rows, cols])
    # Outside its window the region has no pixel.
    within = np.zeros_like(mask)
    within[region.window.slices()] = True
    assert not mask[~within].any()


def star(points: int, centre: tuple[float, float], radius: float) -> Any:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    rough = np.random.default_rng(0).uniform(-0.002, 0.002, points)
    length = radius * (0.9 + 0.1 * np.sin(angle * 40) + rough)
    xy = np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None] + centre
    return shapely.Polygon(xy)


def test_a_coastline_of_many_vertices_is_as_exact_and_windows_stay_cheap() -> None:
    grid = grid_of(3000, 3000, Affine(1, 0, 0, 0, -1, 3000))
    polygon = star(60_000, (1500, 1500), 1400)
    region = Region([polygon], grid, source="x")
    inside, certain = oracle(polygon, grid.crop(Window(300, 500, 50, 2000)))
    assert np.array_equal(region.mask(Window(300, 500, 50, 2000))[certain], inside[certain])
    start = time.perf_counter()
    for row in range(0, 2900, 100):
        region.mask(Window(row, row, 100, 100))
    assert time.perf_counter() - start < 2  # a hundredth of it on an idle machine


def test_masks_may_be_read_from_several_threads() -> None:
    grid = grid_of(600, 600, Affine(1, 0, 0, 0, -1, 600))
    region = Region([star(3000, (300, 300), 280)], grid, source="x")
    whole = region.mask(grid.window)
    windows = [Window(r, c, 50, 50) for r in range(0, 600, 50) for c in range(0, 600, 50)]
    with ThreadPoolExecutor(4) as pool:
        for window, mask in zip(windows, pool.map(region.mask, windows), strict=True):
            assert np.array_equal(mask, whole[window.slices()])


def test_polygons_of_another_system_are_brought_to_the_grids(tmp_path: Path) -> None:
    """A box in degrees, a hundred kilometres wide, against each pixel's own degrees."""
    grid = grid_of(350, 350, Affine(300, 0, 300000, 0, -300, 4200000))
    box = shapely.box(-112.6, 37.2, -111.4, 37.75)
    region = read_region(geojson(tmp_path / "box.geojson", box), grid)
    x, y = centres(grid)
    back = pyproj.Transformer.from_crs(32612, 4326, always_xy=True)
    longitude, latitude = back.transform(x, y)
    inside = shapely.contains_xy(box, longitude, latitude)
    # Away from the edge by a hundredth of a pixel there is no doubt.
    near = shapely.distance(shapely.boundary(box), shapely.points(longitude, latitude)) < 3e-5
    assert (~near).mean() > 0.95
    assert np.array_equal(region.mask(grid.window)[~near], inside[~near])


def test_a_region_as_large_as_the_world_still_covers_a_scene(tmp_path: Path) -> None:
    path = geojson(tmp_path / "world.geojson", shapely.box(-180, -90, 180, 90))
    assert read_region(path, grid_of()).mask(grid_of().window).all()


def test_broken_empty_and_mixed_geometries_are_made_the_best_of(tmp_path: Path) -> None:
    grid = grid_of(4, 4, Affine(1, 0, 0, 0, -1, 4))
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    mixed = shapely.GeometryCollection([shapely.Point(3, 3), shapely.box(3, 3, 4, 4)])
    path = geojson(
        tmp_path / "x.geojson",
        bow_tie,
        None,
        shapely.Polygon(),
        mixed,
        shapely.Point(1, 1),
        crs=32612,
    )
    mask = read_region(path, grid).mask(grid.window)
    assert mask[0, 3]
    assert mask.sum() >= 3


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_a_scene_without_place_takes_pixels_without_place(tmp_path: Path) -> None:
    grid = Grid(crs=None, transform=Affine.identity(), height=5, width=5)
    assert read_region("1,1,3,4", grid).mask(grid.window).sum() == 6
    pyogrio.write_dataframe(frame([shapely.box(1, 1, 3, 4)], None), tmp_path / "x.shp")
    assert read_region(tmp_path / "x.shp", grid).mask(grid.window).sum() == 6
    with pytest.raises(VectorError, match=r"x\.shp has no coordinate system"):
        read_region(tmp_path / "x.shp", grid_of())
    with pytest.raises(VectorError, match=r"the scene has none, .*gdal_edit"):
        read_region(geojson(tmp_path / "y.geojson", shapely.box(0, 0, 1, 1)), grid)


def frame(geometries: list[Any], crs: str | None) -> Any:
    import geopandas  # noqa: PLC0415 - slow to import

    return geopandas.GeoDataFrame({"a": range(len(geometries))}, geometry=geometries, crs=crs)


def test_each_kind_of_file_is_read(tmp_path: Path) -> None:
    grid = grid_of()
    box = shapely.box(300000, 4199700, 300300, 4200000)
    for name in ("x.gpkg", "x.shp", "x.fgb", "x.geojson"):
        pyogrio.write_dataframe(frame([box], "EPSG:32612"), tmp_path / name)
        assert read_region(tmp_path / name, grid).mask(grid.window).sum() == 100
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path, "x.gpkg")
    assert read_region(tmp_path / "zipped.zip", grid).window == Window(0, 0, 10, 10)


def test_one_of_several_layers_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "x.gpkg"
    for layer, size in (("fields", 30), ("lakes", 60)):
        box = shapely.box(300000, 4200000 - size, 300000 + size, 4200000)
        pyogrio.write_dataframe(frame([box], "EPSG:32612"), path, layer=layer)
    pyogrio.write_dataframe(frame([shapely.Point(0, 0)], "EPSG:32612"), path, layer="wells")
    with pytest.raises(VectorError, match=r"several layers .*\|layername=fields .*lakes"):
        read_region(path, grid_of())
    assert read_region(f"{path}|layername=lakes", grid_of()).window == Window(0, 0, 2, 2)
    with pytest.raises(VectorError, match="no such layer"):
        read_region(f"{path}|layername=roads", grid_of())
    with pytest.raises(VectorError, match="no polygons"):
        read_region(f"{path}|layername=wells", grid_of())


def test_what_is_wrong_with_a_region_is_said_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.gpkg"
    text.write_text("this is no GeoPackage")
    cut = tmp_path / "cut.geojson"
    cut.write_text('{"type": "FeatureCollection", "features": [{"type"')
    points = geojson(tmp_path / "points.geojson", shapely.Point(1, 1))
    empty = geojson(tmp_path / "empty.geojson")
    none = geojson(tmp_path / "none.geojson", None, shapely.Polygon())
    far = geojson(tmp_path / "far.geojson", shapely.box(10, 50, 11, 51))
    for source, words in (
        (tmp_path / "missing.gpkg", "no such file"),
        ("nonsense", "no such file"),
        ("1,2,3", "no such file"),
        (tmp_path, "no vector file|no polygons|cannot be read"),
        (text, "no vector file"),
        (cut, "no vector file|cannot be read"),
        (points, "has no polygons"),
        (empty, "has no polygons"),
        (none, "has no polygons"),
        (far, "does not overlap the scene"),
        ("0,0,1,1", "does not overlap the scene"),
        ("5,5,1,1", "is empty: give xmin,ymin,xmax,ymax"),
        ("1,2,1,5", "is empty"),
    ):
        with pytest.raises(VectorError, match=words) as caught:
            read_region(source, grid_of())
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.geojson", b'{"type": "FeatureCollection", "features": [', "no whole JSON .*get it"),
        ("list.json", b'{"type": "Topology"}', "JSON and no GeoJSON .its type is 'Topology'"),
        ("list.json", b"[]", "JSON and no GeoJSON .its type is None"),
        ("empty.gpkg", b"", "it is empty; get it anew"),
        ("some.gpkg", b"words", "GDAL knows no format of it; give"),
    ],
)
def test_the_reason_why_a_file_is_none_is_said_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VectorError, match=f"{name} is no vector file that can be read: .*{said}"):
        read_region(tmp_path / name, grid_of())


def test_files_that_are_lost_or_broken_are_said_in_short(tmp_path: Path) -> None:
    box = shapely.box(300000, 4199700, 300300, 4200000)
    for name in ("x.shp", "x.gpkg"):
        pyogrio.write_dataframe(frame([box], "EPSG:32612"), tmp_path / name)
    (tmp_path / "x.shx").unlink()
    with pytest.raises(VectorError, match=r"x.shp cannot be read without x.shx: copy all files"):
        read_region(tmp_path / "x.shp", grid_of())
    (tmp_path / "cut.gpkg").write_bytes((tmp_path / "x.gpkg").read_bytes()[:500])
    with pytest.raises(VectorError, match=r"cut.gpkg cannot be read \(.*malformed\): get it anew"):
        read_region(tmp_path / "cut.gpkg", grid_of())


def test_fingerprints_tell_regions_apart() -> None:
    one, same, other = (
        read_region(f"300000,4199400,300{end},4200000", grid_of()).fingerprint()
        for end in ("090", "090.0", "120")
    )
    assert one == same != other


# -- footprints -----------------------------------------------------------------------------------

SQUARES = [[(c, 0), (c + 1, 0), (c + 1, 1), (c, 1)] for c in range(3)]
COLUMNS: dict[str, Any] = {
    "split": ["train", "val", None],
    "row": [0, 1, 2],
    "share": [0.5, float("nan"), None],
    "kept": np.array([True, True, False]),
    "dropped because": ["", "", 'nodata > 50 % "é" <&>'],
}


def write(path: Path, **options: Any) -> None:
    given: dict[str, Any] = {"columns": COLUMNS, "polygons": SQUARES, "crs": UTM}
    write_footprints(path, "patches", **(given | options))


def test_footprints_come_back_with_their_attributes(tmp_path: Path) -> None:
    write(tmp_path / "index.gpkg", metadata={"GEOSEG_COMMAND": "geoseg tile ü"})
    back = pyogrio.read_dataframe(tmp_path / "index.gpkg")
    assert [g.equals(shapely.Polygon(s)) for g, s in zip(back.geometry, SQUARES, strict=True)] == [
        True,
        True,
        True,
    ]
    assert list(back.columns) == [*COLUMNS, "geometry"]
    assert back["split"].fillna("-").tolist() == ["train", "val", "-"]
    assert back["row"].tolist() == [0, 1, 2]
    assert back["share"].isna().tolist() == [False, True, True]
    assert back["kept"].tolist() == [True, True, False]
    assert back["dropped because"][2] == 'nodata > 50 % "é" <&>'
    assert back.crs.to_epsg() == 32612
    info = pyogrio.read_info(tmp_path / "index.gpkg")
    assert info["dataset_metadata"]["GEOSEG_COMMAND"] == "geoseg tile ü"
    assert pyogrio.list_layers(tmp_path / "index.gpkg").tolist() == [["patches", "Polygon"]]


def test_nothing_is_left_beside_a_file_that_is_read(tmp_path: Path) -> None:
    write(tmp_path / "index.gpkg", metadata={"GEOSEG_COMMAND": "geoseg tile"})
    before = sorted(tmp_path.iterdir())
    purpose = Purpose(name="a test", hint="")
    assert len(read_features(tmp_path / "index.gpkg", purpose=purpose, fields=True).shapes) == 3
    assert sorted(tmp_path.iterdir()) == before


def test_rings_arrays_and_shapes_are_the_same_footprints(tmp_path: Path) -> None:
    closed = [[*ring, ring[0]] for ring in SQUARES]
    mixed = [SQUARES[0], closed[1], SQUARES[2]]
    for number, polygons in enumerate(
        (SQUARES, closed, mixed, np.array(SQUARES), np.array([shapely.Polygon(s) for s in SQUARES]))
    ):
        write(tmp_path / f"{number}.gpkg", polygons=polygons)
        back = pyogrio.read_dataframe(tmp_path / f"{number}.gpkg")
        assert shapely.area(back.geometry.to_numpy()).tolist() == [1, 1, 1]


def test_footprints_of_photographs_have_no_coordinate_system(tmp_path: Path) -> None:
    write(tmp_path / "x.gpkg", crs=None)
    crs = pyogrio.read_info(tmp_path / "x.gpkg")["crs"]
    assert crs is None or "Undefined" in crs


def test_an_index_without_any_patch_is_still_one(tmp_path: Path) -> None:
    write(tmp_path / "x.gpkg", columns={"split": [], "row": []}, polygons=[])
    back = pyogrio.read_dataframe(tmp_path / "x.gpkg")
    assert len(back) == 0
    assert {"split", "row"} <= set(back.columns)


def test_the_same_footprints_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.gpkg", metadata={"a": "b"}, style_qml="<qgis/>")
    time.sleep(1.1)  # GeoPackage's dates have seconds
    write(tmp_path / "b.gpkg", metadata={"a": "b"}, style_qml="<qgis/>")
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None


def test_footprints_replace_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.gpkg"
    write(target, style_qml="<old/>")
    before = target.read_bytes()
    with pytest.raises(OutputError, match="there already"):
        write(target)
    (tmp_path / "x.gpkg-wal").write_bytes(b"somebody had it open")

    def failing(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pyogrio.raw.write", failing)
        with pytest.raises(KeyboardInterrupt):
            write(target, overwrite=True)
    assert target.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.gpkg", "x.gpkg-wal", "x.qml"]

    write(target, overwrite=True, columns={"split": ["a", "b", "c"]}, style_qml="<new/>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.gpkg", "x.qml"]
    assert (tmp_path / "x.qml").read_text() == "<new/>"
    assert pyogrio.read_dataframe(target)["split"].tolist() == ["a", "b", "c"]


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write(tmp_path / "none" / "x.gpkg")
    with pytest.raises(OptionError):
        write(tmp_path / "x.shp")
    # GeoPackage does not tell upper from lower case.
    with pytest.raises(GeosegError, match="cannot be written"):
        write(tmp_path / "x.gpkg", columns={"a": [1, 2, 3], "A": [1, 2, 3]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kilobytes", [16, 64, 100, 140, 300, 600, 2400])
def test_a_disk_that_fills_up_leaves_a_whole_index_or_none(
    small_disk: Any, capfd: pytest.CaptureFixture[str], kilobytes: int
) -> None:
    folder = small_disk(kilobytes)
    told = ""
    try:
        write(folder / "x.gpkg", columns={"row": np.arange(3000)}, polygons=SQUARES * 1000)
    except OutputError as error:
        told = str(error)
    if told:
        assert "no space left" in told
        assert list(folder.iterdir()) == []
    else:
        assert len(pyogrio.read_dataframe(folder / "x.gpkg")) == 3000
    assert bool(told) == (kilobytes < 500)
    assert capfd.readouterr() == ("", "")


def test_a_column_of_another_length_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'row' has 2 values for 3 polygons"):
        write(tmp_path / "x.gpkg", columns={"row": [1, 2]})


@pytest.mark.slow
def test_a_hundred_thousand_footprints_are_quickly_written(tmp_path: Path) -> None:
    count = 100_000
    corners = np.array(SQUARES[0], dtype=float)
    rings = corners + np.column_stack(np.divmod(np.arange(count), 300))[:, None]
    start = time.perf_counter()
    write(
        tmp_path / "x.gpkg",
        columns={"split": ["train"] * count, "row": np.arange(count)},
        polygons=rings,
    )
    assert time.perf_counter() - start < 10
    assert pyogrio.read_info(tmp_path / "x.gpkg")["features"] == count
