"""What geoseg sees of its own folders that hold no scenes: scores, runs, a split of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geoseg.assessment.describe_makers import DATASET
from geoseg.assessment.describe_others import describe_other

_MODELS = (".safetensors", ".onnx")


def dataset_of_split(folder: Path) -> Path | None:
    """Return the folder of the data set of which a folder is a split; None if it is of none."""
    above = folder.absolute().parent
    return above if (above / DATASET).is_file() else None


def describe_outputs(folder: Path) -> Iterator[dict[str, Any]]:
    """Describe what runs of geoseg left in a folder itself: a description a run.

    Yields
    ------
    JSON objects with ``kind`` "folder", ``name``, ``bytes``, ``holds`` (``name`` and ``kind`` of
    each file) and ``made_by``; nothing where no file says that geoseg made it. Models come first
    and have no ``made_by`` here: their cards say more.
    """
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    runs: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        if file.suffix.lower() in _MODELS:
            found: dict[str, Any] | None = {
                "kind": "model",
                "file": str(file),
                "bytes": file.stat().st_size,
                "made_by": None,
            }
        else:
            found = describe_other(file)
        if found is not None:
            command = str((found["made_by"] or {}).get("command", ""))
            runs.setdefault(command, []).append(found)
    for members in runs.values():
        yield {
            "kind": "folder",
            "name": str(folder),
            "bytes": sum(item["bytes"] for item in members),
            "holds": [{"name": Path(i["file"]).name, "kind": i["kind"]} for i in members],
            "made_by": members[0]["made_by"],
        }
