"""Patches of the made data sets, for `ablations.py`: to learn from, and of other ground to test.

Each function fills a folder once and returns (patches to learn from, patches to test on).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.api.learning import tile
from geoseg.raster.scene import Scene
from geoseg.testing.layouts import (
    made_agde,
    made_alpine,
    made_cropland,
    made_deepglobe,
    made_sugarcane,
)
from geoseg.testing.layouts.deepglobe import MASKS
from geoseg.testing.layouts.drawing import put_png

Pair = tuple[Path, Path]

DEEPGLOBE = "1=urban,2=agriculture,3=rangeland,4=forest,5=water,6=barren"
ALPINE = (
    "0=grass and other,1=forest,2=bushes,3=water and wetlands,4=glaciers and snow,"
    "5=sparse rocks,6=loose rocks,7=bed rocks"
)
AGDE = "0=background,1=SC,2=sky,3=water,4=road"
CROPLAND = "0=other,1=corn,2=soybean,3=deciduous forest,4=grassland"
SUGARCANE = "1=sugarcane,0=other"


def pixels_of(path: Path) -> NDArray[np.uint8]:
    """(bands, rows, cols) of a whole picture."""
    with Scene.open(path) as scene:
        return np.asarray(scene.read(scene.grid.window).data)


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder whole, or find it made."""
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(folder)
    return folder


def cut(made: Path, pictures: str, labels: str, name: str, **options: Any) -> Path:
    """Cut patches beside a made set, once."""
    patches = made.with_name(name)
    if not patches.exists():
        tile(str(made / pictures), patches, labels=str(made / labels), workers=2, **options)
    return patches


def deepglobe(work: Path, *, images: int, tests: int, size: int, noise: float = 0.0) -> Pair:
    """Masks in class ids; with noise, that share of the squares of 12 px has the wrong class."""

    def make(folder: Path, count: int, seed: int) -> None:
        made_deepglobe(folder, images=count, size=size, seed=seed)
        rng = np.random.default_rng(seed)
        for mask in sorted((folder / "train").glob("*_mask.png")):
            ids = np.zeros((size, size), np.uint8)
            colors = pixels_of(mask)
            for number, color in enumerate(MASKS):
                ids[(colors == np.array(color)[:, None, None]).all(axis=0)] = number
            name = mask.name.replace("_mask", "")
            put_png(folder / "clean" / name, ids)
            side = -(-size // 12)
            wrong = np.kron(rng.random((side, side)) < noise, np.ones((12, 12), bool))
            drawn = np.kron(rng.integers(1, 7, (side, side)), np.ones((12, 12), int))
            ids = np.where(wrong[:size, :size] & (ids > 0), drawn[:size, :size], ids)
            put_png(folder / "ids" / name, ids.astype(np.uint8))
            sat = mask.with_name(mask.name.replace("_mask.png", "_sat.jpg"))
            (folder / "images").mkdir(exist_ok=True)
            sat.rename(folder / "images" / name.replace(".png", ".jpg"))

    name = f"deepglobe-{round(100 * noise)}"
    options = {"classes": DEEPGLOBE, "size": size // 2}
    learn = once(work / name, lambda f: make(f, images, 0))
    test = once(work / "deepglobe-test", lambda f: make(f, tests, 1))
    return (
        cut(learn, "images", "ids", f"{name}-patches", split="0.85,0.15,0", **options),
        cut(test, "images", "clean", "deepglobe-test-patches", split="0,0,1", **options),
    )


def alpine(work: Path, *, images: int, tests: int, size: int) -> Pair:
    """Pictures brought to their labels' pixels, spoilt ones left out."""

    def make(folder: Path, count: int, seed: int) -> None:
        made_alpine(folder, images=count, size=size, seed=seed)
        good = sorted((folder / "images").glob("256*.png"))
        for path in good:
            pixels = pixels_of(path).astype(np.float32)
            if pixels.max() == 0:
                continue
            half = pixels.reshape(3, size // 2, 2, size // 2, 2).mean(axis=(2, 4))
            put_png(folder / "halved" / path.name, np.rint(half).astype(np.uint8))

    options = {"classes": ALPINE, "size": size // 2}
    learn = once(work / "alpine", lambda f: make(f, images, 0))
    test = once(work / "alpine-test", lambda f: make(f, tests, 1))
    return (
        cut(learn, "halved", "labels", "alpine-patches", split="0.85,0.15,0", **options),
        cut(test, "halved", "labels", "alpine-test-patches", split="0,0,1", **options),
    )


def agde(work: Path, *, images: int, tests: int, size: int) -> Pair:
    """Photographs of 3 × 4; masks as geoseg rasterise makes them."""

    def make(folder: Path, count: int, seed: int) -> None:
        from geoseg.api.scenes import rasterise  # noqa: PLC0415

        made_agde(folder, train=count, test=0, height=size, width=size * 4 // 3, seed=seed)
        rasterise(
            folder / "train" / "annotations",
            folder / "masks",
            like=folder / "train" / "images",
            classes=AGDE,
            background="background",
        )

    learn = once(work / "agde", lambda f: make(f, images, 0))
    test = once(work / "agde-test", lambda f: make(f, tests, 1))
    options = {"classes": AGDE, "size": -(-size * 4 // 3 // 32) * 32}
    return (
        cut(learn, "train/images", "masks", "agde-patches", split="0.85,0.15,0", **options),
        cut(test, "train/images", "masks", "agde-test-patches", split="0,0,1", **options),
    )


def sugarcane(work: Path, *, images: int, tests: int, size: int, together: bool = True) -> Pair:
    """Images of one ground, the last ones to test on; all brought to one colour, or as they are.

    Neighbours overlap by 15 %, so that a little of what is tested on was seen in another colour.
    """

    def make(folder: Path) -> None:
        from geoseg.api.scenes import homogenise, rasterise  # noqa: PLC0415

        made_sugarcane(folder, images=images + tests, size=size)
        pictures = sorted((folder / "images").glob("*.tif"))
        for number, path in enumerate(pictures):
            part = folder / ("learn" if number < images else "test")
            for kind in ("images", "labels"):
                (part / kind).mkdir(parents=True, exist_ok=True)
            rasterise(
                folder / "plots.gpkg",
                part / "labels" / path.name,
                like=path,
                field="class",
                classes=SUGARCANE,
                background="other",
            )
        homogenise([str(path) for path in pictures], folder / "even")
        for number, path in enumerate(pictures):
            part = folder / ("learn" if number < images else "test")
            path.rename(part / "images" / path.name)

    made = once(work / "sugarcane", make)
    word = "even" if together else "as-it-is"
    colour = str(made / "even" / "colour.json") if together else None
    options = {"classes": SUGARCANE, "size": 96, "homogenise": colour}
    pair = []
    for part, split in (("learn", "0.85,0.15,0"), ("test", "0,0,1")):
        patches = made.with_name(f"sugarcane-{part}-{word}")
        if not patches.exists():
            pictures, labels = (
                [str(p) for p in sorted((made / part / kind).glob("*.tif"))]
                for kind in ("images", "labels")
            )
            tile(pictures, patches, labels=labels, split=split, workers=2, **options)
        pair.append(patches)
    return pair[0], pair[1]


def cropland(work: Path, *, size: int) -> tuple[Path, Path, Path]:
    """(composite, labels of pixels, patches of 50 px)."""

    def make(folder: Path) -> None:
        from geoseg.raster.legend.written import parse_legend  # noqa: PLC0415
        from geoseg.raster.plain import PlainWriter  # noqa: PLC0415

        made_cropland(folder, size=size)
        table = np.zeros(256, np.uint8)
        table[[0, 1, 5, 141, 176]] = (255, 1, 2, 3, 4)
        with Scene.open(folder / "cdl.tif") as scene:
            grid, codes = scene.grid, scene.read(scene.grid.window).data
        with PlainWriter(
            folder / "labels.tif",
            grid,
            band_names=("class",),
            dtype="uint8",
            nodata=255,
            legend=parse_legend(CROPLAND),
        ) as file:
            file.write(grid.window, table[codes])

    made = once(work / "cropland", make)
    patches = made.with_name("cropland-patches")
    if not patches.exists():
        tile(
            made / "composite.tif",
            patches,
            labels=made / "labels.tif",
            size=50,
            split="0.8,0.1,0.1",
            workers=2,
        )
    return made / "composite.tif", made / "labels.tif", patches
