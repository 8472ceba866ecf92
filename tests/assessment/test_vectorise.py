from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import features

from geoseg.assessment.measure import Measure
from geoseg.assessment.vectorise import VectoriseSettings, vectorise
from geoseg.errors import BandError, GridError, LabelError, OptionError, OutputError
from geoseg.raster.legend.style import class_aux_xml
from geoseg.raster.legend.written import parse_legend

HERE = Affine(30, 0, 300_000, 0, -30, 4_000_000)
PIXELS = np.array(
    [
        [1, 1, 1, 2, 2],
        [1, 3, 1, 2, 2],
        [1, 1, 1, 255, 2],
        [7, 7, 7, 7, 2],
    ],
    np.uint8,
)


def write(path: Path, pixels: Any, *, names: str | None = None, **profile: Any) -> Path:
    data = np.asarray(pixels)
    bands = data if data.ndim == 3 else data[None]
    options = {"crs": "EPSG:32612", "transform": HERE, "nodata": 255} | profile
    if options["nodata"] is None:
        del options["nodata"]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(bands),
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype,
        **options,
    ) as file:
        file.write(bands)
    if names is not None:
        Path(f"{path}.aux.xml").write_text(class_aux_xml(parse_legend(names)), encoding="utf-8")
    return path


NAMES = "1=forest:#00ff00,2=water:#0000ff,3=hut,7=road"


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return write(tmp_path / "map.tif", PIXELS, names=NAMES)


def asked(**settings: Any) -> VectoriseSettings:
    return VectoriseSettings(**settings)


def test_polygons_have_their_class_name_pixels_and_hectares(raster: Path, tmp_path: Path) -> None:
    found = vectorise(raster, tmp_path / "out.gpkg")
    table = geopandas.read_file(tmp_path / "out.gpkg")
    assert list(table.columns) == ["class", "name", "color", "pixels", "area_ha", "geometry"]
    assert table["class"].tolist() == [3, 1, 2, 7]
    assert table["name"].tolist() == ["hut", "forest", "water", "road"]
    assert table["color"].tolist()[1:3] == ["#00ff00", "#0000ff"]
    assert table["pixels"].tolist() == [1, 8, 6, 4]
    assert table.crs == "EPSG:32612"
    assert (table.area / 900).tolist() == [1, 8, 6, 4]
    geod = pyproj.Geod(ellps="WGS84")
    for shape, area in zip(table.to_crs("EPSG:4326").geometry, table["area_ha"], strict=True):
        assert area == pytest.approx(abs(geod.geometry_area_perimeter(shape)[0]) / 1e4, rel=1e-4)
    assert [(c.name, a.polygons, a.pixels) for c, a in found.classes.items()] == [
        ("forest", 1, 8),
        ("water", 1, 6),
        ("hut", 1, 1),
        ("road", 1, 4),
    ]
    assert found.left_out.polygons == 0
    total = sum(a.hectares or 0 for a in found.classes.values())
    assert total == pytest.approx(table["area_ha"].sum(), abs=1e-5)
    assert found.notes == ()


TRANSFORMS = {
    "north-up": HERE,
    "south-up": Affine(30, 0, 300_000, 0, 30, 4_000_000),
    "rotated": Affine(20, 10, 300_000, 10, -20, 4_000_000),
    "mirrored": Affine(-30, 0, 300_000, 0, -30, 4_000_000),
}


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_raster_to_polygons_and_back_loses_nothing(name: str, suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    pixels = np.kron(rng.choice([0, 1, 2, 255], (30, 25)), np.ones((2, 2))).astype(np.uint8)
    transform = TRANSFORMS[name]
    raster = write(tmp_path / "map.tif", pixels, transform=transform)
    out = tmp_path / f"out.{suffix}"
    vectorise(raster, out)
    read = geopandas.read_parquet if suffix == "parquet" else geopandas.read_file
    table = read(out).to_crs("EPSG:32612")
    assert shapely.is_valid(table.geometry.to_numpy()).all()
    back = features.rasterize(
        zip(table.geometry, table["class"], strict=True),
        out_shape=pixels.shape,
        transform=transform,
        fill=255,
        dtype="uint8",
    )
    assert np.array_equal(back, pixels)


def test_geojson_is_in_degrees_with_outer_rings_counter_clockwise(tmp_path: Path) -> None:
    for name, transform in TRANSFORMS.items():
        raster = write(tmp_path / f"{name}.tif", PIXELS, transform=transform)
        out = tmp_path / f"{name}.geojson"
        found = vectorise(raster, out)
        assert any("longitude and latitude" in note for note in found.notes)
        told = json.loads(out.read_text(encoding="utf-8"))
        assert "crs" not in told
        for feature in told["features"]:
            shape = shapely.geometry.shape(feature["geometry"])
            assert shape.exterior.is_ccw
            assert not any(ring.is_ccw for ring in shape.interiors)
            assert -114 < shape.centroid.x < -112
            assert 35 < shape.centroid.y < 37


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_coordinate_system_coordinates_are_as_they_are(tmp_path: Path) -> None:
    raster = write(tmp_path / "photo.tif", PIXELS, crs=None, transform=None, names=NAMES)
    found = vectorise(raster, tmp_path / "out.gpkg")
    table = geopandas.read_file(tmp_path / "out.gpkg")
    assert table.total_bounds.tolist() == [0, 0, 5, 4]
    assert "area_ha" not in table
    assert table["pixels"].sum() == 19
    assert found.left_out.hectares is None
    assert any("areas are in pixels alone" in note for note in found.notes)
    # GeoJSON is in degrees by definition: QGIS would take pixels for them.
    with pytest.raises(GridError, match=r"photo\.tif has no coordinate system.*\*\.gpkg"):
        vectorise(raster, tmp_path / "out.geojson")
    assert not (tmp_path / "out.geojson").exists()


def test_in_degrees_areas_follow_the_latitude(tmp_path: Path) -> None:
    column = np.array([[1], [2]], np.uint8)
    raster = write(
        tmp_path / "map.tif", column, crs="EPSG:4326", transform=Affine(30, 0, 0, 0, -30, 60)
    )
    vectorise(raster, tmp_path / "out.gpkg")
    table = geopandas.read_file(tmp_path / "out.gpkg")
    # Zones of the authalic sphere, from 60° to 30° and from 30° to the equator.
    ratio = table["area_ha"][1] / table["area_ha"][0]
    assert ratio == pytest.approx(0.5 / (3**0.5 / 2 - 0.5), rel=0.01)


def test_classes_are_chosen_by_id_or_name(raster: Path, tmp_path: Path) -> None:
    found = vectorise(raster, tmp_path / "out.gpkg", settings=asked(classes=(7, "Forest")))
    table = geopandas.read_file(tmp_path / "out.gpkg")
    assert table["name"].tolist() == ["forest", "road"]
    assert [c.name for c in found.classes] == ["forest", "road"]
    # What is not wanted is a hole.
    assert len(table.geometry[0].interiors) == 1


@pytest.mark.parametrize(
    ("area", "left"), [("4px", [1, 2, 7]), ("0.36ha", [1, 2, 7]), ("5px", [1, 2]), ("5401m2", [1])]
)
def test_small_polygons_are_left_out_and_their_ground_stays_empty(
    raster: Path, tmp_path: Path, area: str, left: list[int]
) -> None:
    # On the ellipsoid these pixels are 0.2 % smaller or larger than 900 m².
    settings = asked(min_area=Measure.area(area))
    whole = vectorise(raster, tmp_path / "all.gpkg")
    if area == "0.36ha":
        road = next(a.hectares for c, a in whole.classes.items() if c.name == "road")
        assert road is not None
        settings = asked(min_area=Measure(value=road, unit="ha"))
    found = vectorise(raster, tmp_path / "out.gpkg", settings=settings)
    table = geopandas.read_file(tmp_path / "out.gpkg")
    assert table["class"].tolist() == left
    assert found.left_out.polygons == 4 - len(left)
    assert found.left_out.pixels == 19 - table["pixels"].sum()


def test_simpler_polygons_keep_the_area_of_their_pixels(tmp_path: Path) -> None:
    row, col = np.mgrid[:60, :60]
    raster = write(tmp_path / "map.tif", np.where(col < row, 1, 2).astype(np.uint8))
    sizes = {}
    for name, tolerance in (("full", None), ("px", "2px"), ("m", "60m"), ("units", "60")):
        length = None if tolerance is None else Measure.length(tolerance)
        vectorise(raster, tmp_path / f"{name}.gpkg", settings=asked(simplify=length))
        table = geopandas.read_file(tmp_path / f"{name}.gpkg")
        assert shapely.coverage_is_valid(table.geometry.to_numpy())
        assert table["pixels"].tolist() == [1830, 1770]
        sizes[name] = shapely.get_coordinates(table.geometry.to_numpy()).shape[0]
    assert sizes["full"] > 200
    assert sizes["px"] == sizes["m"] == sizes["units"] < 20


def test_metres_are_metres_on_a_grid_in_degrees(tmp_path: Path) -> None:
    row, col = np.mgrid[:60, :60]
    pixel = 30 / 111_320
    raster = write(
        tmp_path / "map.tif",
        np.where(col < row, 1, 2).astype(np.uint8),
        crs="EPSG:4326",
        transform=Affine(pixel * 2, 0, 10, 0, -pixel, 60),
    )
    sizes = []
    for tolerance in ("20m", "23m"):  # a step's corner is 21.2 m from the line between its ends
        settings = asked(simplify=Measure.length(tolerance))
        vectorise(raster, tmp_path / "out.gpkg", settings=settings, overwrite=True)
        shapes = geopandas.read_file(tmp_path / "out.gpkg").geometry.to_numpy()
        sizes.append(len(shapely.get_coordinates(shapes)))
    assert sizes[0] > 200
    assert sizes[1] < 20


def colors(style: str) -> list[str]:
    return [
        line.split('label="')[1].split('"')[0] for line in style.splitlines() if "label=" in line
    ]


def test_the_style_has_the_classes_that_are_there(raster: Path, tmp_path: Path) -> None:
    found = vectorise(raster, tmp_path / "out.gpkg")
    style = (tmp_path / "out.qml").read_text(encoding="utf-8")
    assert found.files == (tmp_path / "out.gpkg", tmp_path / "out.qml")
    assert colors(style) == ["forest", "water", "hut", "road"]
    assert "0,255,0,255" in style


def test_the_style_of_a_raster_of_the_same_name_stays(raster: Path, tmp_path: Path) -> None:
    style = raster.with_suffix(".qml")
    style.write_text("<qgis><pipe><rasterrenderer/></pipe></qgis>")
    found = vectorise(raster, raster.with_suffix(".gpkg"))
    assert "rasterrenderer" in style.read_text()
    assert found.files == (raster.with_suffix(".gpkg"),)
    assert "map.qml is the style of a raster and stays" in found.notes[-1]
    vectorise(raster, tmp_path / "out.gpkg")
    with closing(sqlite3.connect(raster.with_suffix(".gpkg"))) as file:
        rows = file.execute("SELECT f_table_name, useAsDefault, styleQML FROM layer_styles")
        expected = (tmp_path / "out.qml").read_text(encoding="utf-8")
        assert rows.fetchall() == [("map", 1, expected)]


def test_values_outside_the_legend_are_named_and_told(tmp_path: Path) -> None:
    raster = write(tmp_path / "map.tif", PIXELS, names="1=forest,2=water,3=hut")
    found = vectorise(raster, tmp_path / "out.gpkg")
    assert [c.name for c in found.classes] == ["forest", "water", "hut", "class 7"]
    assert "the value 7 is none of its classes" in found.notes[-1]


def test_numbers_of_other_types_are_ids_if_they_fit(tmp_path: Path) -> None:
    pixels = PIXELS.astype(np.float32)
    pixels[PIXELS == 255] = np.nan
    raster = write(tmp_path / "map.tif", pixels, nodata=None)
    vectorise(raster, tmp_path / "out.gpkg")
    assert geopandas.read_file(tmp_path / "out.gpkg")["pixels"].tolist() == [1, 8, 6, 4]
    for wrong in (0.5, 300, -1):
        write(raster, np.where(PIXELS == 3, wrong, pixels).astype(np.float32), nodata=None)
        with pytest.raises(LabelError, match=rf"map.tif: {wrong:g} is no class id"):
            vectorise(raster, tmp_path / "wrong.gpkg")
    assert not (tmp_path / "wrong.gpkg").exists()


def test_what_cannot_be_is_said_and_leaves_nothing(raster: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    empty = write(tmp_path / "empty.tif", np.full((3, 3), 255, np.uint8))
    bands = write(tmp_path / "bands.tif", np.zeros((2, 3, 3), np.uint8))
    photo = write(tmp_path / "photo.tif", PIXELS, crs=None)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(LabelError, match="no pixel with a class"):
        vectorise(empty, out)
    with pytest.raises(LabelError, match=r"all 4 polygons of .* are smaller than 100px"):
        vectorise(raster, out, settings=asked(min_area=Measure.area("100px")))
    with pytest.raises(BandError, match="has 2 bands"):
        vectorise(bands, out)
    with pytest.raises(LabelError, match="no class is named 'ice'"):
        vectorise(raster, out, settings=asked(classes=("ice",)))
    with pytest.raises(LabelError, match="no class has the id 9"):
        vectorise(raster, out, settings=asked(classes=(9,)))
    with pytest.raises(LabelError, match="names no classes"):
        vectorise(photo, out, settings=asked(classes=("ice",)))
    with pytest.raises(GridError, match=r"no coordinate system.*in pixels \(1px\)"):
        vectorise(photo, out, settings=asked(min_area=Measure.area("1ha")))
    with pytest.raises(GridError, match="what a metre is"):
        vectorise(photo, out, settings=asked(simplify=Measure.length("1m")))
    with pytest.raises(OptionError, match="name the output"):
        vectorise(raster, tmp_path / "out.xyz")
    assert sorted(tmp_path.iterdir()) == before


def test_an_output_that_is_there_stays(raster: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.geojson"
    out.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        vectorise(raster, out)
    assert out.read_text() == "mine"
    vectorise(raster, out, overwrite=True)
    assert len(geopandas.read_file(out)) == 4


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_neither_workers_nor_another_run_change_a_byte(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    raster = write(tmp_path / "map.tif", rng.integers(0, 4, (300, 280)).astype(np.uint8))
    found: list[bytes] = []
    for workers in (1, 3):
        out = tmp_path / f"out.{suffix}"
        settings = asked(simplify=Measure.length("1px"))
        vectorise(raster, out, workers=workers, settings=settings, overwrite=True)
        found.append(out.read_bytes())
    assert found[0] == found[1]


def test_many_polygons_go_in_batches_and_are_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoseg.raster.polygons.files.layer._BATCH", 7)
    row, col = np.mgrid[:10, :10]
    pixels: NDArray[np.uint8] = ((row + col) % 2).astype(np.uint8)
    raster = write(tmp_path / "map.tif", pixels)
    for name in ("out.gpkg", "out.geojson"):
        vectorise(raster, tmp_path / name)
        table = geopandas.read_file(tmp_path / name)
        assert table["class"].tolist() == pixels.ravel().tolist()


def test_geojson_across_the_180th_meridian_is_refused(tmp_path: Path) -> None:
    transform = Affine(30_000, 0, 400_000, 0, -30_000, 4_000_000)
    raster = write(tmp_path / "map.tif", PIXELS, crs="EPSG:32660", transform=transform)
    write(raster, np.kron(PIXELS, np.ones((2, 4), np.uint8)), crs="EPSG:32660", transform=transform)
    with pytest.raises(GridError, match="180th meridian"):
        vectorise(raster, tmp_path / "out.geojson")
    assert not (tmp_path / "out.geojson").exists()


def test_the_file_says_what_made_it(raster: Path, tmp_path: Path) -> None:
    settings = asked(classes=("forest",), simplify=Measure.length("2 px"))
    vectorise(raster, tmp_path / "out.geojson", settings=settings)
    told = json.loads((tmp_path / "out.geojson").read_text(encoding="utf-8"))["metadata"]
    assert told["GEOSEG_COMMAND"] == "geoseg vectorise map.tif --classes forest --simplify 2px"


@pytest.mark.parametrize("text", ["", "5", "-1px", "1e400px", "3 km", "1m", "px"])
def test_an_area_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no area; write 100px"):
        Measure.area(text)


@pytest.mark.parametrize("text", ["", "-1px", "0px", "2ha", "m", "1m2"])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no tolerance"):
        Measure.length(text)


@pytest.mark.realdata
def test_a_real_class_map_is_a_coverage(real_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "part.tif"
    with rasterio.open(real_data / "zion" / "nlcd_simplified_on_landsat_grid.tif") as file:
        part = rasterio.windows.Window(400, 500, 300, 400)
        sides = {"width": 300, "height": 400, "transform": file.window_transform(part)}
        with rasterio.open(source, "w", **{**file.profile, "blockxsize": 300, **sides}) as cut:
            cut.write(file.read(window=part))
    settings = asked(simplify=Measure.length("2px"))
    found = vectorise(source, tmp_path / "out.gpkg", settings=settings)
    table = geopandas.read_file(tmp_path / "out.gpkg")
    shapes = table.geometry.to_numpy()
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    with rasterio.open(source) as file:
        counts = np.bincount(file.read(1, masked=True).compressed(), minlength=256)
    assert {c.id: a.pixels for c, a in found.classes.items()} == {
        int(i): int(counts[i]) for i in np.flatnonzero(counts) if i != 255
    }
