"""What an analyst sees on opening outputs in QGIS, without a click."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend, Ramp
from geoseg.raster.legend.palette import hex_of
from geoseg.raster.legend.style import category_qml
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.vector import write_footprints

pytestmark = pytest.mark.qgis

PROBE = Path(__file__).with_name("qgis_probe.py")


def plain_environment() -> dict[str, str]:
    """Environment for another interpreter: without this one's paths, to GDAL's data above all."""
    ours = ("PYTHON", "VIRTUAL_ENV", "GDAL_", "PROJ_", "LD_LIBRARY_PATH")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


@cache
def qgis_python() -> str | None:
    """Interpreter that can import QGIS, or None; GEOSEG_QGIS_PYTHON names an unusual one."""
    named = os.environ.get("GEOSEG_QGIS_PYTHON")
    for candidate in (named, "/usr/bin/python3", shutil.which("python3"), sys.executable):
        if candidate and Path(candidate).exists():
            done = subprocess.run(
                [candidate, "-c", "import qgis.core"],
                capture_output=True,
                check=False,
                env=plain_environment(),
            )
            if done.returncode == 0:
                return candidate
    return None


def seen_in_qgis(*paths: Path | str) -> list[dict[str, Any]]:
    python = qgis_python()
    if python is None:
        pytest.skip(
            "no QGIS: install it with its Python bindings (apt-get install qgis python3-qgis) or "
            "name the interpreter that has them in GEOSEG_QGIS_PYTHON"
        )
    done = subprocess.run(
        [python, str(PROBE), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=plain_environment(),
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


SEVEN = parse_legend(
    '0=water,1=forest,2="bare, & <dry>",5=urban,9=crops,40="Gelände ""alpin""",254=snow'
)
GRID = Grid(
    crs=CRS.from_epsg(32612),
    transform=Affine(30, 0, 300000, 0, -30, 4200000),
    height=70,
    width=70,
)


def write_classes(path: Path, legend: Legend) -> None:
    rows = np.repeat([*legend.ids, 255], 9).astype(np.uint8)[:70]
    data = np.full((70, 70), 255, np.uint8)
    data[:, : len(rows)] = rows
    with RasterWriter(
        path, GRID, band_names=["class"], dtype="uint8", nodata=255, legend=legend
    ) as writer:
        writer.write_rows(0, data)


def write_values(path: Path, bands: list[str], ramp: Ramp) -> None:
    values = np.linspace(ramp.minimum, ramp.maximum, 70 * 70, dtype=np.float32).reshape(70, 70)
    values[:20] = np.nan
    with RasterWriter(
        path, GRID, band_names=bands, dtype="float32", nodata=math.nan, ramp=ramp
    ) as writer:
        writer.write_rows(0, np.repeat(values[None], len(bands), axis=0))


def test_a_class_raster_shows_its_classes_and_no_other_row(tmp_path: Path) -> None:
    write_classes(tmp_path / "map.v1.tif", SEVEN)  # a dot in the name is none of a suffix
    (seen,) = seen_in_qgis(tmp_path / "map.v1.tif")
    colours = [hex_of(c) for c in SEVEN.colors]
    assert seen["renderer"] == "paletted"
    assert seen["classes"] == [
        [value, name, colour]
        for value, name, colour in zip(SEVEN.ids, SEVEN.names, colours, strict=True)
    ]
    # The rows beneath the layer's name: a heading, then the classes.
    assert seen["panel"] == ["Band 1: class (Palette)", *SEVEN.names]
    assert seen["items"] == [list(pair) for pair in zip(SEVEN.names, colours, strict=True)]
    assert seen["nodata"] == [255]
    assert seen["bands"] == ["Band 1: class"]
    assert seen["crs"] == "EPSG:32612"
    assert seen["extent"] == [300000, 4197900, 302100, 4200000]
    # Drawn are the classes' colours, and the white ground where there is no data.
    assert set(seen["drawn"]) == {*colours, "#ffffff"}


def test_a_class_raster_that_lost_its_style_still_has_its_colours(tmp_path: Path) -> None:
    write_classes(tmp_path / "x.tif", SEVEN)
    (tmp_path / "x.qml").unlink()
    (seen,) = seen_in_qgis(tmp_path / "x.tif")
    assert seen["renderer"] == "paletted"
    assert set(seen["drawn"]) == {*(hex_of(c) for c in SEVEN.colors), "#ffffff"}


@pytest.mark.parametrize("bands", [["confidence"], ["water <&>", "forest", "urban"]])
def test_a_continuous_raster_is_drawn_by_its_ramp_between_fixed_limits(
    tmp_path: Path, bands: list[str]
) -> None:
    ramp = Ramp("viridis", 0, 100, "%")
    write_values(tmp_path / "x.tif", bands, ramp)
    (seen,) = seen_in_qgis(tmp_path / "x.tif")
    assert seen["renderer"] == "singlebandpseudocolor"
    assert seen["band"] == 1
    assert seen["bands"] == [f"Band {i}: {name}" for i, name in enumerate(bands, start=1)]
    assert seen["limits"] == [0, 100]
    assert seen["stretch"] == 0  # limits stay as given, whatever is in view
    assert seen["ramp"] == "gradient"
    assert seen["stops"] == [
        [value, ramp.label(value), hex_of(colour)] for value, colour in ramp.items()
    ]
    assert "#ffffff" in seen["drawn"]  # no data is no colour
    assert len(seen["drawn"]) > 50


def test_activations_are_pale_at_zero_and_fill_the_ramp_on_both_sides(tmp_path: Path) -> None:
    ramp = Ramp("activation", -2.5, 2.5)
    write_values(tmp_path / "cam.tif", ["other", "corn", "grass/pasture"], ramp)
    (seen,) = seen_in_qgis(tmp_path / "cam.tif")
    assert (seen["renderer"], seen["band"]) == ("singlebandpseudocolor", 1)
    assert seen["bands"] == ["Band 1: other", "Band 2: corn", "Band 3: grass/pasture"]
    assert seen["limits"] == [-2.5, 2.5]
    assert seen["stretch"] == 0
    middle = seen["stops"][len(seen["stops"]) // 2]
    assert middle == [0, "0", hex_of(ramp.stops[len(ramp.stops) // 2][1])]
    assert len(seen["drawn"]) > 50


def test_an_index_of_footprints_is_coloured_by_its_column(tmp_path: Path) -> None:
    rings = [[(c, 0), (c + 1, 0), (c + 1, 1), (c, 1)] for c in range(3)]
    style = category_qml(
        'the "split"',
        {
            "train": ("training", (0, 0, 255)),
            "val": ("val <&>", (255, 0, 0)),
            "": ("none", (9, 9, 9)),
        },
    )
    write_footprints(
        tmp_path / "index.gpkg",
        "patches",
        {'the "split"': ["train", "val", None]},
        rings,
        CRS.from_epsg(32612),
        style_qml=style,
    )
    for path in (tmp_path / "index.gpkg", f"{tmp_path / 'index.gpkg'}|layername=patches"):
        (seen,) = seen_in_qgis(path)
        assert seen["renderer"] == "categorizedSymbol"
        assert seen["legend"] == [
            ["training", "#0000ff"],
            ["val <&>", "#ff0000"],
            ["none", "#090909"],
        ]
        assert seen["features"] == 3
        assert seen["fields"] == ["fid", 'the "split"']
        assert seen["crs"] == "EPSG:32612"
        assert len(seen["drawn"]) >= 3  # a fill a category at least: empty ones are drawn too


def test_photographs_without_place_open_too(tmp_path: Path) -> None:
    grid = Grid(crs=None, transform=Affine.identity(), height=20, width=20)
    with RasterWriter(
        tmp_path / "x.tif", grid, band_names=["class"], dtype="uint8", nodata=255, legend=SEVEN
    ) as writer:
        writer.write_rows(0, np.full((20, 20), 5, np.uint8))
    (seen,) = seen_in_qgis(tmp_path / "x.tif")
    assert [label for label, _ in seen["items"]] == list(SEVEN.names)


def test_gdal_itself_reads_category_names_and_the_attribute_table(tmp_path: Path) -> None:
    """Through the GDAL of QGIS's interpreter: rasterio has no call for either."""
    python = qgis_python()
    if python is None:
        pytest.skip("no QGIS, and so no GDAL with Python bindings")
    write_classes(tmp_path / "x.tif", SEVEN)
    script = """
import json, sys
from osgeo import gdal
gdal.UseExceptions()
source = gdal.Open(sys.argv[1])
band = source.GetRasterBand(1)
table = band.GetDefaultRAT()
print(json.dumps({
    "names": band.GetCategoryNames(),
    "nodata": band.GetNoDataValue(),
    "usages": [table.GetUsageOfCol(i) for i in range(table.GetColumnCount())],
    "rows": [[table.GetValueAsString(r, c) for c in range(table.GetColumnCount())]
             for r in range(table.GetRowCount())],
}))
"""
    done = subprocess.run(
        [python, "-c", script, str(tmp_path / "x.tif")],
        capture_output=True,
        text=True,
        check=True,
        env=plain_environment(),
    )
    seen = json.loads(done.stdout)
    assert seen["nodata"] == 255
    assert [seen["names"][i] for i in SEVEN.ids] == list(SEVEN.names)
    assert len(seen["names"]) == 255
    assert seen["usages"] == [5, 2, 6, 7, 8, 9]
    assert seen["rows"] == [[str(c.id), c.name, *map(str, c.color), "255"] for c in SEVEN.classes]
