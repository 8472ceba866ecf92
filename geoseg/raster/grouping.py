"""What a person names, sorted into scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import InputError
from geoseg.raster.opening.heads import expand
from geoseg.raster.scene import Scene
from geoseg.raster.sources import group_files


@dataclass(frozen=True)
class Problem:
    """Something given that cannot be used."""

    path: str
    """The file, folder or pattern."""
    reason: str
    """One line for people."""


def group_scenes(
    sources: Sequence[str | Path], *, band_names: Sequence[str] | None = None, mosaic: bool = False
) -> tuple[list[Scene], list[Problem]]:
    """Sort what a user names into scenes.

    Single-band files of one folder and grid whose names differ by more than a date are the bands of
    one scene; parts of a Google Earth Engine export ("NAME-0000000000-0000000000.tif") are one;
    every other file is a scene of its own. With `mosaic`, all files are one scene.

    Returns
    -------
    scenes, problems
        The scenes in the order of their first files, and what cannot be used, each with the reason.
    """
    scenes: list[Scene] = []
    problems: list[Problem] = []
    paths: list[str] = []
    for source in sources:
        try:
            paths += expand([source])
        except InputError as error:
            problems.append(Problem(str(source), str(error)))
    groups, failed = group_files(list(dict.fromkeys(paths)), mosaic=mosaic)
    problems += [Problem(path, reason) for path, reason in failed]
    for group in groups:
        try:
            scenes.append(Scene.of_files(group, band_names=band_names))
        except InputError as error:
            problems.append(Problem(group[0], str(error)))
    return scenes, problems
