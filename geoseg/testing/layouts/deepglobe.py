"""Pictures and masks as the land cover track of DeepGlobe 2018 publishes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.testing.layouts.drawing import (
    Color,
    Floats,
    coloured,
    noise,
    put_jpeg,
    put_png,
    regions,
    rng_of,
    to_bytes,
)

MASKS: tuple[Color, ...] = (
    (0, 0, 0),
    (0, 255, 255),
    (255, 255, 0),
    (255, 0, 255),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
)
"""Published colours: unknown, urban, agriculture, rangeland, forest, water, barren."""

# How much of an ordinary picture each class covers; the last four are rare there.
_SHARES = (0.0, 0.10, 0.62, 0.03, 0.23, 0.01, 0.01)
# Of the few pictures where a rare class lies: rare classes come in clusters.
_RARE = {3: 0.30, 5: 0.20, 6: 0.25}
_FEW = 0.12
# Rangeland, fields, barren ground and forest are close in colour; texture tells more.
_COLORS: tuple[Color, ...] = (
    (8, 8, 8),
    (138, 132, 130),
    (116, 124, 80),
    (128, 116, 92),
    (62, 82, 56),
    (62, 84, 88),
    (150, 138, 116),
)


def made_deepglobe(folder: str | Path, *, images: int = 12, size: int = 256, seed: int = 0) -> Path:
    """Make pictures NUMBER_sat.jpg and masks NUMBER_mask.png in a folder ``train``.

    Rangeland, water and barren ground lie in few pictures, where they cover much. A strip of a few
    pictures is unknown.

    Parameters
    ----------
    folder
        Where ``train`` is made.
    images
        How many pairs.
    size
        Side of each in pixels; 2448 as published.
    seed
        Decides what lies where.

    Returns
    -------
    folder
        The one given.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folder = Path(folder)
    for number in range(images):
        rng = rng_of(seed, 5, number)
        index = _classes(rng, number, size)
        picture = _picture(rng, index)
        name = str(101 + 37 * number)
        put_jpeg(folder / "train" / f"{name}_sat.jpg", to_bytes(picture))
        mask = np.asarray(MASKS, np.uint8)[index].transpose(2, 0, 1)
        put_png(folder / "train" / f"{name}_mask.png", mask)
    return folder


def _classes(rng: np.random.Generator, number: int, size: int) -> NDArray[np.uint8]:
    shares = np.asarray(_SHARES) * rng.uniform(0.4, 1.6, len(_SHARES))
    shares[[3, 5, 6]] = 0
    # Every fourth picture has one of the rare ones, each in turn, so that small sets have all.
    rare = list(_RARE)[number // 4 % 3] if number % 4 == 0 else 0
    for one, most in _RARE.items():
        if one == rare or rng.random() < _FEW / 3:
            shares[one] = most * rng.uniform(0.7, 1.3)
    index = regions(rng, shares, size, size, longest=size / 3)
    if number % 7 == 3:
        index[:, : max(size // 24, 1)] = 0
    return index


def _picture(rng: np.random.Generator, index: NDArray[np.uint8]) -> Floats:
    size = len(index)
    textures = [
        np.zeros((size, size), np.float32),
        _roofs(rng, size),
        _fields(rng, size),
        7 * noise(rng, size, size, longest=24),
        13 * noise(rng, size, size, longest=5, exponent=2),
        2 * noise(rng, size, size, longest=60),
        9 * noise(rng, size, size, longest=60, exponent=2),
    ]
    picture = coloured(index, _COLORS, textures)
    # The light of the day, and the haze.
    cast = rng.normal(1, 0.04, (3, 1, 1)) * rng.normal(1, 0.06)
    veil = rng.uniform(0, 14)
    grain = rng.normal(0, 4, picture.shape)
    return np.asarray(np.where(index == 0, picture, picture * cast + veil + grain), np.float32)


def _roofs(rng: np.random.Generator, size: int) -> Floats:
    """Houses along streets."""
    step = 9
    side = -(-size // step) + 1
    roofs = np.kron(rng.normal(0, 34, (side, side)), np.ones((step, step)))[:size, :size]
    at = np.arange(size)
    street = (at % step < 2)[:, None] | (at % (2 * step) < 2)[None, :]
    return np.asarray(np.where(street, 18, roofs), np.float32)


def _fields(rng: np.random.Generator, size: int) -> Floats:
    """Fields with rows, each of its own brightness."""
    step = max(size // 7, 12)
    side = -(-size // step) + 1
    turned = np.kron(rng.random((side, side)) < 0.5, np.ones((step, step), bool))[:size, :size]
    tone = np.kron(rng.normal(0, 11, (side, side)), np.ones((step, step)))[:size, :size]
    rows, cols = np.mgrid[:size, :size]
    along = np.where(turned, rows, cols)
    return np.asarray(tone + 9 * np.sin(2 * np.pi * along / 6), np.float32)
