"""Who says what made an output of geoseg: the file itself, or one that stands beside it.

Tables, styles and arrays have no place for it that their readers would leave alone. What made them
is told by a file of the same run that has one; `beside` knows which.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DATASET = "dataset.json"
_MOST_JSON_BYTES = 64 << 20
_LEVELS = 3
"""Folders above a file of a data set, its own among them, in which that may begin."""
_IN_FOLDERS = {
    "seams.csv": "colour.json",
    "comparison.csv": "comparison.json",
    **dict.fromkeys(
        ("classes.csv", "confusion.csv", "stages.csv", "photographs.csv", "maps.csv", "cells.csv"),
        "scores.json",
    ),
}
"""Tables of folders, and which file of the folder says what made them."""
_STYLED = (".tif", ".tiff", ".gpkg", ".geojson", ".parquet")


def made_by_dataset(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what made a data set, out of its ``dataset.json``; see `provenance.made_by`."""
    versions = content.get("versions")
    used = dict(versions) if isinstance(versions, dict) else {}
    scenes = content.get("scenes")
    inputs = {}
    for scene in scenes if isinstance(scenes, list) else []:
        if isinstance(scene, dict):
            inputs[str(scene.get("name"))] = scene.get("fingerprint")
            labels = scene.get("labels")
            if isinstance(labels, dict):
                inputs[f"labels of {scene.get('name')}"] = labels.get("fingerprint")
    command = content.get("command")
    if not isinstance(command, str):
        return None
    told = {key: content[key] for key in ("size", "stride", "max_nodata", "seed") if key in content}
    return {
        "command": command,
        "inputs": inputs,
        "options": told,
        "version": str(used.pop("geoseg", "")),
        "versions": used,
        **({"date": content["date"]} if isinstance(content.get("date"), str) else {}),
    }


def made_by_card(training: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what made a model, out of what its card says of its training; None if it does not."""
    made = training.get("made_by")
    if isinstance(made, dict) and isinstance(made.get("command"), str):
        return made
    versions = training.get("versions")
    if not isinstance(versions, dict) or not isinstance(versions.get("geoseg"), str):
        return None
    used = dict(versions)
    return {"version": used.pop("geoseg"), "versions": used}


def read_document(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where a file holds none, or is no file of ours by its size."""
    try:
        if path.stat().st_size > _MOST_JSON_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def beside(path: Path) -> Iterator[tuple[str, Path]]:
    """Name the files that may say what made one that does not say it itself.

    Parameters
    ----------
    path
        A file that is there.

    Yields
    ------
    What the file then is, and the other file, which is there.
    """
    name, suffix = path.name, path.suffix.lower()
    found: list[tuple[str, Path]] = []
    if suffix == ".csv":
        from geoseg.raster.maker import maker_path  # noqa: PLC0415 — loads rasterio

        places = [maker_path(path), path.with_suffix(".gpkg")]
        if name.endswith(".curves.csv"):
            places.append(path.with_name(name.removesuffix(".curves.csv") + ".report.json"))
        if name in _IN_FOLDERS:
            places.append(path.with_name(_IN_FOLDERS[name]))
        found += [("table", place) for place in places]
    elif suffix == ".qml":
        found += [("style", path.with_suffix(ending)) for ending in _STYLED]
    elif name.endswith(".aux.xml"):
        found.append(("names and colours", path.with_name(name.removesuffix(".aux.xml"))))
    if suffix in (".npy", ".txt", ".tif", ".qml"):
        folders = list(path.absolute().parents)[:_LEVELS]
        found += [("part of a data set", folder / DATASET) for folder in folders]
    yield from ((kind, place) for kind, place in found if place.is_file() and place != path)
