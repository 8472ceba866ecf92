"""What the functions share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.models.bundle import ModelBundle
    from geoseg.raster.cover.region import Region
    from geoseg.raster.grid import Grid
    from geoseg.raster.scene import Scene

PathLike = str | Path
"""A path, or anything else that GDAL reads: an address, a pattern, a folder."""

Progress = Callable[[int], None]
"""Called with the number of pixels done since the last call."""


Listed = str | Sequence[str] | Mapping[int, str]
"""Classes: a text ("1=water,2=forest") or a file, a list of such texts, or a dictionary of them."""


def as_text(given: Listed | Mapping[Any, int | str | None] | None) -> str | None:
    """Write classes or codes as they are typed: "1=water,2=forest"; what is a text stays it.

    In a dictionary None stands for no data, and (red, green, blue) from 0 to 255 for a colour.
    """
    if isinstance(given, Mapping):
        return ",".join(
            f"{_typed(key)}={'nodata' if meant is None else meant}" for key, meant in given.items()
        )
    if isinstance(given, list | tuple):
        return ",".join(map(str, given))
    return None if given is None else str(given)


def _typed(key: object) -> str:
    """Write a value or a colour as codes have it."""
    if isinstance(key, tuple):
        return "#" + "".join(f"{int(channel):02x}" for channel in key)
    return str(key)


def threads(workers: int | None) -> int:
    """Return how many threads to use: as asked, else one a processor this process may use."""
    if workers is not None:
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def texts(sources: PathLike | Sequence[PathLike]) -> list[str]:
    """Return what a person named, one or several, as a list of texts."""
    return [str(s) for s in ([sources] if isinstance(sources, str | Path) else sources)]


def text_of(path: PathLike | None) -> str | None:
    """Return a path as a text, where there is one."""
    return None if path is None else str(path)


def area_text(min_area: str | int | None) -> str | None:
    """Return an area as it is typed: a number is one of pixels; None where there is none."""
    if min_area is None or min_area == 0:
        return None
    return f"{min_area}px" if isinstance(min_area, int) else min_area


def names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return names as a tuple."""
    return None if given is None else tuple(given)


@contextmanager
def opened(
    scene: Scene | PathLike | Sequence[PathLike],
    *,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
) -> Iterator[Scene]:
    """Open a scene, and close it in the end; one that is open already is left open."""
    from geoseg.raster.scene import Scene  # noqa: PLC0415 — pixels cost imports

    if isinstance(scene, Scene):
        named = scene if band_names is None else scene.renamed(band_names)
        yield named if bands is None else named.select(bands)
        return
    with Scene.open(scene, band_names=band_names) as found:
        yield found if bands is None else found.select(bands)


def area_of(region: PathLike | None, grid: Grid) -> Region | None:
    """Read where to work; None is everywhere."""
    if region is None:
        return None
    from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports geopandas

    return read_region(region, grid)


def load_models(
    model: ModelBundle | PathLike | Sequence[ModelBundle | PathLike] | None, scene: Scene | None
) -> list[ModelBundle]:
    """Load what is not loaded yet; where none is named, what is chosen for the scene.

    Raises
    ------
    OptionError, ModelError
        No model is named, and there is no scene to choose one for; one cannot be loaded.
    """
    from geoseg.errors import OptionError  # noqa: PLC0415
    from geoseg.models.builtin import choose_models  # noqa: PLC0415 — imports torch
    from geoseg.models.bundle import ModelBundle  # noqa: PLC0415
    from geoseg.models.opening import open_model  # noqa: PLC0415

    if model is None and scene is not None:
        return choose_models((), scene)
    if isinstance(model, ModelBundle | str | Path):
        model = [model]
    if not model:
        raise OptionError("a prediction needs at least one model")
    return [m if isinstance(m, ModelBundle) else open_model(m) for m in model]
