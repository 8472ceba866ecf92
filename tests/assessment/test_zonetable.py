"""``vectorise`` with zones, and with all of a class as one feature."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.assessment.vectorise import VectoriseSettings, vectorise
from geoseg.assessment.zonetable import _Held
from geoseg.errors import OptionError, OutputError, VectorError
from geoseg.raster.legend.style import class_aux_xml
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.polygons.files import layer

X, Y = 300_000, 4_000_000
PIXELS = np.array([[1, 2, 1, 1], [2, 1, 1, 255]], np.uint8)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    path = tmp_path / "map.tif"
    options: dict[str, Any] = {"crs": "EPSG:32612", "transform": Affine(100, 0, X, 0, -100, Y)}
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=4, count=1, dtype="uint8", nodata=255, **options
    ) as file:
        file.write(PIXELS, 1)
    legend = parse_legend("1=cane:#00ff00,2=soil:#aa7744,3=lake:#0000ff")
    Path(f"{path}.aux.xml").write_text(class_aux_xml(legend), encoding="utf-8")
    return path


def box(left: float, top: float, right: float, bottom: float) -> Any:
    """Rectangle in pixels."""
    return shapely.box(X + 100 * left, Y - 100 * bottom, X + 100 * right, Y - 100 * top)


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    path = tmp_path / "districts.gpkg"
    frame = geopandas.GeoDataFrame(
        {"label": ["west", "east"], "zone": [7, 8]},
        geometry=[box(0, 0, 1.5, 2), box(1.5, 0, 5, 2)],
        crs=32612,
    )
    frame.to_file(path)
    return path


def asked(**settings: Any) -> VectoriseSettings:
    return VectoriseSettings(**settings)


def test_zones_hold_their_parts_of_pixels(raster: Path, zones: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    found = vectorise(raster, out, settings=asked(zones=str(zones), zone_field="label"))
    table = geopandas.read_file(out, layer="zones")
    # Columns 0 and 1 by half to the west: 1 + ½ cane, ½ + 1 soil.
    rows = table[["cane_ha", "soil_ha", "lake_ha"]].to_numpy()
    assert rows == pytest.approx(np.array([[1.5, 1.5, 0], [3.5, 0.5, 0]]), abs=0.02)
    assert table["zone"].tolist() == ["west", "east"]
    # Of the east's 7 pixels one has no data and two lie off the raster.
    assert table["nodata_share"].tolist() == pytest.approx([0, 100 * 3 / 7], abs=0.1)
    assert table["zone_"].tolist() == [7, 8]
    assert "attributes of the zones have other names: zone is zone_" in found.notes
    assert [z.name for z in found.zones] == ["west", "east"]
    assert found.zones[0].amounts["cane"] == pytest.approx(table["cane_ha"][0], abs=1e-6)
    assert "lake" not in found.zones[0].amounts
    # The first layer is as without zones.
    vectorise(raster, tmp_path / "plain.gpkg")
    first = geopandas.read_file(out, layer="out")
    plain = geopandas.read_file(tmp_path / "plain.gpkg")
    assert first.equals(plain)


@pytest.mark.parametrize("crs", [32612, 4326])
def test_zones_off_the_raster_have_no_data_in_any_coordinate_system(
    raster: Path, tmp_path: Path, crs: int
) -> None:
    shapes = [box(0, 0, 1, 1), box(1000, 0, 1001, 1), box(0, 30_000, 1, 30_001)]
    frame = geopandas.GeoDataFrame({"n": range(3)}, geometry=shapes, crs=32612)
    frame.to_crs(crs).to_file(tmp_path / "zones_of.gpkg")
    settings = asked(zones=str(tmp_path / "zones_of.gpkg"))
    found = vectorise(raster, tmp_path / "out.gpkg", settings=settings)
    assert [zone.nodata_share for zone in found.zones] == [pytest.approx(0, abs=1e-3), 100, 100]
    assert "2 of 3 zones have no ground on map" in found.notes


def test_what_is_left_out_or_not_wanted_changes_no_other_area(
    raster: Path, zones: Path, tmp_path: Path
) -> None:
    settings = asked(zones=str(zones), classes=("soil",))
    found = vectorise(raster, tmp_path / "out.gpkg", settings=settings)
    table = geopandas.read_file(tmp_path / "out.gpkg", layer="zones")
    assert [c for c in table.columns if c.endswith("_ha")] == ["soil_ha"]
    assert table["soil_ha"].tolist() == pytest.approx([1.5, 0.5], abs=0.02)
    assert table["nodata_share"][0] == 0  # cane is no missing data
    assert [z.name for z in found.zones] == ["1", "2"]


@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_zones_of_formats_with_one_layer_are_a_file_beside(
    raster: Path, zones: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"out.{suffix}"
    found = vectorise(raster, out, settings=asked(zones=str(zones)))
    names = [path.name for path in found.files]
    if suffix == "gpkg":
        assert names == ["out.gpkg"]
        assert {"out", "zones"} <= {str(name) for name, _ in pyogrio.list_layers(out)}
        with closing(sqlite3.connect(out)) as file:
            styled = file.execute("SELECT f_table_name FROM layer_styles").fetchall()
        assert styled == [("out",), ("zones",)]
        return
    assert names == ["out.geojson", "out.qml", "out_zones.geojson", "out_zones.qml"]
    table = geopandas.read_file(tmp_path / "out_zones.geojson")
    assert table.crs == "EPSG:4326"
    assert table["zone"].tolist() == [1, 2]
    told = json.loads((tmp_path / "out_zones.geojson").read_text(encoding="utf-8"))
    assert told["metadata"]["GEOSEG_COMMAND"].endswith("--zones districts.gpkg")
    out.unlink()
    with pytest.raises(OutputError, match="there already"):
        vectorise(raster, out, settings=asked(zones=str(zones)))
    assert not out.exists()


def test_dissolved_classes_are_one_valid_feature_each(raster: Path, tmp_path: Path) -> None:
    vectorise(raster, tmp_path / "out.gpkg", settings=asked(dissolve=True))
    table = geopandas.read_file(tmp_path / "out.gpkg")
    assert table["class"].tolist() == [1, 2]
    assert table["polygons"].tolist() == [2, 2]
    assert table["pixels"].tolist() == [5, 2]
    assert table["area_ha"].tolist() == pytest.approx([5, 2], abs=0.02)
    assert (table.geom_type == "MultiPolygon").all()
    assert table.is_valid.all()
    assert (table.area / 1e4).tolist() == [5, 2]


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_dissolved_by_zone_they_are_cut_at_its_border(
    raster: Path, zones: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"out.{suffix}"
    settings = asked(dissolve=True, zones=str(zones), zone_field="label")
    vectorise(raster, out, settings=settings)
    table = geopandas.read_file(out) if suffix == "geojson" else None
    table = geopandas.read_file(out, layer="out") if table is None else table.to_crs(32612)
    assert table["zone"].tolist() == ["west", "west", "east", "east"]
    assert table["name"].tolist() == ["cane", "soil", "cane", "soil"]
    assert (table.area / 1e4).tolist() == pytest.approx([1.5, 1.5, 3.5, 0.5], abs=1e-3)
    assert table["area_ha"].tolist() == pytest.approx([1.5, 1.5, 3.5, 0.5], abs=0.02)
    assert table.is_valid.all()


def test_dissolved_features_are_written_together_up_to_so_many_corners(
    raster: Path, zones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = pyogrio.raw.write

    def counted(path: Any, **options: Any) -> None:
        written.append(len(options["geometry"]))
        write(path, **options)

    monkeypatch.setattr(pyogrio.raw, "write", counted)
    tables = []
    for most in (1 << 20, 1):
        monkeypatch.setattr(layer, "_POINTS", most)
        settings = asked(dissolve=True, zones=str(zones))
        vectorise(raster, tmp_path / "out.gpkg", settings=settings, overwrite=True)
        tables.append(geopandas.read_file(tmp_path / "out.gpkg", layer="out"))
    # Last comes the layer of zones.
    assert written == [4, 2, 1, 1, 1, 1, 2]
    assert tables[0].equals(tables[1])


def test_cut_areas_add_up_to_those_of_the_table(tmp_path: Path, raster: Path) -> None:
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(1, 4, (20, 30)), np.ones((2, 2))).astype(np.uint8)
    with rasterio.open(raster) as file:
        profile = file.profile | {"height": 40, "width": 60}
    with rasterio.open(raster, "w", **profile) as file:
        file.write(pixels, 1)
    turned = [
        shapely.affinity.rotate(box(c, r, c + 20, r + 20), 11, origin=(X, Y))
        for c in (0, 20, 40)
        for r in (0, 20)
    ]
    frame = geopandas.GeoDataFrame({"n": range(6)}, geometry=turned, crs=32612)
    frame.to_crs(4326).to_file(tmp_path / "turned.gpkg")
    out = tmp_path / "out.gpkg"
    vectorise(raster, out, settings=asked(dissolve=True, zones=str(tmp_path / "turned.gpkg")))
    cut = geopandas.read_file(out, layer="out")
    table = geopandas.read_file(out, layer="zones")
    assert cut.is_valid.all()
    for _, row in cut.iterrows():
        assert row["area_ha"] == pytest.approx(
            table[f"{row['name']}_ha"][row["zone"] - 1], rel=1e-6
        )


def test_zones_that_cannot_be_are_one_line_and_leave_nothing(
    raster: Path, zones: Path, tmp_path: Path
) -> None:
    far = tmp_path / "far.gpkg"
    geopandas.GeoDataFrame({"n": [1]}, geometry=[box(90, 0, 91, 1)], crs=32612).to_file(far)
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out.gpkg"
    with pytest.raises(VectorError, match="does not overlap"):
        vectorise(raster, out, settings=asked(zones=str(far)))
    with pytest.raises(VectorError, match=r"no attribute 'county'; there are label, zone"):
        vectorise(raster, out, settings=asked(zones=str(zones), zone_field="county"))
    with pytest.raises(VectorError, match="no such file"):
        vectorise(raster, out, settings=asked(zones=str(tmp_path / "none.gpkg")))
    with pytest.raises(OptionError, match="goes with --zones"):
        asked(zone_field="label")
    with pytest.raises(OptionError, match="second layer is called zones"):
        vectorise(raster, tmp_path / "zones.gpkg", settings=asked(zones=str(zones)))
    with pytest.raises(OutputError, match="is an input"):
        vectorise(raster, zones, settings=asked(zones=str(zones)), overwrite=True)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_workers_change_no_byte(raster: Path, zones: Path, tmp_path: Path, suffix: str) -> None:
    found = []
    for workers in (1, 3):
        out = tmp_path / f"out.{suffix}"
        settings = asked(dissolve=True, zones=str(zones))
        vectorise(raster, out, settings=settings, workers=workers, overwrite=True)
        found.append(out.read_bytes())
    assert found[0] == found[1]


def test_sums_have_room_for_the_classes_that_occur_in_the_order_of_their_ids() -> None:
    held = _Held(3)
    held.expect(np.array([[7, 255], [7, 7]], np.uint8))
    held.counts[1, held.slots[7]] = 5
    held.expect(np.array([[2, 7]], np.uint8))
    held.counts[2, held.slots[2]] = 4
    held.areas[2, held.slots[2]] = 40_000
    assert held.counts.shape == held.areas.shape == (3, 3)
    held.sort()
    assert held.codes == [2, 7, 255]
    assert held.sums(7, areas=False).tolist() == [0, 5, 0]
    assert held.sums(2, areas=True).tolist() == [0, 0, 4]
    assert held.sums(9, areas=True).tolist() == [0, 0, 0]
