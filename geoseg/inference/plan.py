"""What finished rows of a map are rows of, and how two of those differ, in the words of options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.inference.colour import WantedColour
from geoseg.inference.settings import PredictSettings
from geoseg.inference.source import KnownArea
from geoseg.models.bundle import ModelBundle
from geoseg.raster.outputs.unfinished import (
    changed,
    options_then_and_now,
    or_versions,
    then_and_now,
)
from geoseg.raster.provenance import DATE, versions
from geoseg.raster.scene import Band, Scene

_FORMAT = 2


def described(
    scene: Scene,
    contents: str,
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
    contents
        Digest of the scene's files.
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
        "--compile": settings.compile,
        "--region": area_name,
        **outputs,
        "scene": scene.name,
        "contents": contents,
        "grid": f"{grid.describe()}, from {grid.transform.c!r}, {grid.transform.f!r}",
        "transform": list(grid.transform)[:6],
        # By their place as well: names that a user gave may stand for other bands.
        "bands": [f"{band.name} ({_place(scene, band)})" for band in scene.bands],
        "readings": [_reading(band) for band in scene.bands],
        "region": None if area is None else area.fingerprint(),
        "models": [bundle.card.name for bundle in models],
        "weights": [bundle.card.hash for bundle in models],
        "colour": colour.inputs,
        "device": device,
        "versions": versions(("torch", *packages_of(models))),
        "tags": {name: text for name, text in tags.items() if name != DATE},
    }


def packages_of(models: Sequence[ModelBundle]) -> tuple[str, ...]:
    """Return the packages besides torch that compute what models answer."""
    return ("onnxruntime",) if any(bundle.suffix == ".onnx" for bundle in models) else ()


def _place(scene: Scene, band: Band) -> str:
    number = scene.paths.index(band.path) if band.path in scene.paths else 0
    return f"band {band.index}" + (f" of file {number + 1}" if len(scene.paths) > 1 else "")


def _reading(band: Band) -> str:
    """Say what numbers of a band mean; a file beside its own may say it."""
    return f"{band.name}: nodata {band.nodata}, scale {band.scale!r}, offset {band.offset!r}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two descriptions differ; empty where they do not.

    What follows from others is told only where no other differs.
    """
    other = changed(before, now)
    told = []
    if "scene" in other:
        told.append(then_and_now("scene", before, now))
    elif "readings" in other and "bands" not in other:
        told.append(then_and_now("readings", before, now))
    elif "contents" in other:
        told.append("the scene's files are not the same")
    elif "grid" in other or "transform" in other:
        told.append(then_and_now("grid", before, now))
    elif "bands" in other:
        told.append(then_and_now("bands", before, now))
    if "models" in other:
        told.append(then_and_now("models", before, now))
    elif "weights" in other:
        told.append("the models' weights are not the same")
    told += options_then_and_now(before, now)
    if "region" in other and "--region" not in other:
        told.append("--region: its polygons are not the same")
    if "colour" in other and "--homogenise" not in other:
        told.append("--homogenise: the colour is not the same")
    if "device" in other:
        told.append(then_and_now("device", before, now))
    return or_versions(told, before, now)
