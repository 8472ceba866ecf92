"""Pictures of 400 px and labels of 200 px of mountains, with files that are spoilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.report.photographs import encode_photograph
from geoseg.testing.layouts.drawing import (
    Color,
    Floats,
    coloured,
    noise,
    put,
    put_png,
    rng_of,
    to_bytes,
)

# Grass, forest, bushes, water, glaciers, sparse rocks, loose rocks, bed rocks.
_COLORS: tuple[Color, ...] = (
    (128, 140, 92),
    (58, 78, 54),
    (92, 112, 66),
    (72, 104, 116),
    (222, 228, 232),
    (142, 142, 112),
    (160, 156, 146),
    (136, 132, 126),
)
UNREADABLE = "25595_11025"
"""The published set's unreadable picture."""


def made_alpine(
    folder: str | Path, *, images: int = 24, size: int = 400, seed: int = 0, black: int = 1
) -> Path:
    """Make ``images/NAME.png`` and ``labels/NAME.png`` of half their side.

    Eight classes lie by height and steepness: grass and other, loose rocks and bed rocks cover
    most; forest, bushes, water, glaciers and sparse rocks little. One picture more is cut short in
    the middle of its file, and some are black, with labels as if they were not.

    Parameters
    ----------
    folder
        Where the two folders are made.
    images
        How many good pairs.
    size
        Side of the pictures in pixels, even; labels have half of it.
    seed
        Decides what lies where.
    black
        How many black pictures are added.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folder = Path(folder)
    for number in range(images + black + 1):
        rng = rng_of(seed, 3, number)
        index = _classes(rng, number, size)
        picture = to_bytes(_picture(rng, index))
        name = f"{25600 + 20 * (number // 8)}_{11000 + 25 * (number % 8)}"
        path = folder / "images" / f"{name}.png"
        if images <= number < images + black:
            picture[:] = 0
        if number == images + black:
            name = UNREADABLE
            whole = encode_photograph(np.moveaxis(picture, 0, -1), "PNG")
            put(path.with_name(f"{name}.png"), whole[: len(whole) // 3])
        else:
            put_png(path, picture)
        put_png(folder / "labels" / f"{name}.png", index[::2, ::2])
    return folder


def _classes(rng: np.random.Generator, number: int, size: int) -> NDArray[np.uint8]:
    """(rows, cols) classes in squares of two pixels, so that labels of half the side say all."""
    half = size // 2
    height = noise(rng, half, half, longest=half, exponent=4.5) * 0.55 + rng.normal(0, 0.9)
    steep = noise(rng, half, half, longest=half / 4, exponent=3.5)
    index = np.where(height > 0.25, np.where(steep > 0.1, 7, 6), 0)
    index[(height > -0.05) & (height <= 0.25) & (steep > 0.4)] = 5
    index[(height < -0.9) & (steep > -0.2)] = 1
    index[(height < -0.7) & (height >= -0.9) & (steep > 0.6)] = 2
    # Lakes and glaciers lie in few pictures.
    if number % 6 == 1 or rng.random() < 0.04:
        index[noise(rng, half, half, longest=half / 2, exponent=4.5) > 1.2] = 3
    if number % 6 == 4 or rng.random() < 0.04:
        index[noise(rng, half, half, longest=half / 2, exponent=4.5) > 0.9] = 4
    if number % 6 == 2:
        bushes = noise(rng, half, half, longest=half / 6, exponent=4)
        index[(bushes > 1.1) & (index <= 1)] = 2
    return np.asarray(np.kron(index.astype(np.uint8), np.ones((2, 2), np.uint8)), np.uint8)


def _picture(rng: np.random.Generator, index: NDArray[np.uint8]) -> Floats:
    size = len(index)
    rocks = noise(rng, size, size, longest=6, exponent=1.5)
    stones = np.where(noise(rng, size, size, longest=4, exponent=1) > 1.2, 34, -3)
    textures = [
        6 * noise(rng, size, size, longest=30),
        14 * noise(rng, size, size, longest=7, exponent=2),
        10 * noise(rng, size, size, longest=9, exponent=2),
        2 * noise(rng, size, size, longest=50),
        5 * noise(rng, size, size, longest=40, exponent=4),
        stones.astype(np.float32),
        9 * rocks,
        18 * noise(rng, size, size, longest=20, exponent=2, stretch=3),
    ]
    picture = coloured(index, _COLORS, textures)
    shade = noise(rng, size, size, longest=size / 2, exponent=4)
    light = 1 + 0.10 * shade + rng.normal(0, 0.06)
    return np.asarray(
        picture * light * rng.normal(1, 0.03, (3, 1, 1)) + rng.normal(0, 4, picture.shape),
        np.float32,
    )
