"""What fetched windows are parts of, and how two of those differ, in the words of options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geoseg.compositing.earthengine.settings import EarthEngineSettings, Place

if TYPE_CHECKING:
    from geoseg.compositing.earthengine.asking import Asked

_FORMAT = 2
"""Of the windows' files too; from 2 on they end with a sum."""


def described(
    settings: EarthEngineSettings,
    place: Place,
    asked: Asked,
    *,
    side: int,
    expressions: Mapping[str, str],
) -> dict[str, Any]:
    """Say what windows are parts of: two runs of one description may share them.

    Parameters
    ----------
    settings, place, asked
        What to fetch, where, and what there is.
    side
        Rows and columns of a window.
    expressions
        Layer → fingerprint of what the server computes.
    """
    grid, labels = place.grid, settings.labels
    return {
        "format": _FORMAT,
        **{f"--{name}": value for name, value in settings.words().items()},
        "--earth-engine": ", ".join(one.id for one in settings.collections),
        "--labels-collection": None if labels is None else labels.collection,
        "--labels-band": None if labels is None else labels.band,
        "--labels-method": None if labels is None else labels.choice,
        "--request-size": side,
        "grid": f"{grid.describe()}, from {grid.transform.c!r}, {grid.transform.f!r}",
        "transform": list(grid.transform)[:6],
        "region": None if place.area is None else place.area.fingerprint(),
        "images": {name: len(images) for name, images in asked.images.items()},
        "names of images": list(asked.inputs().values()),
        "layers": dict(expressions),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two descriptions differ; empty where they do not.

    Options come first. What follows from others is told only where no other differs: a computation
    is another when any option is.
    """
    other = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    told = [
        f"{name}: {_brief(before.get(name))} then, {_brief(now.get(name))} now"
        for name in sorted(other)
        if name.startswith("--")
    ]
    if "grid" in other:
        told.append(f"grid: {_brief(before.get('grid'))} then, {_brief(now.get('grid'))} now")
    elif "transform" in other:
        told.append("grid: its pixels are not the same")
    elif "region" in other:
        told.append("--region: its polygons are not the same")
    if "images" in other and "--earth-engine" not in other:
        counts = [_counts(one.get("images")) for one in (before, now)]
        told.append(f"images: {counts[0]} then, {counts[1]} now")
    if other and not told:
        told.append(
            "images: as many, but not the same ones"
            if "names of images" in other
            else "what is computed: another release of geoseg or of Earth Engine’s client began it"
        )
    return told


def _counts(images: object) -> str:
    if not isinstance(images, dict):
        return "none"
    return ", ".join(f"{number} of {name}" for name, number in sorted(images.items()))


def _brief(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
