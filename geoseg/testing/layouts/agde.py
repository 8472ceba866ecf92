"""Photographs of grassland with LabelMe drawings, in five stages of degradation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.testing.layouts.drawing import (
    Color,
    Floats,
    coloured,
    inside,
    noise,
    put,
    put_jpeg,
    rng_of,
    to_bytes,
)

CLASSES = ("background", "SC", "sky", "water", "road")
# Grass, leaves of Stellera, sky, water, road. The plant is a little darker and redder than grass,
# and has flowers.
_COLORS: tuple[Color, ...] = (
    (138, 142, 82),
    (116, 122, 72),
    (176, 200, 226),
    (112, 134, 148),
    (158, 146, 126),
)
# Whole percents of the five stages, a little inside their borders.
_STAGES = ((2, 18), (21, 38), (41, 58), (61, 78), (81, 93))
_MOST_PATCHES = 900

Ring = NDArray[np.float64]


def made_agde(
    folder: str | Path,
    *,
    train: int = 15,
    test: int = 10,
    height: int = 256,
    width: int = 341,
    seed: int = 0,
) -> Path:
    """Make ``train`` and ``test``, each with ``images/NAME.jpg`` and ``annotations/NAME.json``.

    Seen from a person's height: the sky above, a road on some, water on some, patches of the plant
    (SC) that are smaller and denser towards the horizon. Stages I to V take turns.

    Parameters
    ----------
    folder
        Where the two folders are made.
    train, test
        How many photographs.
    height, width
        Of each, in pixels.
    seed
        Decides what lies where.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folder = Path(folder)
    for part, count in enumerate((train, test)):
        for number in range(count):
            rng = rng_of(seed, 1, part, number)
            shapes, index = _drawn(rng, _STAGES[number % 5], height, width)
            base = folder / ("train", "test")[part]
            name = f"{part}{number:04d}"
            put_jpeg(base / "images" / f"{name}.jpg", to_bytes(_picture(rng, index)))
            text = json.dumps(_labelme(shapes, f"{name}.jpg", height, width), indent=1)
            put(base / "annotations" / f"{name}.json", text.encode())
    return folder


def _drawn(
    rng: np.random.Generator, percents: tuple[int, int], height: int, width: int
) -> tuple[list[tuple[int, Ring]], NDArray[np.uint8]]:
    """Return polygons, (class, corners), and what they make of the pixels."""
    index = np.zeros((height, width), np.uint8)
    shapes: list[tuple[int, Ring]] = []
    horizon = height * rng.uniform(0.12, 0.3)
    hills = horizon + height * 0.02 * rng.standard_normal(9).cumsum()
    hills = np.clip(hills, height * 0.05, height * 0.4)
    sky = np.stack([np.linspace(0, width, 9), hills], axis=1)
    shapes.append((2, np.concatenate([[[0, 0]], sky, [[width, 0]]])))
    low = float(hills.max())
    if rng.random() < 0.4:
        x = width * rng.uniform(0.2, 0.8)
        end = x + width * rng.normal(0, 0.3)
        near = width * rng.uniform(0.06, 0.14)
        corners = [[x - 3, low], [x + 3, low], [end + near, height], [end - near, height]]
        shapes.append((4, np.asarray(corners)))
    if rng.random() < 0.4:
        y = low + (height - low) * rng.uniform(0.1, 0.4)
        shapes.append((3, _blob(rng, width * rng.uniform(0, 1), y, width * 0.16, height * 0.035)))
    for kind, ring in shapes:
        index[inside(_kept(ring, height, width), height, width)] = kind
    wanted, most = rng.uniform(*percents), percents[1]
    open_ground = int(np.isin(index, (0, 1)).sum())
    for _ in range(_MOST_PATCHES):
        covered = 100 * int((index == 1).sum()) / max(open_ground, 1)
        if covered >= wanted:
            break
        depth = rng.random() ** 0.7
        y = low + (height - low) * depth
        across = width * (0.012 + 0.09 * depth) * rng.uniform(0.6, 1.5)
        # Nearly there, only what does not go too far.
        across *= min(1, 0.15 + (wanted - covered) / 12)
        ring = _blob(rng, rng.uniform(0, width), y, max(across, 2.5), max(across * 0.45, 2))
        found = inside(_kept(ring, height, width), height, width) & (index == 0)
        if not found.any() or 100 * found.sum() / open_ground + covered > most:
            continue
        index[found] = 1
        shapes.append((1, ring))
    _fill_up(rng, shapes, index, wanted, most)
    # LabelMe paints in order: what lies on top comes last.
    shapes.sort(key=lambda shape: shape[0] != 1)
    return [(kind, _kept(ring, height, width)) for kind, ring in shapes], index


def _fill_up(
    rng: np.random.Generator,
    shapes: list[tuple[int, Ring]],
    index: NDArray[np.uint8],
    wanted: float,
    most: float,
) -> None:
    """Draw plants where grass is left until as much is covered as is wanted, in percent."""
    height, width = index.shape
    open_ground = int(np.isin(index, (0, 1)).sum())
    for _ in range(_MOST_PATCHES):
        lacking = wanted * open_ground / 100 - int((index == 1).sum())
        bare = np.flatnonzero(index == 0)
        if lacking <= 0 or not len(bare):
            return
        y, x = divmod(int(rng.choice(bare)), width)
        # As large as what is lacking, and no larger than others.
        across = min(float(np.sqrt(lacking / (0.45 * np.pi))), width * 0.1)
        ring = _blob(rng, x + 0.5, y + 0.5, max(across, 2.5), max(across * 0.45, 2))
        found = inside(_kept(ring, height, width), height, width) & (index == 0)
        if int((index == 1).sum()) + int(found.sum()) <= most * open_ground / 100:
            index[found] = 1
            shapes.append((1, ring))


def _blob(rng: np.random.Generator, x: float, y: float, across: float, down: float) -> Ring:
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    reach = 1 + 0.22 * rng.standard_normal(14).clip(-2, 2)
    return np.stack([x + across * reach * np.cos(angle), y + down * reach * np.sin(angle)], axis=1)


def _kept(ring: Ring, height: int, width: int) -> Ring:
    """Corners inside of the picture, to a tenth of a pixel, as people draw them."""
    return np.asarray(np.round(np.clip(ring, 0, [width, height]), 1), np.float64)


def _picture(rng: np.random.Generator, index: NDArray[np.uint8]) -> Floats:
    height, width = index.shape
    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    grass = noise(rng, height, width, longest=5, exponent=1.5)
    leaves = noise(rng, height, width, longest=7, exponent=2)
    flowers = np.where(noise(rng, height, width, longest=3, exponent=0.5) > 1.5, 88, -6)
    clouds = noise(rng, height, width, longest=height / 2, exponent=3.5)
    textures = [
        grass * (5 + 9 * depth),
        leaves * (6 + 8 * depth) + flowers,
        14 * clouds,
        6 * noise(rng, height, width, longest=20, exponent=2, stretch=0.2),
        6 * noise(rng, height, width, longest=4, exponent=1),
    ]
    picture = coloured(index, _COLORS, [np.asarray(t, np.float32) for t in textures])
    patchy = noise(rng, height, width, longest=height / 3, exponent=3.5)
    picture *= 1 + 0.06 * patchy * np.isin(index, (0, 1))
    light = rng.normal(1, 0.08) * rng.normal(1, 0.04, (3, 1, 1))
    return np.asarray(picture * light + rng.normal(0, 4, picture.shape), np.float32)


def _labelme(
    shapes: list[tuple[int, Ring]], picture: str, height: int, width: int
) -> dict[str, Any]:
    return {
        "version": "5.0.1",
        "flags": {},
        "shapes": [
            {
                "label": CLASSES[kind],
                "points": ring.tolist(),
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
            }
            for kind, ring in shapes
        ],
        "imagePath": picture,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
