"""What finished rows of a map are rows of, and how two of those differ, in the words of options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.inference.colour import WantedColour
from geoseg.inference.settings import PredictSettings
from geoseg.inference.source import KnownArea
from geoseg.models.bundle import ModelBundle
from geoseg.raster.provenance import versions
from geoseg.raster.scene import Band, Scene

_FORMAT = 1


def described(
    scene: Scene,
    models: Sequence[ModelBundle],
    settings: PredictSettings,
    outputs: Mapping[str, str | None],
    *,
    area: KnownArea | None,
    area_name: str | None,
    colour: WantedColour,
    device: str,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Say what determines a map, to the bit: runs of one description may share rows.

    Parameters
    ----------
    scene, models, settings, area, area_name, colour
        As `geoseg.inference.predict.predict` has them.
    outputs
        Where further outputs go, by option.
    device
        Kind of device.
    tags
        What the map's metadata say.
    """
    grid = scene.grid
    return {
        "format": _FORMAT,
        **{f"--{name}": value for name, value in settings.words().items()},
        "--batch-size": settings.batch,
        "--region": area_name,
        **outputs,
        "scene": scene.name,
        "contents": scene.fingerprint(),
        "grid": f"{grid.describe()}, from {grid.transform.c!r}, {grid.transform.f!r}",
        "transform": list(grid.transform)[:6],
        # By their place as well: names that a user gave may stand for other bands.
        "bands": [f"{band.name} ({_place(scene, band)})" for band in scene.bands],
        "region": None if area is None else area.fingerprint(),
        "models": [bundle.card.name for bundle in models],
        "weights": [bundle.card.hash for bundle in models],
        "colour": colour.inputs,
        "device": device,
        "versions": versions(),
        "tags": dict(tags),
    }


def _place(scene: Scene, band: Band) -> str:
    number = scene.paths.index(band.path) if band.path in scene.paths else 0
    return f"band {band.index}" + (f" of file {number + 1}" if len(scene.paths) > 1 else "")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two descriptions differ; empty where they do not.

    What follows from others is told only where no other differs.
    """
    other = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    told = []
    if "scene" in other:
        told.append(_then("scene", before, now))
    elif "contents" in other:
        told.append("the scene's files are not the same")
    elif "grid" in other or "transform" in other:
        told.append(_then("grid", before, now))
    elif "bands" in other:
        told.append(_then("bands", before, now))
    if "models" in other:
        told.append(_then("models", before, now))
    elif "weights" in other:
        told.append("the models' weights are not the same")
    told += [_then(name, before, now) for name in sorted(other) if name.startswith("--")]
    if "region" in other and "--region" not in other:
        told.append("--region: its polygons are not the same")
    if "colour" in other and "--homogenise" not in other:
        told.append("--homogenise: the colour is not the same")
    if "device" in other:
        told.append(_then("device", before, now))
    if other and not told:
        told += _versions(before.get("versions"), now.get("versions"))
    return told


def _versions(before: object, now: object) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
        if names:
            return [_then(name, before, now) for name in names]
    return ["another release of geoseg began it"]


def _then(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return f"{name}: {_brief(before.get(name))} then, {_brief(now.get(name))} now"


def _brief(value: object) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
