"""A raster of many bands and zones on it."""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from geoseg.raster.legend.style import class_aux_xml
from geoseg.raster.legend.written import parse_legend

sys.path.append(str(Path(__file__).parent))

from polygonstops import HEIGHT, HERE, SMALL, WIDTH


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(name, value)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a raster and zones."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(5)
    pixels = np.kron(rng.integers(1, 4, (30, 12)), np.ones((5, 5))).astype(np.uint8)
    specks = rng.random(pixels.shape) < 0.1
    pixels[specks] = rng.integers(1, 6, specks.sum())
    pixels[40:75] = 255  # bands without anything
    pixels[90:, 3] = 9  # an id that is no class, far down
    pixels[:, 30] = 2  # what is open from the first row to the last
    with rasterio.open(
        folder / "map.tif", "w", driver="GTiff", count=1, height=HEIGHT, width=WIDTH,
        dtype="uint8", crs="EPSG:32612", transform=HERE, nodata=255,
        blockxsize=16, blockysize=16, tiled=True,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    names = parse_legend("1=forest,2=water,3=hut")
    Path(f"{folder / 'map.tif'}.aux.xml").write_text(class_aux_xml(names), encoding="utf-8")
    x, y = 300_000, 4_000_000
    parts = [
        shapely.box(x + 100, y - 4000, x + 900, y - 200),
        shapely.box(x + 500, y - 3000, x + 1700, y - 1000),
        shapely.Point(x + 1200, y - 3800).buffer(500),
    ]
    frame = geopandas.GeoDataFrame({"name": ["a", "b", "c"]}, geometry=parts, crs="EPSG:32612")
    frame.to_file(folder / "zones.gpkg")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "stopped").mkdir()
    return tmp_path / "stopped" / "map.gpkg"


@pytest.fixture
def mine(here: Path, tmp_path: Path) -> Path:
    """Return a folder of the same files that may be changed."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for path in here.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
