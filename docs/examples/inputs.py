"""Make the small files that the examples of the documentation begin with.

python docs/examples/inputs.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from geoseg import open_scene, vectorise
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import made_scene, tiny_scene
from geoseg.testing.spectra import LEGEND, SPECTRA

BANDS = ("blue", "green", "red", "nir")
NODATA = 65535
RECIPE = """\
title = "Patches and a map of a small scene"

[[step]]
run = "tile"
arguments = ["{data}/scene.tif"]
output = "{out}/patches"

[step.options]
labels = "{data}/labels.tif"
size = 64

[[step]]
run = "predict"
arguments = ["{data}/scene.tif"]
output = "{out}/map.tif"

[step.options]
model = "{data}/model.safetensors"
"""


def make(folder: Path) -> None:
    """Fill a folder, which is made."""
    folder.mkdir(parents=True)
    made_scene(folder / "scene.tif", height=256, width=256, labels=folder / "labels.tif", workers=1)
    with open_scene(folder / "scene.tif") as scene:
        grid, pixels = scene.grid, scene.read(scene.grid.window).data
    _labels(folder)
    _model(folder)
    _dates(folder, grid, pixels)
    _flights(folder, grid, pixels)
    _pair(folder, grid, pixels)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")


def _labels(folder: Path) -> None:
    """Write labels that cannot be used as they are: as polygons, and of another place."""
    vectorise(folder / "labels.tif", folder / "fields.gpkg", workers=1)
    with open_scene(folder / "labels.tif") as scene:
        codes = scene.read(scene.grid.window).data[0]
    tiny_scene(
        folder / "elsewhere.tif",
        codes,
        nodata=255,
        legend=LEGEND,
        crs="EPSG:32612",
        origin=(500000.0, 1000000.0),
        resolution=30.0,
    )


def _model(folder: Path) -> None:
    """Write a model that gives a pixel the class whose mean spectrum is nearest."""
    means = np.array([spectrum.mean for spectrum in SPECTRA.values()]) / 1000
    pointwise_bundle(
        2 * means,
        -(means**2).sum(axis=1),
        bands=BANDS,
        legend=LEGEND,
        std=(1000.0,) * len(BANDS),
        name="nearest-mean",
        path=folder / "model.safetensors",
    )


def _dates(folder: Path, grid: Grid, pixels: np.ndarray) -> None:
    """Write three dates, with clouds in different places."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("may", "june", "july")):
        noise = rng.integers(0, 20, pixels.shape).astype(pixels.dtype)
        date = np.where(pixels == NODATA, NODATA, pixels + noise).astype(pixels.dtype)
        date[:, 80 * number : 80 * number + 60, 40:120] = NODATA
        tiny_scene(folder / f"{name}.tif", date, bands=BANDS, nodata=NODATA, grid=grid)


def _flights(folder: Path, grid: Grid, pixels: np.ndarray) -> None:
    """Write two images that share half of their ground and differ in brightness."""
    (folder / "flights").mkdir()
    for name, row, gain in (("a", 0, 1.0), ("b", 80, 1.3)):
        part = pixels[:, row : row + 160]
        part = np.where(part == NODATA, NODATA, part * gain).astype(pixels.dtype)
        place = grid.crop(Window(row=row, col=0, height=160, width=256))
        tiny_scene(folder / "flights" / f"{name}.tif", part, bands=BANDS, nodata=NODATA, grid=place)


def _pair(folder: Path, grid: Grid, pixels: np.ndarray) -> None:
    """Write a panchromatic band, and bands with pixels four times as large."""
    tiny_scene(
        folder / "pan.tif",
        pixels[:3].mean(axis=0).astype(pixels.dtype),
        bands=["pan"],
        nodata=NODATA,
        grid=grid,
    )
    blocks = pixels.reshape(len(pixels), 64, 4, 64, 4)
    whole = (blocks != NODATA).all(axis=(0, 2, 4))
    coarse = np.where(whole, blocks.mean(axis=(2, 4)), NODATA).astype(pixels.dtype)
    tiny_scene(folder / "ms.tif", coarse, bands=BANDS, nodata=NODATA, grid=grid.coarsen(4))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
