"""Predictions that are stopped on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.inference import outputs as outputs_module
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region

HEIGHT, WIDTH = 100, 53
RNG = np.random.default_rng(11)
# Fields of 7 × 7 with speckles, so that some components are small and others are not.
PIXELS = np.kron(RNG.integers(1, 300, (2, 15, 8), dtype=np.uint16), np.ones((1, 7, 7), np.uint16))
PIXELS = PIXELS[:, :HEIGHT, :WIDTH] + RNG.integers(0, 60, (2, HEIGHT, WIDTH), dtype=np.uint16)
PIXELS[:, 30:52] = 0  # rows without anything
PIXELS[:, 70:, 40:] = 0


def make(path: Path, out: Path, models: Any, *, also: bool = True, **more: Any) -> Any:
    """Predict; by default with probabilities and confidence beside the map."""
    names = {"tile", "stride", "blend", "tta", "scale", "min_area", "batch"}
    chosen = {"tile": 16, "stride": 8} | {k: v for k, v in more.items() if k in names}
    others: dict[str, Any] = {k: v for k, v in more.items() if k not in names}
    if also:
        others = {
            "probabilities": out.with_name("p.tif"),
            "confidence": out.with_name("c.tif"),
        } | others
    region, band_names = others.pop("region", None), others.pop("band_names", None)
    with Scene.open(path, band_names=band_names) as scene:
        if region is not None:
            others |= {"area": read_region(region, scene.grid), "area_name": region}
        return predict(
            scene, out, models=models, settings=PredictSettings(**chosen), device="cpu", **others
        )


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stop_at(
    monkeypatch: pytest.MonkeyPatch, writes: int, error: BaseException | None = None
) -> None:
    """Raise an error (of Ctrl-C) when so many rows of tiles have been written."""
    left = [writes]
    write = outputs_module.Maps.write

    def counted(self, *rows):
        if left[0] == 0:
            raise error or KeyboardInterrupt
        left[0] -= 1
        write(self, *rows)

    monkeypatch.setattr(outputs_module.Maps, "write", counted)


def stop(path, out, models, *, writes=3, error=None, **more):
    """Run until so many rows of tiles have been written."""
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, writes, error)
        with pytest.raises(type(error) if error else KeyboardInterrupt):
            make(path, out, models, **{"keep": True, **more})
