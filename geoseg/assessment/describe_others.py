"""What geoseg sees of its own outputs that are no rasters: polygons, scores, pages, tables.

Only what made them is looked for, and how much there is; a file that says nothing of geoseg is
left to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.assessment.describe_makers import beside, made_by_dataset, read_document
from geoseg.errors import InputError

_POLYGONS = (".gpkg", ".geojson", ".parquet", ".geoparquet")
_RASTERS = (".tif", ".tiff")
_PAGES = {".html": "page", ".htm": "page", ".png": "picture", ".jpg": "picture", ".md": "text"}


def describe_other(path: Path) -> dict[str, Any] | None:
    """Describe an output of geoseg that is neither raster nor data set nor model.

    Parameters
    ----------
    path
        A file that is there.

    Returns
    -------
    A JSON object with ``kind``, ``file``, ``bytes`` and ``made_by``; ``said_by`` names the file
    beside it that says what made it, where it does not itself. None where the file is none.
    """
    suffix = path.suffix.lower()
    if suffix in _RASTERS:
        return None
    found = _told(path)
    if found is None:
        found = _told_beside(path)
    if found is None:
        return None
    return {**found, "file": str(path), "bytes": path.stat().st_size}


def completed(found: dict[str, Any]) -> dict[str, Any]:
    """Add to the description of a patch what its data set says of what it was made of."""
    made, files = found.get("made_by"), found["files"]
    if made is None or "inputs" in made or len(files) != 1:
        return found
    told = _told_beside(Path(files[0]))
    return found if told is None else found | {key: told[key] for key in ("made_by", "said_by")}


def _told(path: Path) -> dict[str, Any] | None:
    """Describe a file that says itself what made it."""
    suffix = path.suffix.lower()
    found: dict[str, Any] | None = None
    if suffix in _POLYGONS:
        found = _polygons(path)
    if found is None and suffix in (".json", ".geojson"):
        found = _document(path)
    if found is None and suffix in _PAGES:
        from geoseg.raster.maker import read_maker  # noqa: PLC0415 — loads rasterio

        made = read_maker(path)
        found = None if made is None else {"kind": _PAGES[suffix], "made_by": made}
    return found


def _told_beside(path: Path) -> dict[str, Any] | None:
    """Describe a file that another one tells of."""
    for kind, place in beside(path):
        made = _made_by(place)
        if made is not None:
            return {"kind": kind, "made_by": made, "said_by": place.name}
    return None


def _made_by(path: Path) -> dict[str, Any] | None:
    """Return what a file says made it; None where it does not."""
    if path.suffix.lower() in _RASTERS:
        from geoseg.raster.provenance import made_by, read_provenance  # noqa: PLC0415 — rasterio

        return made_by(read_provenance(path)) or None
    content = read_document(path) if path.suffix.lower() == ".json" else None
    if content is not None and content.get("format") == "geoseg-patches":
        return made_by_dataset(content)
    found = _told(path)
    return None if found is None else found["made_by"]


def _polygons(path: Path) -> dict[str, Any] | None:
    from geoseg.raster.provenance import made_by  # noqa: PLC0415 — loads rasterio
    from geoseg.raster.vector import read_tags  # noqa: PLC0415 — loads GDAL's vector side

    try:
        tags = read_tags(path)
    except InputError:
        return None
    found = made_by(tags)
    if "command" not in found:
        return None
    classes = found.pop("classes", None)
    named = classes if isinstance(classes, list) else []
    return {
        "kind": "polygons",
        "classes": [item for item in named if isinstance(item, dict)],
        "made_by": {**found, "version": found.get("version", "")},
    }


def _document(path: Path) -> dict[str, Any] | None:
    content = read_document(path)
    if content is None:
        return None
    found = content.get("made_by")
    if not isinstance(found, dict) or not isinstance(found.get("command"), str):
        return _older(content)
    if str(content.get("@context")).endswith("/ns/csvw"):
        return {"kind": "what made a table", "made_by": found}
    known = _older(content)
    if known is not None:
        return {**known, "made_by": found}
    kind = "STAC item" if content.get("type") == "Feature" else "report"
    return {"kind": kind, "made_by": found}


def _older(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tell documents that say what they are, but only by which version it was made."""
    version = content.get("geoseg")
    if content.get("format") == "geoseg-colour":
        return {"kind": "colour", "made_by": {"version": None}}
    inputs = content.get("fingerprints")
    if isinstance(version, str) and isinstance(inputs, dict):
        return {"kind": "scores", "made_by": {"version": version, "inputs": inputs}}
    if isinstance(version, str) and isinstance(content.get("steps"), list):
        return {"kind": "report of a recipe", "made_by": {"version": version}}
    if isinstance(version, str) and isinstance(content.get("predictions"), list):
        return {"kind": "scores", "made_by": {"version": version}}
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
