"""What an unfinished data set is of, how two of those differ, and what is noted of one.

``.NAME.part`` beside the set holds the set so far (``made``), what was counted of each patch
(``counts.raw``), and the notes of `geoseg.raster.outputs.unfinished`.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.gathered import Inputs
from geoseg.patches.job import Job
from geoseg.patches.settings import TileSettings
from geoseg.raster.outputs.unfinished import (
    Kind,
    changed,
    options_then_and_now,
    or_versions,
    then_and_now,
)
from geoseg.raster.provenance import public_name, versions, without_secrets
from geoseg.raster.scene import Scene
from geoseg.raster.statistics import Statistics

MADE, COUNTS = "made", "counts.raw"
_FORMAT = 1
_CONTENTS = ("scenes", "labels", "confidence", "label table")


def described(inputs: Inputs, settings: TileSettings) -> dict[str, Any]:
    """Say what determines a data set, to the bit: runs of one description may share patches.

    Parameters
    ----------
    inputs
        What will be cut; patches have their splits.
    settings
        What was asked for.
    """
    words = {k: v for k, v in asdict(settings).items() if k not in ("workers", "shares", "storage")}
    jobs = inputs.jobs
    table = inputs.label_table
    left_out = [(public_name(one.path), without_secrets(one.reason)) for one in inputs.problems]
    return {
        "format": _FORMAT,
        **{f"--{name.replace('_', '-')}": value for name, value in words.items()},
        "--split": list(settings.shares),
        "--format": settings.storage,
        "scenes": [job.name for job in jobs],
        "contents of scenes": [_contents(inputs, job.scene) for job in jobs],
        "labels": [_files(job.labels) for job in jobs],
        "contents of labels": [_contents(inputs, job.labels) for job in jobs],
        "confidence": [_files(job.confidence) for job in jobs],
        "contents of confidence": [_contents(inputs, job.confidence) for job in jobs],
        "label table": None if table is None else public_name(table),
        "bands": list(inputs.bands),
        "dtype": inputs.dtype.name,
        "classes": None if inputs.legend is None else inputs.legend.to_json(),
        "region": inputs.region_fingerprints,
        "scale": inputs.scale,
        "colour": None if inputs.colour is None else inputs.colour.standard.digest,
        "left out": [f"{name}: {reason}" for name, reason in left_out],
        # What splits, regions and tables of labels came to.
        "patches": [_digest(job) for job in jobs],
        "versions": versions(),
    }


def _files(scene: Scene | None) -> list[str] | None:
    """Name a scene's files, wherever they lie and however they are addressed."""
    return None if scene is None else [public_name(path) for path in scene.paths]


def _contents(inputs: Inputs, scene: Scene | None) -> list[Any] | None:
    """Digest of a scene's files, and how they are looked at."""
    if scene is None:
        return None
    grid = scene.grid
    bands = [f"{band.index} {band.dtype} {band.nodata!r}" for band in scene.bands]
    return [inputs.contents(scene), grid.height, grid.width, list(grid.transform)[:6], bands]


def _digest(job: Job) -> str:
    """Digest of where patches lie, and of what is known of them before they are counted."""
    table = job.table
    digest = hashlib.blake2b(digest_size=16)
    for numbers in (table.rows, table.cols, [table.size, table.classes or 0]):
        digest.update(np.array(numbers, np.int64).tobytes() + b"/")
    for array in (table.split, table.inside, table.presence, table.too_few):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two descriptions differ; empty where they do not.

    What follows from others is told only where no other differs.
    """
    other = changed(before, now)
    told = []
    for name in _CONTENTS:
        if name in other:
            told.append(then_and_now(name, before, now))
        elif f"contents of {name}" in other:
            told.append(f"the files of the {name} are not the same")
    told += options_then_and_now(before, now)
    if not told:
        said = {
            "region": "--region: its polygons are not the same",
            "colour": "--homogenise: the colour is not the same",
            "left out": "other scenes are left out",
        }
        told += [words for name, words in said.items() if name in other]
    if not told:
        told += [then_and_now(name, before, now) for name in ("bands", "classes") if name in other]
    if not told and "patches" in other:
        told.append("what is known of the patches is not the same (a table of labels, or a region)")
    return or_versions(told, before, now)


KIND = Kind(
    what="a data set of patches",
    parts="patches",
    count="patches",
    files=(MADE, COUNTS),
    differences=differences,
)


def packed(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as plain JSON, to the bit."""
    data = zlib.compress(np.ascontiguousarray(array).tobytes(), 1)
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "data": base64.b64encode(data).decode(),
    }


def unpacked(noted: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array of `packed`."""
    data = zlib.decompress(base64.b64decode(noted["data"]))
    return np.frombuffer(data, noted["dtype"]).reshape(noted["shape"]).copy()


def noted_statistics(statistics: Statistics) -> dict[str, Any]:
    """Return statistics as plain JSON, to the bit."""
    moments = statistics.moments
    return {
        "counts": packed(statistics.counts()),
        "moments": None if moments is None else packed(moments),
    }


def restore_statistics(statistics: Statistics, noted: Mapping[str, Any]) -> None:
    """Put into empty statistics what was noted."""
    statistics.add_counts(unpacked(noted["counts"]))
    if noted["moments"] is not None:
        statistics.moments = unpacked(noted["moments"])
