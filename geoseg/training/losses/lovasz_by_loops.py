"""Lovász slopes and gradients on the CPU, float32, in compiled loops over several threads.

The formulae are in `geoseg.training.losses.lovasz`; `lovasz_by_torch` says what each function takes
and gives. A map (of an image, or of the batch) is sorted by one thread from beginning to end, and
each pixel's gradient is taken by one thread, so the result does not know how many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import LabelError
from geoseg.jit import compiled
from geoseg.training.losses.base import IGNORE
from geoseg.training.losses.lovasz_by_torch import Slopes

_PIXELS_AT_ONCE = 1 << 15
"""Pixels whose gradient one task takes."""

_SMALL = 1 << 14
"""Values below which threads cost more than they save."""


@compiled(
    "float64(float32[:, :, ::1], uint8[:, ::1], int64, int64, int64, int64, boolean,"
    " uint64[::1], uint64[::1], float32[:, ::1], int64[:, ::1])"
)
def _sort_map(  # noqa: PLR0912, PLR0915 — one pass after the other, each over all elements
    values: NDArray[np.float32],
    labels: NDArray[np.uint8],
    plane: int,
    cls: int,
    start: int,
    stop: int,
    hinge: bool,
    keys: NDArray[np.uint64],
    spare: NDArray[np.uint64],
    slopes: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> float:
    """Fill the slopes of one map over the images ``start … stop − 1`` and return its loss.

    An element is one word: the inverted bits of its error above (an error is not negative, so its
    bits are in its order, and inverted ones in the opposite order; NaN comes first), then whether
    it is of the class, then its place. Only the error's bits are sorted by: 11, 11 and 10 at a
    time, from the lowest. Each pass keeps the order of equals, so ties stay in order of place.
    """
    maps, pixels = values.shape[1], values.shape[2]
    error = np.zeros(1, np.float32)
    bits = error.view(np.uint32)
    starts = np.zeros((3, 2048), np.int64)
    low, mid, high = np.uint64(32), np.uint64(43), np.uint64(54)
    eleven, ten = np.uint64(2047), np.uint64(1023)
    n, labelled, foreground = 0, 0, 0
    for image in range(start, stop):
        base = (image - start) * pixels
        for j in range(pixels):
            label = labels[image, j]
            if label == 255:
                continue
            labelled += 1
            value = values[image, plane, j]
            own = np.uint64(0)
            if label == cls:
                own = np.uint64(1)
                foreground += 1
            if hinge:
                error[0] = np.float32(1) - value if label == cls else np.float32(1) + value
                if error[0] <= 0:
                    # Sorted behind all others, with slopes that nothing asks for.
                    continue
            elif label != cls:
                error[0] = value
            elif value > 0.5:
                rest = 0.0
                for k in range(maps):
                    if k != plane:
                        rest += values[image, k, j]
                error[0] = rest
            else:
                error[0] = np.float32(1) - value
            key = np.uint64(~bits[0] & np.uint32(0xFFFFFFFF)) << low
            key |= own << np.uint64(31) | np.uint64(base + j)
            starts[0, np.int64((key >> low) & eleven)] += 1
            starts[1, np.int64((key >> mid) & eleven)] += 1
            starts[2, np.int64((key >> high) & ten)] += 1
            keys[n] = key
            n += 1
    counts[plane, 0], counts[plane, 1] = foreground, labelled
    source, target = keys, spare
    for turn in range(3):
        shift = np.uint64(32 + 11 * turn)
        mask = ten if turn == 2 else eleven
        at = 0
        together = False
        for digit in range(2048):
            held = starts[turn, digit]
            together = together or held == n
            starts[turn, digit] = at
            at += held
        if together:
            # All share this digit (or there are none): they are in order already.
            continue
        for i in range(n):
            key = source[i]
            place = np.int64((key >> shift) & mask)
            target[starts[turn, place]] = key
            starts[turn, place] += 1
        source, target = target, source
    loss = 0.0
    intersection, union = foreground, foreground
    line, offset = slopes[plane], start * pixels
    for i in range(n):
        key = source[i]
        if (key >> np.uint64(31)) & np.uint64(1):
            intersection -= 1
            slope = 1.0 / union
        else:
            union += 1
            if union == 1:
                slope = 1.0
            elif intersection == 0:
                # Wholly missed: what follows changes nothing any more.
                break
            else:
                slope = float(intersection) / (float(union) * float(union - 1))
        bits[0] = ~np.uint32(key >> low)
        loss += slope * error[0]
        line[offset + np.int64(key & np.uint64(0x7FFFFFFF))] = slope
    return loss


@compiled(
    "void(float32[:, :, ::1], uint8[:, ::1], float32[:, ::1], float64[:, ::1], int64, int64,"
    " int64, float32[:, :, ::1])"
)
def _softmax_gradient(
    values: NDArray[np.float32],
    labels: NDArray[np.uint8],
    slopes: NDArray[np.float32],
    shares: NDArray[np.float64],
    image: int,
    start: int,
    stop: int,
    gradient: NDArray[np.float32],
) -> None:
    """Fill the gradient of the pixels ``start … stop − 1`` of an image."""
    maps, pixels = values.shape[1], values.shape[2]
    pulls = np.empty(maps, np.float64)
    for j in range(start, stop):
        label = np.int64(labels[image, j])
        if label == 255:
            for k in range(maps):
                gradient[image, k, j] = 0
            continue
        at = image * pixels + j
        # Sums over k: of p, of a·p over k ≠ y, and of both where p is at most ½.
        total, small, small_p = 0.0, 0.0, 0.0
        for k in range(maps):
            p = np.float64(values[image, k, j])
            pull = shares[image, k] * slopes[k, at] * p
            pulls[k] = pull
            if k != label:
                total += pull
            if p <= 0.5:
                small_p += p
                if k != label:
                    small += pull
        own = pulls[label]
        for k in range(maps):
            p = np.float64(values[image, k, j])
            large = p > 0.5
            rest = small_p if large else 1.0 - p
            if k == label:
                gradient[image, k, j] = -(pulls[k] * rest + p * total)
            else:
                without = small if large else total - pulls[k]
                gradient[image, k, j] = pulls[k] * rest + p * (own - without)


@compiled(
    "void(uint8[:, ::1], float32[:, ::1], float64[:, ::1], int64, int64, int64, int64,"
    " float32[:, :, ::1])"
)
def _hinge_gradient(
    labels: NDArray[np.uint8],
    slopes: NDArray[np.float32],
    shares: NDArray[np.float64],
    first: int,
    image: int,
    start: int,
    stop: int,
    gradient: NDArray[np.float32],
) -> None:
    """Fill the gradient of the pixels ``start … stop − 1`` of an image."""
    offset = image * labels.shape[1]
    for k in range(slopes.shape[0]):
        share = shares[image, k]
        for j in range(start, stop):
            step = share * slopes[k, offset + j]
            gradient[image, k, j] = -step if labels[image, j] == first + k else step


def slopes(values: Tensor, labels: Tensor, *, hinge: bool, first: int, per_image: bool) -> Slopes:
    """Sort the errors of every map and take their slopes, (maps, N · pixels).

    Raises
    ------
    LabelError
        A label is neither a class nor `IGNORE`, or a batch taken as one has 2³¹ pixels.
    """
    images, maps, pixels = values.shape
    if (1 if per_image else images) * pixels > np.iinfo(np.int32).max:
        raise LabelError("the Lovász loss takes fewer than 2³¹ pixels at once: use smaller batches")
    array, small = values.detach().contiguous().numpy(), _bytes(labels, first + maps)
    spans = [(n, n + 1) for n in range(images)] if per_image else [(0, images)]
    longest = (spans[0][1] - spans[0][0]) * pixels
    result = np.zeros((maps, images * pixels), np.float32)
    losses = np.zeros((len(spans), maps))
    counts = np.zeros((len(spans), maps, 2), np.int64)

    def work(tasks: Iterable[tuple[int, int]]) -> None:
        keys, spare = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
        for s, k in tasks:
            losses[s, k] = _sort_map(
                array, small, k, first + k, *spans[s], hinge, keys, spare, result, counts[s]
            )

    _share_out(work, [(s, k) for s in range(len(spans)) for k in range(maps)], array.size)
    found = torch.from_numpy(counts)
    return Slopes(torch.from_numpy(losses), torch.from_numpy(result), found[..., 0], found[:, 0, 1])


def gradient(
    values: Tensor, labels: Tensor, found: Slopes, shares: Tensor, *, hinge: bool, first: int
) -> Tensor:
    """Carry slopes back to the maps, each (image, map) by its share."""
    images, maps, pixels = values.shape
    array, small = values.detach().contiguous().numpy(), _bytes(labels, first + maps)
    factors = shares.double().contiguous().numpy()
    lines = found.slopes.numpy()
    result = np.empty(array.shape, np.float32)

    def work(tasks: Iterable[tuple[int, int]]) -> None:
        for n, at in tasks:
            end = min(at + _PIXELS_AT_ONCE, pixels)
            if hinge:
                _hinge_gradient(small, lines, factors, first, n, at, end, result)
            else:
                _softmax_gradient(array, small, lines, factors, n, at, end, result)

    tasks = [(n, at) for n in range(images) for at in range(0, pixels, _PIXELS_AT_ONCE)]
    _share_out(work, tasks, array.size)
    return torch.from_numpy(result)


def _bytes(labels: Tensor, classes: int) -> NDArray[np.uint8]:
    """Return labels as bytes: an eighth of the memory that each map's thread reads."""
    known = labels.masked_fill(labels == IGNORE, 0)
    low, high = (int(x) for x in known.aminmax())
    if low < 0 or high >= classes:
        raise LabelError(
            f"labels go from {low} to {high}; the classes are 0 to {classes - 1}, and {IGNORE} is"
            " no label"
        )
    return labels.to(torch.uint8).contiguous().numpy()


class _Tasks:
    """A list that several threads take from."""

    def __init__(self, tasks: list[tuple[int, int]]) -> None:
        self._left = iter(tasks)
        self._lock = Lock()

    def __iter__(self) -> _Tasks:
        return self

    def __next__(self) -> tuple[int, int]:
        with self._lock:
            return next(self._left)


def _share_out(
    work: Callable[[Iterable[tuple[int, int]]], None], tasks: list[tuple[int, int]], size: int
) -> None:
    """Do tasks on as many threads as torch may use; each thread takes the next when it is free."""
    threads = min(torch.get_num_threads(), len(tasks))
    if threads <= 1 or size < _SMALL:
        work(tasks)
        return
    shared = _Tasks(tasks)
    with ThreadPoolExecutor(threads, "geoseg-lovasz") as pool:
        for done in [pool.submit(work, shared) for _ in range(threads)]:
            done.result()
