"""What is wrong with images and their labels, found by reading all of them: listed, not raised.

An image or a label is looked at for itself and held against its partner; then images are held
against each other. Only counts are kept of what was read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, RasterReadError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.grid import Grid
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.opening.handles import CACHE_BYTES, small_block_cache
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

KINDS = {
    "unreadable": "cannot be read",
    "nodata": "all pixels are nodata",
    "black": "all readings are 0",
    "one value": "all readings are the same",
    "bands": "other bands than most",
    "type": "another type than most",
    "duplicate": "the same bytes as another",
    "no label": "no label",
    "no image": "a label without an image",
    "label unreadable": "the label cannot be read",
    "label bands": "the label has other bands than most",
    "size": "image and label differ in size",
    "label elsewhere": "the label lies elsewhere",
    "unlabelled": "no pixel has a label",
    "label value": "label values that are no class",
}
"""Kinds of problems, in the order in which they are told, in words."""

_Value = TypeVar("_Value", int, str)
_AT_ONCE = 1 << 20
"""Pixels of an image that are read at once, at least a row of blocks."""
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem of one image, or of its label."""

    kind: str
    """One of `KINDS`."""
    image: str
    """The image; empty for a label that has none."""
    label: str
    """Its label; empty where it has none."""
    detail: str = ""
    """More about it, in words."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An image that can be opened, and its label."""

    scene: Scene
    """The image."""
    label: Scene | None = None
    """Its label, if that can be opened."""
    label_name: str = ""
    """File of the label."""
    error: str = ""
    """Why the label cannot be opened; empty where it can, or where there is none."""

    @property
    def image(self) -> str:
        """File of the image, the first of its bands."""
        return self.scene.paths[0]


@dataclass
class Look:
    """What was seen of one image and its label."""

    pair: Pair
    """The two."""
    findings: list[Finding] = field(default_factory=list)
    """What is wrong with them."""
    dull: bool = False
    """Whether it holds nothing, so that being like another says nothing."""
    read: bool = True
    """Whether all of it could be read."""
    factor: int | None = None
    """How many times as large as its label it is, 0 for no whole number; None where that is nothing
    to ask for."""
    digest: str | None = None
    """Of its files, if there may be another of the same bytes."""

    def add(self, kind: str, detail: str = "") -> None:
        """Note a problem."""
        finding = Finding(
            kind=kind, image=self.pair.image, label=self.pair.label_name, detail=detail
        )
        self.findings.append(finding)


def look_at_all(
    pairs: Sequence[Pair],
    *,
    legend: Legend | None,
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Finding], list[str]]:
    """Read images and labels, and say what is wrong with them.

    Parameters
    ----------
    pairs
        Images with their labels.
    legend
        Classes that labels may have; None where any value is one.
    workers
        Threads, an image each.
    progress
        Called with the number of pixels done.

    Returns
    -------
    findings, notes
        Problems in the order of the images, and of `KINDS` for each; and what all images are, a
        sentence each without its full stop.
    """
    twins = _same_length(pairs)

    def look(pair: Pair) -> Look:
        found = Look(pair)
        try:
            _look_at_image(found)
            _look_at_label(found, legend)
            if found.read and pair.image in twins:
                found.digest = fingerprint_files(pair.scene.paths)
        finally:
            pair.scene.close()
            if pair.label is not None:
                pair.label.close()
        if progress is not None:
            progress(pair.scene.grid.window.area)
        return found

    with small_block_cache(CACHE_BYTES), ThreadPoolExecutor(workers, "geoseg-check") as pool:
        looks = list(pool.map(look, pairs))
    notes = _hold_against_each_other(looks)
    order = list(KINDS)
    findings = [
        finding
        for found in looks
        for finding in sorted(found.findings, key=lambda f: order.index(f.kind))
    ]
    return findings, notes


def _same_length(pairs: Sequence[Pair]) -> set[str]:
    """Images whose files are as long as those of another."""
    by_size: dict[tuple[int, ...], list[str]] = {}
    for pair in pairs:
        if all(os.path.isfile(path) for path in pair.scene.paths):
            size = tuple(os.path.getsize(path) for path in pair.scene.paths)
            by_size.setdefault(size, []).append(pair.image)
    return {image for images in by_size.values() if len(images) > 1 for image in images}


def windows_of(scene: Scene) -> Iterator[Window]:
    """Rows of a scene to read at once, from the top."""
    rows = scene.block_shape[0]
    step = max(rows, _AT_ONCE // scene.grid.width // rows * rows, 1)
    for row in range(0, scene.grid.height, step):
        yield Window(row, 0, min(step, scene.grid.height - row), scene.grid.width)


def _look_at_image(found: Look) -> None:
    scene = found.pair.scene
    low: NDArray[Any] | None = None
    high: NDArray[Any] | None = None
    try:
        for window in windows_of(scene):
            pixels = scene.read(window)
            if not pixels.valid.any():
                continue
            values = pixels.data[:, pixels.valid]
            low = values.min(axis=1) if low is None else np.minimum(low, values.min(axis=1))
            high = values.max(axis=1) if high is None else np.maximum(high, values.max(axis=1))
    except RasterReadError as error:
        found.read = False
        found.add("unreadable", str(error))
        return
    if low is None or high is None:
        found.add("nodata")
    elif not low.any() and not high.any():
        found.add("black")
    elif (low == high).all():
        found.add("one value", ", ".join(f"{value:g}" for value in low[:_SHOWN]))
    found.dull = bool(found.findings)


def _look_at_label(found: Look, legend: Legend | None) -> None:
    pair, scene = found.pair, found.pair.scene
    if pair.error:
        found.add("label unreadable", pair.error)
    label = pair.label
    if label is None:
        return
    placed = label.grid.is_georeferenced and scene.grid.is_georeferenced
    if placed:
        try:
            label = label.on_grid(scene.grid)
        except InputError as error:
            found.add("label elsewhere", str(error))
            return
    else:
        found.factor = whole_factor(scene, label) or 0
    labelled = False
    unknown: Counter[float] = Counter()
    try:
        for window in windows_of(label):
            pixels = label.read(window)
            values, valid = pixels.data[0], pixels.valid
            if legend is not None and len(label.bands) == 1:  # of colours nobody knows
                is_class = legend.lookup(values) != NODATA
                other, counts = np.unique(values[valid & ~is_class], return_counts=True)
                unknown.update(dict(zip(other.tolist(), counts.tolist(), strict=True)))
                valid = valid & is_class
            labelled = labelled or bool(valid.any())
    except RasterReadError as error:
        found.add("label unreadable", str(error))
        return
    if not labelled:
        found.add("unlabelled")
    if unknown:
        shown = ", ".join(f"{v:g} ({n:,} px)" for v, n in unknown.most_common(_SHOWN))
        found.add("label value", shown + (", …" if len(unknown) > _SHOWN else ""))


def sizes(scene: Scene, label: Scene) -> str:
    """Say how large an image and its label are, and by which factor they differ, if by one."""
    one, other = scene.grid, label.grid
    text = f"{one.width} × {one.height} px, its label {other.width} × {other.height}"
    factor = whole_factor(scene, label)
    if factor is not None:
        return f"{text}: {factor} to 1"
    factor = whole_factor(label, scene)
    return text if factor is None else f"{text}: 1 to {factor}"


class HasGrid(Protocol):
    """A scene, or what the head of a file says."""

    @property
    def grid(self) -> Grid:
        """Its pixels."""


def whole_factor(large: HasGrid, small: HasGrid) -> int | None:
    """How many times as wide and as high one raster is as another; None for no whole number."""
    one, other = large.grid, small.grid
    factor = one.width // other.width
    same = (one.width, one.height) == (factor * other.width, factor * other.height)
    return factor if same else None


def _usual_factor(looks: Sequence[Look]) -> int:
    """How many times as large as their labels most images are; 1 where that is not clear."""
    factors = [look.factor for look in looks if look.factor is not None]
    usual = _most(factors)
    return usual if usual and len(factors) > 1 and 2 * factors.count(usual) > len(factors) else 1


def _hold_against_each_other(looks: Sequence[Look]) -> list[str]:
    """Find images unlike most others, and those that are another's copies; say what all are."""
    kinds = [(len(look.pair.scene.bands), str(look.pair.scene.dtype)) for look in looks]
    usual_bands = _most([bands for bands, _ in kinds])
    usual_type = _most([dtype for _, dtype in kinds])
    usual_label = _most(bands_of_labels([look.pair for look in looks]))
    usual_factor = _usual_factor(looks)
    first: dict[str, str] = {}
    for found, (bands, dtype) in zip(looks, kinds, strict=True):
        if bands != usual_bands:
            found.add("bands", f"{bands}; most have {usual_bands}")
        if dtype != usual_type:
            found.add("type", f"{dtype}; most are {usual_type}")
        label = found.pair.label
        if label is not None and len(label.bands) != usual_label:
            found.add("label bands", f"{len(label.bands)}; most have {usual_label}")
        if label is not None and found.factor not in (None, usual_factor):
            found.add("size", sizes(found.pair.scene, label))
        if found.digest is None or found.dull:
            continue
        other = first.setdefault(found.digest, found.pair.image)
        if other != found.pair.image:
            found.add("duplicate", Path(other).name)
    if usual_factor == 1:
        return []
    return [
        f"images are {usual_factor} times as large as their labels, and those that are not are"
        " listed; geoseg tile --fit-labels brings them to their labels' pixels"
    ]


def bands_of_labels(pairs: Sequence[Pair]) -> list[int]:
    """Return how many bands each label has that can be opened."""
    return [len(pair.label.bands) for pair in pairs if pair.label is not None]


def _most(values: Sequence[_Value]) -> _Value | None:
    """Return the most frequent, the first of several; None of nothing."""
    return Counter(values).most_common(1)[0][0] if values else None
