"""Overlapping images of fields in several colours, with plots and districts as polygons."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.grid import Grid
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.vector import write_footprints
from geoseg.raster.window import Window
from geoseg.testing.layouts.drawing import Floats, rng_of
from geoseg.testing.noise import UNIT, Field, Paper, make_fields

BANDS = ("blue", "green", "red", "nir")
POSITIVE = 0.3846
"""Published share of sugarcane."""
# Readings of the ground on a clear day, of what differs between fields, and of the texture.
_MEANS = (420.0, 470.0, 410.0, 880.0)
_TONES = (30.0, 40.0, 45.0, 110.0)
_TEXTURE = (26.0, 34.0, 36.0, 80.0)
_CELL = (46.0, 30.0)  # sides of a plot in pixels
_PATH = 2.0  # ground between plots, in pixels
_TURN = math.radians(14)
_STEP = 0.85  # of an image's side, from one to the next
_METRES = 0.8
_ORIGIN = (640_000.0, 2_560_000.0)
_BRIGHTEST = 2047


def made_sugarcane(folder: str | Path, *, images: int = 4, size: int = 192, seed: int = 0) -> Path:
    """Make ``images/01.tif`` …, ``plots.gpkg`` and ``districts.gpkg``.

    Four bands at 0.8 m, side by side with overlaps. Plots of sugarcane and others have the same
    colours; sugarcane stands in rows, others do not. Each image has its own cast and haze, and a
    few readings that are far too bright, in some images more.

    Parameters
    ----------
    folder
        Where all of it is made.
    images
        How many; 20 as published.
    size
        Side of each in pixels; 5000 as published.
    seed
        Decides what lies where.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folder = Path(folder)
    cols = math.ceil(math.sqrt(images))
    step = round(size * _STEP)
    whole = plain_grid(
        step * (-(-images // cols) - 1) + size,
        step * (cols - 1) + size,
        crs="EPSG:32648",
        origin=_ORIGIN,
        resolution=_METRES,
    )
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        window = Window(step * (number // cols), step * (number % cols), size, size)
        grid = whole.crop(window)
        pixels = _image(rng_of(seed, 2, number), window, seed)
        path = folder / "images" / f"{number + 1:02d}.tif"
        with PlainWriter(path, grid, band_names=BANDS, dtype="uint16", nodata=None) as file:
            file.write(grid.window, pixels)
    _write_polygons(folder, whole, seed)
    return folder


def _image(rng: np.random.Generator, window: Window, seed: int) -> NDArray[np.uint16]:
    """(4, rows, cols) readings of one image."""
    ground = _ground(window, seed)
    gain = rng.normal(1, 0.13, (4, 1, 1))
    haze = rng.uniform(0, 160) * np.asarray([1, 0.7, 0.5, 0.15])[:, None, None]
    readings = ground * gain + haze + rng.normal(0, 6, ground.shape)
    # Roofs that mirror the sun, and defects: one image has many times those of another.
    share = 0.0004 * 4 ** rng.uniform(0, 2)
    bright = rng.random(ground.shape[1:]) < share
    readings[:, bright] = _BRIGHTEST * rng.uniform(0.85, 1, (4, int(bright.sum())))
    return np.clip(np.rint(readings), 1, _BRIGHTEST).astype(np.uint16)


def _ground(window: Window, seed: int) -> Floats:
    """(4, rows, cols) readings without cast and haze; the same wherever images overlap."""
    rows = np.arange(window.row, window.row_stop, dtype=np.float64)[:, None] + 0.5
    cols = np.arange(window.col, window.col_stop, dtype=np.float64)[None, :] + 0.5
    across = cols * math.cos(_TURN) + rows * math.sin(_TURN)
    down = rows * math.cos(_TURN) - cols * math.sin(_TURN)
    i, j = np.floor(across / _CELL[0]).astype(int), np.floor(down / _CELL[1]).astype(int)
    u, v = across - i * _CELL[0], down - j * _CELL[1]
    in_plot = (u >= _PATH) & (v >= _PATH)
    tables = _plots(seed)
    kind, tone = (table[i % len(table), j % len(table)] for table in tables[:2])
    fields = _fields(seed)
    grain = fields["grain"].read(window).astype(np.float32) / UNIT
    wide = fields["wide"].read(window).astype(np.float32) / UNIT
    rows_of_cane = np.sqrt(2) * np.sin(2 * np.pi * v / 5 + 0.6 * wide)
    texture = np.where(kind & in_plot, 0.85 * rows_of_cane + 0.5 * grain, grain)
    value = 0.5 * wide + tone
    parts = zip(_MEANS, _TONES, _TEXTURE, strict=True)
    ground = np.stack([m + t * value + x * texture for m, t, x in parts])
    return np.asarray(np.where(in_plot, ground, ground * 1.04), np.float32)


@lru_cache(maxsize=2)
def _plots(seed: int) -> tuple[NDArray[np.bool_], Floats]:
    """Whether plots are of sugarcane and how bright they are; beyond 512, they come again."""
    rng = rng_of(seed, 2, 1 << 20)
    # Sugarcane of 38.46 % of the ground, of which paths are none.
    inner = (1 - _PATH / _CELL[0]) * (1 - _PATH / _CELL[1])
    kind = rng.random((512, 512)) < POSITIVE / inner
    return kind, rng.normal(0, 0.9, (512, 512)).astype(np.float32)


@lru_cache(maxsize=2)
def _fields(seed: int) -> dict[str, Field]:
    def draw(paper: Paper) -> dict[str, Floats]:
        return {"grain": paper.noise(1, 4), "wide": paper.noise(3, 200)}

    return make_fields(rng_of(seed, 2, 2 << 20), draw)


def _write_polygons(folder: Path, whole: Grid, seed: int) -> None:
    kind = _plots(seed)[0]
    far = math.hypot(whole.height, whole.width)
    rings = []
    for i in range(-1, int(far / _CELL[0]) + 2):
        for j in range(-int(far / _CELL[1]) - 2, int(far / _CELL[1]) + 2):
            if not kind[i % len(kind), j % len(kind)]:
                continue
            ring = _to_map(_corners(i, j), whole)
            if _touches(ring, whole):
                rings.append(ring)
    columns: dict[str, list[Any]] = {
        "class": ["sugarcane"] * len(rings),
        "plot": list(range(1, len(rings) + 1)),
    }
    write_footprints(
        folder / "plots.gpkg", "plots", columns, np.asarray(rings), whole.crs, overwrite=True
    )
    middle = (whole.height // 2, whole.width // 2)
    boxes = [
        np.asarray([(c, r), (c + w, r), (c + w, r + h), (c, r + h)], np.float64)
        for r, h in ((0, middle[0]), (middle[0], whole.height - middle[0]))
        for c, w in ((0, middle[1]), (middle[1], whole.width - middle[1]))
    ]
    names = {"name": ["north-west", "north-east", "south-west", "south-east"]}
    places = np.asarray([_to_map(box, whole) for box in boxes])
    write_footprints(
        folder / "districts.gpkg", "districts", names, places, whole.crs, overwrite=True
    )


def _corners(i: int, j: int) -> NDArray[np.float64]:
    """(4, 2) corners of a plot as (column, row)."""
    across = np.asarray([_PATH, _CELL[0], _CELL[0], _PATH]) + i * _CELL[0]
    down = np.asarray([_PATH, _PATH, _CELL[1], _CELL[1]]) + j * _CELL[1]
    cols = across * math.cos(_TURN) - down * math.sin(_TURN)
    rows = across * math.sin(_TURN) + down * math.cos(_TURN)
    return np.stack([cols, rows], axis=1)


def _to_map(places: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    left, _, _, top = grid.bounds(grid.window)
    return np.stack([left + places[:, 0] * _METRES, top - places[:, 1] * _METRES], axis=1)


def _touches(ring: NDArray[np.float64], grid: Grid) -> bool:
    left, bottom, right, top = grid.bounds(grid.window)
    (x0, y0), (x1, y1) = ring.min(axis=0), ring.max(axis=0)
    return bool(x1 > left and x0 < right and y1 > bottom and y0 < top)
