"""What geoseg sees of its own outputs that are no rasters: polygons, scores, colours, STAC items.

Only what made them is looked for, and how much there is; a file that says nothing of geoseg is
left to others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.errors import InputError

_POLYGONS = (".gpkg", ".geojson", ".parquet", ".geoparquet")
_MOST_JSON_BYTES = 64 << 20
_TAG = "GEOSEG_"


def describe_other(path: Path) -> dict[str, Any] | None:
    """Describe an output of geoseg that is neither raster nor data set nor model.

    Parameters
    ----------
    path
        A file that is there.

    Returns
    -------
    A JSON object with ``kind``, ``file``, ``bytes`` and ``made_by``; None where the file is none.
    """
    suffix = path.suffix.lower()
    found: dict[str, Any] | None = None
    if suffix in _POLYGONS:
        found = _polygons(path)
    if found is None and suffix in (".json", ".geojson"):
        found = _document(path)
    if found is None:
        return None
    return {**found, "file": str(path), "bytes": path.stat().st_size}


def _polygons(path: Path) -> dict[str, Any] | None:
    from geoseg.raster.vector import read_tags  # noqa: PLC0415 — loads GDAL's vector side

    try:
        tags = read_tags(path)
    except InputError:
        return None
    if f"{_TAG}COMMAND" not in tags:
        return None
    made_by: dict[str, Any] = {}
    for key, text in sorted(tags.items()):
        if key.startswith(_TAG):
            try:
                made_by[key.removeprefix(_TAG).lower()] = json.loads(text)
            except (ValueError, RecursionError):
                made_by[key.removeprefix(_TAG).lower()] = text
    classes = made_by.pop("classes", None)
    named = classes if isinstance(classes, list) else []
    return {
        "kind": "polygons",
        "classes": [item for item in named if isinstance(item, dict)],
        "made_by": {**made_by, "version": str(tags.get(f"{_TAG}VERSION", ""))},
    }


def _document(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _MOST_JSON_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    version = content.get("geoseg")
    if content.get("format") == "geoseg-colour":
        return {"kind": "colour", "made_by": {"version": None}}
    if isinstance(version, str) and isinstance(content.get("fingerprints"), dict):
        return {
            "kind": "scores",
            "made_by": {"version": version, "inputs": content["fingerprints"]},
        }
    if isinstance(version, str) and isinstance(content.get("steps"), list):
        return {"kind": "report of a recipe", "made_by": {"version": version}}
    return _item(content)


def _item(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tell a STAC item of ours by the software that it names."""
    properties = content.get("properties")
    if content.get("type") != "Feature" or not isinstance(properties, dict):
        return None
    software = properties.get("processing:software")
    if not isinstance(software, dict) or not isinstance(software.get("geoseg"), str):
        return None
    made_by = {"version": software["geoseg"], "command": str(properties.get("description", ""))}
    return {"kind": "STAC item", "made_by": made_by}
