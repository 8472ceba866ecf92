"""What finished pixels of a composite are pixels of, and how two of those differ, in words."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg import __version__
from geoseg.compositing.dates import Date
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.kept import KEPT_ROWS, KEPT_TILES, TILE_LIST
from geoseg.raster.outputs.unfinished import (
    Kind,
    changed,
    options_then_and_now,
    or_versions,
    then_and_now,
)
from geoseg.raster.provenance import VERSIONS, versions

_FORMAT = 1


def described(
    dates: Sequence[Date],
    digests: Sequence[str],
    grid: Grid,
    outputs: Sequence[Path],
    *,
    area: Region | None,
    area_name: str | None,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Say what determines a composite, to the bit: runs of one description may share pixels.

    Parameters
    ----------
    dates
        What is read.
    digests
        Of each date's files.
    grid, area, area_name
        As `geoseg.compositing.composite.composite` has them; the grid is cut to the area.
    outputs
        The rasters, the composite first.
    tags
        What the composite's metadata say, the settings among it.
    """
    return {
        "format": _FORMAT,
        # As metadata have them: names of files without their folders, which may be moved.
        **{f"--{name}": value for name, value in json.loads(tags["GEOSEG_OPTIONS"]).items()},
        "--region": None if area is None else area_name,
        "--counts": _beside(outputs),
        "scenes": [date.name for date in dates],
        "contents": list(digests),
        "readings": [_readings(date) for date in dates],
        "grid": f"{grid.describe()}, from {grid.transform.c!r}, {grid.transform.f!r}",
        "transform": list(grid.transform)[:6],
        "region": None if area is None else area.fingerprint(),
        "versions": _releases(),
        "tags": {name: text for name, text in tags.items() if name not in VERSIONS},
    }


def _releases() -> dict[str, str]:
    return {"geoseg": __version__, **versions()}


def _beside(outputs: Sequence[Path]) -> str | None:
    """Say where the counts go, as seen from the composite."""
    if len(outputs) == 1:
        return None
    try:
        return os.path.relpath(outputs[1], outputs[0].parent)
    except ValueError:  # on another drive
        return str(outputs[1].absolute())


def _readings(date: Date) -> list[Any]:
    """Say what numbers in files mean, as metadata beside them tell it."""
    bands = [[band.name, band.index, band.scale, band.offset, band.fill] for band in date.bands]
    return [*bands, date.kind]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two descriptions differ; empty where they do not.

    What follows from others is told only where no other differs.
    """
    other = changed(before, now)
    told = []
    if "scenes" in other:
        told.append(_other_scenes(before.get("scenes"), now.get("scenes")))
    elif "contents" in other:
        told.append(_other_contents(before, now))
    told += options_then_and_now(before, now)
    if "grid" in other and not told:
        told.append(then_and_now("grid", before, now))
    elif "transform" in other and not told:
        told.append("grid: its pixels are not the same")
    if "region" in other and "--region" not in other and "grid" not in other:
        told.append("--region: its polygons are not the same")
    if "readings" in other and not told:
        told.append("the scenes' metadata are not the same")
    return or_versions(told, before, now)


def _other_scenes(before: object, now: object) -> str:
    if not isinstance(before, list) or not isinstance(now, list):
        return "scenes: others"
    gone = [name for name in before if name not in now]
    come = [name for name in now if name not in before]
    words = [f"{len(before)} then, {len(now)} now"]
    words += [f"without {name}" for name in gone[:1]] + [f"with {name}" for name in come[:1]]
    if not gone and not come and len(before) == len(now):
        words = ["in another order"]
    return f"scenes: {', '.join(words)}"


def _other_contents(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names, digests, others = now.get("scenes"), now.get("contents"), before.get("contents")
    if isinstance(names, list) and isinstance(digests, list) and isinstance(others, list):
        for name, digest, other in zip(names, digests, others, strict=False):
            if digest != other:
                return f"the files of {name} are not the same"
    return "the scenes' files are not the same"


COMPOSITE = Kind(
    what="a composite",
    parts="pixels",
    count="pixels",
    files=(KEPT_ROWS, KEPT_TILES, TILE_LIST),
    differences=differences,
)
"""Composites as work that can be gone on with."""
