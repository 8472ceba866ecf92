"""A data set that an earlier run finished, known by what its ``dataset.json`` says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.patches.gathered import Inputs
from geoseg.patches.record import Outcome, dataset_json
from geoseg.patches.settings import TileSettings

_FOUND = (
    *("statistics", "splits", "class_pixels", "patches_with_class", "dropped"),
    *("ignored_label_values", "problems", "versions"),
)
"""What only cutting tells, and what versions cut."""


def is_there(folder: Path, inputs: Inputs, settings: TileSettings) -> bool:
    """Tell whether a folder is a data set of these inputs and settings.

    A folder gets its name when it is whole. By which versions it was made is not asked. Scenes that
    were left out while they were cut may be missing in it.
    """
    try:
        found = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        names = {scene["name"] for scene in found["scenes"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    jobs = [job for job in inputs.jobs if job.name in names]
    if not jobs or len(jobs) + len(found["problems"]) != len(inputs.jobs) + len(inputs.problems):
        return False
    nothing = Outcome(
        statistics=(),
        statistics_source="",
        splits={},
        pixels={},
        class_pixels={},
        patches_with_class={},
    )
    expected = dataset_json(replace(inputs, jobs=jobs), settings, nothing)
    same: dict[str, Any] = json.loads(json.dumps(expected))
    return {k: v for k, v in found.items() if k not in _FOUND} == {
        k: v for k, v in same.items() if k not in _FOUND
    }


def summary_there(folder: Path) -> dict[str, Any]:
    """Return what there is to say of a set that is there, as plain JSON."""
    found = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    told = ("size", "stride", "bands", "dtype", "dropped", "labelling", "statistics", "problems")
    return {
        "output": str(folder),
        "there": True,
        "patches": found["splits"],
        **{name: found[name] for name in told},
    }
