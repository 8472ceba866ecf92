"""Layers of other polygons that go with a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """A layer of other polygons that goes with a file, and appears with it."""

    name: str
    """Of the layer in a GeoPackage; of other formats it is a file of its own, ``FILE_name.EXT``."""
    shapes: NDArray[Any]
    """(features,) polygons and multipolygons."""
    crs: CRS | None
    """Their coordinate system."""
    columns: Mapping[str, Any]
    """(features,) attributes by name."""
    style_qml: str
    """QGIS style of the layer."""

    def place(self, target: Path) -> Path:
        """Say which file it is in."""
        return place_beside(target, self.name)


def place_beside(target: Path, name: str) -> Path:
    """Say which file a layer is in that goes with another: the same, of a GeoPackage."""
    if target.suffix.lower() == ".gpkg":
        return target
    return target.with_name(f"{target.stem}_{name}{target.suffix}")


def blank(values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Values as Python has them, None where there is none; times as text."""
    if values.dtype.kind in "mM":
        texts = values.astype(str).astype(object)
        texts[np.isnat(values)] = None
        return texts
    found = values.astype(object)
    if mask is not None:
        found[mask] = None
    return found
