"""What the made data sets are drawn with: regions, textures, polygons, pictures in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.report.photographs import encode_photograph
from geoseg.testing.noise import Paper

Floats = NDArray[np.float32]
Color = tuple[int, int, int]


def rng_of(seed: int, *place: int) -> np.random.Generator:
    """Return the numbers of one picture: they depend on its place, not on how many there are."""
    return np.random.default_rng([seed, *place])


def noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    longest: float,
    exponent: float = 3,
    stretch: float = 1,
) -> Floats:
    """Return (rows, cols) Gaussian noise of mean 0 and deviation 1; see `Paper.noise`."""
    field = Paper(max(height, width), rng).noise(exponent, longest, stretch=stretch)
    part = field[:height, :width]
    return np.asarray((part - part.mean()) / max(float(part.std()), 1e-6), np.float32)


def regions(
    rng: np.random.Generator,
    shares: Sequence[float] | NDArray[np.float64],
    height: int,
    width: int,
    *,
    longest: float,
) -> NDArray[np.uint8]:
    """Divide a picture among classes.

    Parameters
    ----------
    rng
        Decides where each lies.
    shares
        How much of the picture each class is to get, about; a class of 0 gets nothing.
    height, width
        Of the picture.
    longest
        Size of the regions in pixels, about.

    Returns
    -------
    index
        (rows, cols) place of the class in `shares`.
    """
    weights = np.asarray(shares, np.float64)
    there = np.flatnonzero(weights > 0)
    fields = np.stack(
        [noise(rng, height, width, longest=longest, exponent=4) for _ in range(len(there))]
    )
    bias = np.zeros(len(there), np.float32)
    wanted = weights[there] / weights.sum()
    # Push up what has too little and down what has too much: twelve steps come close enough.
    for step in range(12):
        index = np.argmax(fields + bias[:, None, None], axis=0)
        have = np.bincount(index.ravel(), minlength=len(there)) / index.size
        bias += np.float32(1.2 / (1 + 0.2 * step)) * (wanted - have).astype(np.float32)
    index = np.argmax(fields + bias[:, None, None], axis=0)
    return np.asarray(there[index], np.uint8)


def inside(ring: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Tell which pixels have their centre in a polygon.

    Parameters
    ----------
    ring
        (vertices, 2) corners as (x, y) in pixels, not closed; edges may cross (even-odd rule).
    height, width
        Of the picture.
    """
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    found = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        rows = np.flatnonzero((y0 <= y) != (y1 <= y))
        cross = x0 + (y[rows] - y0) * (x1 - x0) / (y1 - y0) if len(rows) else y[rows]
        found[rows] ^= x[None, :] < cross[:, None]
    return found


def coloured(
    index: NDArray[np.uint8], colors: Sequence[Color], textures: Sequence[Floats]
) -> Floats:
    """Paint a picture of classes.

    Parameters
    ----------
    index
        (rows, cols) class.
    colors
        Red, green and blue of each class.
    textures
        (rows, cols) of each class, added to all three.

    Returns
    -------
    picture
        (3, rows, cols), not yet cut to what a byte holds.
    """
    table = np.asarray(colors, np.float32)
    picture = table[index].transpose(2, 0, 1).copy()
    picture += np.choose(index, np.stack([*textures]))
    return np.asarray(picture, np.float32)


def to_bytes(picture: Floats) -> NDArray[np.uint8]:
    """Round to what a byte holds."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def put_jpeg(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write (3, rows, cols) as JPEG."""
    put(path, encode_photograph(np.moveaxis(picture, 0, -1), "JPEG"))


def put_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write (3, rows, cols) colours or (rows, cols) classes as PNG."""
    put(
        path,
        encode_photograph(np.moveaxis(picture, 0, -1) if picture.ndim == 3 else picture, "PNG"),
    )


def put(path: Path, content: bytes) -> None:
    """Write a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
