"""Makings of polygons that are stopped on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from affine import Affine

from geoseg.assessment.keptpolygons import PolygonRun
from geoseg.assessment.measure import Measure
from geoseg.assessment.vectorise import Vectorised, VectoriseSettings, vectorise

HERE = Affine(30, 0, 300_000, 0, -30, 4_000_000)
HEIGHT, WIDTH = 150, 60
SMALL = {
    "geoseg.raster.polygons.stream._BAND_PIXELS": 8 * WIDTH,
    "geoseg.raster.polygons.stream._LEAST_BAND_ROWS": 8,
    "geoseg.raster.polygons.files.layer._BATCH": 40,
    "geoseg.raster.polygons.files.layer._POINTS": 50,
    "geoseg.raster.outputs.unfinished.EVERY_SECONDS": 0.0,
    "geoseg.raster.outputs.unfinished.TIMES_AS_LONG": 0,
}
"""Sizes with which a small raster has many bands, batches and notes."""
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "simple": {"simplify": Measure.length("1.5px"), "min_area": Measure.area("3px")},
    "dissolved": {"dissolve": True, "simplify": Measure.length("1px")},
    "zones": {"zones": "zones.gpkg", "zone_field": "name"},
    "cut": {"zones": "zones.gpkg", "dissolve": True, "classes": (1, "water")},
}


def make(here: Path, out: Path, way: str = "plain", **more: Any) -> Vectorised:
    chosen = dict(WAYS[way])
    if "zones" in chosen:
        chosen["zones"] = str(here / chosen["zones"])
    chosen |= more.pop("settings", {})
    return vectorise(here / "map.tif", out, settings=VectoriseSettings(**chosen), **more)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stop(here: Path, out: Path, way: str = "plain", *, notes: int = 3, **more: Any) -> None:
    """Run until so many notes were written; then as if by Ctrl-C, in the middle of the work."""
    left = [notes]
    note = PolygonRun.note

    def counted(self: PolygonRun, done: Any) -> None:
        note(self, done)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PolygonRun, "note", counted)
        with pytest.raises(KeyboardInterrupt):
            make(here, out, way, **{"keep": True, **more})
