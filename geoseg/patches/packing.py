"""What is stored of a patch: its arrays, or GeoTIFFs of them. Knows no folders."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.dataset import UNLABELLED
from geoseg.raster.grid import Grid
from geoseg.raster.patchfiles import PatchEncoder

Packed = Mapping[str, NDArray[Any] | bytes]
"""What is stored of a patch, by kind: "images", "labels", "confidence"."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """One patch, as it was cut."""

    images: NDArray[Any]
    """(bands, rows, cols)."""
    labels: NDArray[np.uint8] | None
    """(rows, cols) class index, 255 = unlabelled."""
    confidence: NDArray[np.uint8] | None
    """(rows, cols) round(255 · confidence) of each label."""
    name: str
    """For its file."""
    grid: Grid
    """Of its scene."""
    row: int
    """Its first row in the scene."""
    col: int
    """Its first column."""

    @property
    def planes(self) -> dict[str, NDArray[Any]]:
        """What there is of it, by kind."""
        given = {"images": self.images, "labels": self.labels, "confidence": self.confidence}
        return {kind: pixels for kind, pixels in given.items() if pixels is not None}


class Packer(Protocol):
    """Knows what is stored of a patch, not where."""

    def pack(self, patch: Patch) -> dict[str, NDArray[Any] | bytes]:
        """Pack one patch; arrays may be its own."""


class ArrayPacker:
    """Patches as they are."""

    def pack(self, patch: Patch) -> dict[str, NDArray[Any] | bytes]:
        """Return the arrays themselves."""
        return {**patch.planes}


class FilePacker:
    """Patches as the bytes of a GeoTIFF."""

    def __init__(
        self, *, band_names: Sequence[str], nodata: float | None, tags: Mapping[str, str]
    ) -> None:
        """Say what all of them have in common."""
        self._tags = dict(tags)
        self._band_names = tuple(band_names)
        self._nodata = nodata
        self._encoders: tuple[Grid, dict[str, PatchEncoder]] | None = None
        self._lock = threading.Lock()

    def pack(self, patch: Patch) -> dict[str, NDArray[Any] | bytes]:
        """Return a file a kind."""
        encoders = self._encoders_of(patch.grid, patch.images)
        return {
            kind: encoders[kind].encode(
                pixels if kind == "images" else pixels[np.newaxis], patch.row, patch.col
            )
            for kind, pixels in patch.planes.items()
        }

    def _encoders_of(self, grid: Grid, images: NDArray[Any]) -> dict[str, PatchEncoder]:
        """Return what encodes the patches of a scene, which is mostly the last one."""
        with self._lock:
            if self._encoders is None or self._encoders[0] is not grid:
                size, byte = images.shape[-1], np.dtype(np.uint8)
                says: dict[str, tuple[np.dtype[Any], Sequence[str], float | None]] = {
                    "images": (images.dtype, self._band_names, self._nodata),
                    "labels": (byte, ("class index",), UNLABELLED),
                    "confidence": (byte, ("confidence × 255",), None),
                }
                made = {
                    kind: PatchEncoder(
                        grid,
                        size=size,
                        dtype=dtype,
                        band_names=names,
                        nodata=nodata,
                        tags=self._tags,
                    )
                    for kind, (dtype, names, nodata) in says.items()
                }
                self._encoders = grid, made
            return self._encoders[1]


class Collector:
    """Keeps packed patches by their place, in memory, until they are asked for."""

    def __init__(self, packer: Packer) -> None:
        self._packer = packer
        self.packed: dict[int, Packed] = {}

    def write(self, position: int, patch: Patch) -> None:
        """Keep one patch; several threads may call it."""
        packed = self._packer.pack(patch)
        # Arrays are the cutter's own room, which the next patch gets.
        self.packed[position] = {
            kind: data.copy() if isinstance(data, np.ndarray) else data
            for kind, data in packed.items()
        }
