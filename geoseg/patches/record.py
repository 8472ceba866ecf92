"""What is written down about a data set: ``dataset.json`` and ``index.gpkg``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise.standard import COLOUR_TAG
from geoseg.patches.bandjson import statistics_to_json
from geoseg.patches.cutting import patch_name
from geoseg.patches.dataset import FORMAT, SPLITS, VERSION
from geoseg.patches.gathered import Inputs
from geoseg.patches.job import Job
from geoseg.patches.labelcells import join_names
from geoseg.patches.presence import UNKNOWN
from geoseg.patches.settings import TileSettings
from geoseg.raster.bandstatistics import BandStatistics
from geoseg.raster.cover.footprints import outlines
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.grid import crs_code
from geoseg.raster.grouping import Problem
from geoseg.raster.legend.style import category_qml
from geoseg.raster.provenance import DATE, provenance, public_name, without_secrets

# Blue, orange, green, grey: told apart by colour-blind people too.
_LOOKS = {
    "train": ("training", (31, 120, 180)),
    "val": ("validation", (255, 127, 0)),
    "test": ("test", (51, 160, 44)),
    "": ("dropped", (120, 120, 120)),
}


@dataclass(kw_only=True)
class Outcome:
    """What came of cutting."""

    statistics: tuple[BandStatistics, ...]
    statistics_source: str
    """Splits that the statistics are of."""
    splits: dict[str, int]
    """Patches kept, by split."""
    pixels: dict[str, int]
    """Pixels of the scenes in the patches kept, by split; what pads a patch is none."""
    class_pixels: dict[str, list[int]]
    """Pixels by class, by split; empty where pixels have no labels."""
    patches_with_class: dict[str, list[int]]
    """Patches that hold each class, by split; empty without labels."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Patches dropped, by reason."""
    ignored: Counter[int] = field(default_factory=Counter)
    """Pixels by label value that means no class."""
    withdrawn: dict[str, str] = field(default_factory=dict)
    """Reasons by the names of scenes that turned out to be unusable."""
    before: int = 0
    """Patches, dropped ones too, that an earlier run had finished; stored nowhere."""


def public_problems(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Problems with the names of files in place of their paths."""
    return [
        {
            "path": _shown(p.path),
            "reason": without_secrets(p.reason.replace(p.path, _shown(p.path))),
        }
        for p in problems
    ]


def dataset_json(inputs: Inputs, settings: TileSettings, outcome: Outcome) -> dict[str, Any]:
    """Content of ``dataset.json``."""
    grid = inputs.jobs[0].scene.grid
    units = None
    if grid.crs is not None:
        units = "degree" if grid.crs.is_geographic else str(grid.crs.linear_units)
    tags = _tags(inputs, settings)
    versions = json.loads(tags["GEOSEG_VERSIONS"]) | {"geoseg": tags["GEOSEG_VERSION"]}
    integral = inputs.dtype.kind in "iu"
    return {
        "format": FORMAT,
        "version": VERSION,
        "storage": settings.storage,
        "size": settings.size,
        "stride": settings.stride,
        "bands": list(inputs.bands),
        "dtype": inputs.dtype.name,
        "fill": int(settings.fill) if integral else settings.fill,
        "max_nodata": settings.max_nodata,
        "min_labelled": settings.min_labelled,
        "labelling": inputs.labelling,
        "present": settings.present,
        "confidence": bool(inputs.confidence_paths),
        "label_table": _label_table(inputs),
        "classes": None if inputs.legend is None else inputs.legend.to_json(),
        "resolution": list(grid.resolution),
        "crs_units": units,
        "statistics": {
            "bands": [statistics_to_json(band) for band in outcome.statistics],
            "source": outcome.statistics_source,
        },
        "splits": outcome.splits,
        "class_pixels": outcome.class_pixels,
        "patches_with_class": outcome.patches_with_class,
        "dropped": outcome.dropped,
        "ignored_label_values": {str(v): n for v, n in sorted(outcome.ignored.items())},
        "scenes": [_scene_json(job, inputs) for job in inputs.jobs],
        "problems": public_problems(inputs.problems),
        "split_shares": dict(zip(SPLITS, settings.shares, strict=True)),
        "seed": settings.seed,
        "command": tags["GEOSEG_COMMAND"],
        "versions": versions,
        **({"date": tags[DATE]} if DATE in tags else {}),
        # Sets of scenes as they are stay as they were.
        **({} if inputs.colour is None else {"colour": inputs.colour.standard.to_json()}),
        **({} if inputs.scale == 1 else {"scale": inputs.scale}),
    }


def _shown(path: str) -> str:
    """Name a file: of its path or address nothing else, and no signature, is told."""
    return Path(public_name(path)).name


def _scene_json(job: Job, inputs: Inputs) -> dict[str, Any]:
    scene = job.scene
    crs = scene.grid.crs
    out: dict[str, Any] = {
        "name": job.name,
        "paths": [_shown(path) for path in scene.paths],
        "fingerprint": inputs.contents(scene),
        "height": scene.grid.height,
        "width": scene.grid.width,
        "crs": None if crs is None else crs_code(crs) or crs.to_wkt(),
        "transform": list(scene.grid.transform)[:6],
    }
    if job.labels is not None:
        out["labels"] = {
            "paths": [_shown(path) for path in job.labels.paths],
            "fingerprint": inputs.contents(job.labels),
            "resampled": "nearest" if job.labels.is_warped else None,
        }
    if job.confidence is not None:
        out["confidence"] = {
            "paths": [_shown(path) for path in job.confidence.paths],
            "fingerprint": inputs.contents(job.confidence),
            "resampled": "nearest" if job.confidence.is_warped else None,
        }
    if job.name in inputs.region_fingerprints:
        out["region"] = inputs.region_fingerprints[job.name]
    return out


def _label_table(inputs: Inputs) -> dict[str, Any] | None:
    """Name and digest of the table of labels; what it says of each patch is in the set."""
    if inputs.label_table is None:
        return None
    path = Path(inputs.label_table.partition("|layername=")[0])
    # A shapefile keeps its attributes beside it. What is no file (a folder, an address) has none.
    parts = [path, path.with_suffix(".dbf")] if path.suffix.lower() == ".shp" else [path]
    files = [p for p in parts if p.is_file() and p.suffix.lower() != ".vrt"]
    return {
        "path": _shown(inputs.label_table),
        "fingerprint": fingerprint_files([str(p) for p in files]) if files else None,
    }


def _tags(inputs: Inputs, settings: TileSettings) -> dict[str, str]:
    scenes = [path for job in inputs.jobs for path in job.scene.paths]
    fingerprints = {job.name: inputs.contents(job.scene) for job in inputs.jobs}
    command = settings.command(
        scenes, inputs.label_paths, inputs.confidence_paths, inputs.label_table
    )
    tags = provenance(command, fingerprints)
    if inputs.colour is not None:
        tags[COLOUR_TAG] = inputs.colour.standard.digest
    return tags


def write_index(
    path: Path,
    inputs: Inputs,
    jobs: Sequence[Job],
    settings: TileSettings,
    outcome: Outcome,
) -> None:
    """Write a footprint for each patch of `jobs`, among them scenes that are not in the set."""
    path.unlink(missing_ok=True)  # of a run that was stopped at its very end
    # Imported here: it brings geopandas, which takes a second.
    from geoseg.raster.vector import write_footprints  # noqa: PLC0415

    crs = jobs[0].scene.grid.crs
    columns: dict[str, list[Any]] = {
        name: [] for name in ("patch", "scene", "row", "col", "size", "split", "position", "nodata")
    }
    legend = inputs.pixel_legend
    shares = _share_columns(() if legend is None else legend.names)
    columns |= {name: [] for name in shares}
    if inputs.legend is not None:
        columns["classes"] = []
    columns["reason"] = []
    rings: list[Any] = []
    for job in jobs:
        table = job.table
        known = job.name not in outcome.withdrawn
        windows = table.windows(job.window)
        rings += list(outlines(job.scene.grid, windows, crs))
        columns["patch"] += [patch_name(job.name, row, col) for row, col in windows[:, :2].tolist()]
        columns["scene"] += [job.name] * len(table)
        columns["row"] += windows[:, 0].tolist()
        columns["col"] += windows[:, 1].tolist()
        columns["size"] += [table.size] * len(table)
        columns["split"] += [
            "" if reason else SPLITS[split]
            for split, reason in zip(table.split.tolist(), table.reason, strict=True)
        ]
        columns["position"] += table.position.tolist()
        columns["nodata"] += (table.nodata if known else np.full(len(table), np.nan)).tolist()
        for index, name in enumerate(shares):
            share = table.class_pixels[:, index] / table.pixels
            columns[name] += (share if known else np.full(len(table), np.nan)).tolist()
        if inputs.legend is not None:
            held = table.presence_of(settings.present)
            columns["classes"] += _class_lists(held if known else held[:0], inputs.legend.names)
            columns["classes"] += [None] * (0 if known else len(table))
        columns["reason"] += table.reason
    write_footprints(
        path,
        "patches",
        columns,
        rings,
        crs,
        style_qml=category_qml("split", _LOOKS),
        overwrite=False,
        metadata=_tags(inputs, settings),
    )


def _class_lists(presence: NDArray[np.uint8], names: Sequence[str]) -> list[str]:
    """Names of the classes present, a text a patch; empty where nothing is known."""
    rows, which = np.unique(presence, axis=0, return_inverse=True)
    texts = [
        join_names([n for n, there in zip(names, row, strict=True) if there == 1])
        if (row != UNKNOWN).any()
        else ""
        for row in rows
    ]
    return [texts[number] for number in which.reshape(-1)]


def _share_columns(names: Sequence[str]) -> list[str]:
    """Column names for class shares; GeoPackage does not tell upper from lower case."""
    taken: set[str] = set()
    out = []
    for name in names:
        number, candidate = 1, f"share_{name}"
        while candidate.casefold() in taken:
            number += 1
            candidate = f"share_{name}_{number}"
        taken.add(candidate.casefold())
        out.append(candidate)
    return out
