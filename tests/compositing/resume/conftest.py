"""Dates of a scene, composites of them, and composites that are stopped on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.compositing import writing
from geoseg.compositing.composite import composite
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import open_products
from geoseg.compositing.settings import CompositeResult, CompositeSettings
from geoseg.compositing.target import target_grid
from geoseg.raster.outputs import unfinished
from geoseg.raster.vector import read_region

TILED = {"tiled": True, "blockxsize": 128, "blockysize": 128}
STRIPS = {"blockysize": 8}
SIZE = (1130, 1600)
"""Tiles of three rows and four columns, the last ones cut short; and three smaller copies."""
CORNER = (6e5, 5e6)


@pytest.fixture
def _note_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note after every window what is finished."""
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)


@pytest.fixture(scope="session")
def readings() -> list[Any]:
    rng = np.random.default_rng(4)
    found = []
    for date in range(3):
        bands = np.kron(
            rng.integers(1, 9999, (2, 113, 160), dtype=np.uint16), np.ones((1, 10, 10), np.uint16)
        )
        bands += rng.integers(0, 9, (2, *SIZE), dtype=np.uint16)
        bands[:, 200 * date : 200 * date + 90] = 0
        bands[:, :, 1500:] = 0
        mask = np.kron(rng.choice([0, 0, 2, 4], (113, 160)), np.ones((10, 10), int))
        found.append(np.concatenate([bands, mask[None]]).astype(np.uint16))
    return found


@pytest.fixture
def write_date(write: Callable[..., Path]) -> Callable[..., Path]:
    """Write a date, in tiles or in strips, at a place."""

    def make(name: str, data: Any, *, rows: bool = False, east: float = 0.0) -> Path:
        corner = (CORNER[0] + east, CORNER[1])
        profile: dict[str, Any] = STRIPS if rows else TILED
        return write(name, data, names=("red", "nir", "fmask"), nodata=0, corner=corner, **profile)

    return make


@pytest.fixture
def dates(write_date: Callable[..., Path], readings: list[Any]) -> Callable[..., list[Path]]:
    """Write the dates, the later ones shifted by so many pixels."""

    def make(*, rows: bool = False, shift: float = 0.0) -> list[Path]:
        return [
            write_date(f"in/date{number}.tif", data, rows=rows, east=30 * shift * number)
            for number, data in enumerate(readings)
        ]

    return make


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "stopped"
    folder.mkdir()
    return folder / "out.tif"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "whole"
    folder.mkdir()
    return folder / "out.tif"


@pytest.fixture
def make() -> Callable[..., CompositeResult]:
    """Make a composite."""

    def made(
        paths: list[Path],
        out: Path,
        *,
        region: str | None = None,
        counts: bool = False,
        rule: ClearRule | None = None,
        like: str | None = None,
        **more: Any,
    ) -> CompositeResult:
        products = open_products([str(p) for p in paths], quality="fmask=fmask").products
        names = more.pop("bands", ("red", "nir"))
        kept = {k: more.pop(k) for k in ("reduction", "dtype", "resampling") if k in more}
        settings = CompositeSettings(bands=names, rule=rule or ClearRule(dilate=2), **kept)
        extent = None if like else more.pop("extent", "first")
        grid = target_grid(products, names, extent=extent, like=like).grid
        if region is not None:
            more |= {"area": read_region(region, grid), "area_name": region}
        if counts:
            more["counts"] = out.with_name("counts.tif")
        return composite(products, out, grid, settings=settings, **more)

    return made


@pytest.fixture
def stop(make: Callable[..., CompositeResult]) -> Callable[..., None]:
    """Make one until so many windows, or bands of rows, are finished."""

    def stopped(paths: list[Path], out: Path, *, after: int, **more: Any) -> None:
        left, finished = [after], writing.Writing._finished

        def counted(self: Any, *given: Any, **named: Any) -> None:
            finished(self, *given, **named)
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing.Writing, "_finished", counted)
            with pytest.raises(KeyboardInterrupt):
                make(paths, out, **{"keep": True, **more})

    return stopped
