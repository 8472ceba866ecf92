"""Images and labels through a map of places, in one pass. Imports numba.

Our own loop and not a library's, for three reasons; the figures are in
``benchmarks/results/augment.md``. OpenCV before 5, under albumentations, rounds places to 1/32 of a
pixel. None of albumentations, torchvision and kornia both continues an image by its edge and gives
what comes from outside a label of its own: they fill both with constants or, albumentations,
continue both. And torch's operations, under the last two, have threads of their own beside those of
the network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled
from geoseg.patches.augment.registry import Images, Labels

OUTSIDE = 255


def resample(images: Images, labels: Labels, maps: NDArray[np.float64]) -> tuple[Images, Labels]:
    """Resample a batch: images bilinear and continued by their edge, labels nearest or 255.

    Parameters
    ----------
    images
        (patches, bands, rows, cols).
    labels
        (patches, rows, cols).
    maps
        (patches, 3, 3), see `geoseg.patches.augment.geometry.Geometric.maps`.

    Returns
    -------
    images, labels
        New arrays. A pixel whose source is the middle of a pixel has its very bits. A source
        half-way between two pixels takes the label of the one that comes later.
    """
    patches, bands, rows, cols = images.shape
    flat, flat_labels = (patches, bands, rows * cols), (patches, rows * cols)
    source = np.ascontiguousarray(images).reshape(flat)
    classes = np.ascontiguousarray(labels).reshape(flat_labels)
    moved, mask = np.empty(flat, np.float32), np.empty(flat_labels, np.uint8)
    for n in range(patches):
        _resample(source[n], classes[n], rows, cols, maps[n, :2], moved[n], mask[n])
    return moved.reshape(images.shape), mask.reshape(labels.shape)


# Places of pixels are unsigned: a signed index is looked at for whether it counts from the end.
@compiled(
    "void(float32[:, ::1], uint8[::1], int64, int64, float64[:, ::1], float32[:, ::1], uint8[::1])"
)
def _resample(
    image: NDArray[np.float32],
    labels: NDArray[np.uint8],
    rows: int,
    cols: int,
    places: NDArray[np.float64],
    moved: NDArray[np.float32],
    mask: NDArray[np.uint8],
) -> None:
    """Resample one patch; rows and columns of all arrays are one axis."""
    middle_row, middle_col = (rows - 1) / 2, (cols - 1) / 2
    last_row, last_col = rows - 1.0, cols - 1.0
    width = np.uint32(cols)
    # Of a row of the result: the pixel above and left of each source, how far the ones to the
    # right of it and below it are, and the weights of these.
    corner = np.empty(cols, np.uint32)
    right, below = np.empty(cols, np.uint32), np.empty(cols, np.uint32)
    across, down = np.empty(cols, np.float32), np.empty(cols, np.float32)
    for i in range(rows):
        y, start = i - middle_row, np.uint32(i) * width
        for j in range(cols):
            x = j - middle_col
            row = places[0, 0] * y + places[0, 1] * x + places[0, 2] + middle_row
            col = places[1, 0] * y + places[1, 1] * x + places[1, 2] + middle_col
            near_row, near_col = np.floor(row + 0.5), np.floor(col + 0.5)
            if 0 <= near_row < rows and 0 <= near_col < cols:
                nearest = np.uint32(np.uint32(near_row) * width + np.uint32(near_col))
                mask[start + np.uint32(j)] = labels[nearest]
            else:
                mask[start + np.uint32(j)] = OUTSIDE
            row, col = min(max(row, 0.0), last_row), min(max(col, 0.0), last_col)
            above, left = np.uint32(row), np.uint32(col)
            corner[j] = above * width + left
            right[j] = np.uint32(1) if col < last_col else np.uint32(0)
            below[j] = width if row < last_row else np.uint32(0)
            across[j], down[j] = np.float32(col - left), np.float32(row - above)
        for band in range(image.shape[0]):
            source, target = image[band], moved[band]
            for j in range(cols):
                upper = corner[j]
                lower = np.uint32(upper + below[j])
                a, b = source[upper], source[np.uint32(upper + right[j])]
                c, d = source[lower], source[np.uint32(lower + right[j])]
                high, low = a + (b - a) * across[j], c + (d - c) * across[j]
                target[start + np.uint32(j)] = high + (low - high) * down[j]
