"""``geoseg predict --output-dir``: many scenes, a map of each."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from geoseg.cli.cluster_option import opened_cluster
from geoseg.cli.options import emit, remark
from geoseg.cli.progress import progress
from geoseg.cli.sent import sends
from geoseg.errors import InputError, ModelError

if TYPE_CHECKING:
    from geoseg.inference.asked import PredictAsked
    from geoseg.inference.many import SceneMap
    from geoseg.models.bundle import ModelBundle
    from geoseg.raster.grouping import Problem
    from geoseg.raster.scene import Scene


def predict_each(asked: PredictAsked, folder: str, *, as_json: bool) -> None:
    """Predict each of the scenes that are named, and say what came of them.

    Leaves with status 1 where one failed.
    """
    from geoseg.inference.engines import same_packages  # noqa: PLC0415
    from geoseg.inference.many import check_many, outputs_of, predict_many  # noqa: PLC0415

    settings = asked.settings
    scenes, problems = _scenes(asked)
    outputs = outputs_of(
        scenes, folder, probabilities=asked.probabilities, confidence=asked.confidence
    )
    bundles = _models(scenes, asked.models)
    check_many(scenes, outputs, overwrite=asked.overwrite, resume=asked.resume)
    through: list[SceneMap] = []

    total = sum(scene.grid.height * scene.grid.width for scene in scenes)
    try:
        with (
            opened_cluster(
                asked.cluster, asked.workers, packages=same_packages(bundles)
            ) as cluster,
            progress(total, "predict") as bar,
        ):
            predict_many(
                scenes,
                outputs,
                models=bundles,
                settings=settings,
                min_area=asked.min_area,
                region=asked.region,
                device=asked.device,
                workers=asked.thread_count,
                cluster=cluster,
                by_scene=not sends(),
                overwrite=asked.overwrite,
                resume=asked.resume,
                progress=bar.update,
                told=through.append,
            )
    except KeyboardInterrupt:
        _interrupted(folder, len(through), len(scenes))
    for text in dict.fromkeys(t for one in through if one.prediction for t in one.prediction.notes):
        remark(text)
    summary = _summary(folder, through, problems)
    emit(summary, "\n".join(_lines(folder, through, problems)), as_json=as_json)
    if summary["failed"]:
        raise click.exceptions.Exit(1)


def _scenes(asked: PredictAsked) -> tuple[list[Scene], list[Problem]]:
    """Sort what was named into scenes: photographs are one each, whatever their sizes."""
    from geoseg.raster.grouping import Problem, group_scenes  # noqa: PLC0415 — pixels cost imports
    from geoseg.raster.photographs import find_photographs  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    sources = asked.sources
    photographs = find_photographs(sources)
    found: list[Scene] = []
    if photographs is None:
        found, problems = group_scenes(sources, band_names=asked.band_names)
    else:
        problems = list(photographs.problems)
        for path in photographs.paths:
            try:
                found.append(Scene.open(path, band_names=asked.band_names))
            except InputError as error:
                problems.append(Problem(path, str(error)))
    scenes: list[Scene] = []
    for scene in found:
        try:
            scenes.append(scene if asked.bands is None else scene.select(asked.bands))
        except InputError as error:
            problems.append(Problem(scene.paths[0], str(error)))
    if not scenes:
        raise InputError(problems[0].reason if problems else f"{sources[0]} names no scene")
    return scenes, problems


def _models(scenes: Sequence[Scene], named: Sequence[ModelBundle | str]) -> list[ModelBundle]:
    """Load the models; where none are named, those that fit the first scene that any fit."""
    from geoseg.models.builtin import choose_models  # noqa: PLC0415

    for scene in scenes[:-1]:
        with contextlib.suppress(ModelError):
            return choose_models(named, scene)
    return choose_models(named, scenes[-1])


def _interrupted(folder: str, done: int, scenes: int) -> NoReturn:
    click.echo(
        f"\nInterrupted; {folder} has {done:,} of {scenes:,} maps; --resume goes on from there.",
        err=True,
    )
    raise click.exceptions.Exit(130)


def _summary(
    folder: str, through: Sequence[SceneMap], problems: Sequence[Problem]
) -> dict[str, object]:
    states = Counter(one.state for one in through)
    pixels: Counter[str] = Counter()
    for one in through:
        if one.prediction is not None:
            pixels.update(one.prediction.pixels)
    return {
        "output_dir": folder,
        "made": states["made"] + states["resumed"],
        "there": states["there"],
        "failed": states["failed"] + len(problems),
        "pixels": dict(pixels),
        "maps": [
            {
                "scene": one.scene,
                "state": one.state,
                "outputs": [str(path) for path in one.outputs],
                "problem": one.problem,
                "pixels": None if one.prediction is None else one.prediction.pixels,
                "hectares": None if one.prediction is None else one.prediction.hectares,
                "nodata": None if one.prediction is None else one.prediction.nodata,
                "tiles": None if one.prediction is None else one.prediction.tiles,
                "rows_from_before": None if one.prediction is None else one.prediction.taken_over,
                "seconds": None if one.prediction is None else round(one.prediction.seconds, 3),
            }
            for one in through
        ],
        "problems": [{"path": one.path, "reason": one.reason} for one in problems],
    }


_WORDS = {"made": "made", "resumed": "gone on with", "there": "was there", "failed": "failed"}


def _lines(folder: str, through: Sequence[SceneMap], problems: Sequence[Problem]) -> list[str]:
    from geoseg.assessment.text import table  # noqa: PLC0415

    rows = []
    for one in through:
        made = one.prediction
        rows.append(
            (
                one.scene,
                _WORDS[one.state],
                f"{one.pixels / 1e6:,.2f}",
                "–" if made is None else f"{made.tiles:,}",
                "–" if made is None else f"{made.seconds:,.1f}",
            )
        )
    rows += [(problem.path, "failed", "–", "–", "–") for problem in problems]
    header = ("scene", "map", "Mpx", "tiles", "seconds")
    failed = sum(row[1] == "failed" for row in rows)
    lines = [
        f"{folder}, {len(rows) - failed:,} of {len(rows):,} maps",
        *table(header, rows, right=(False, False, True, True, True)),
    ]
    lines += [f"{one.scene} failed: {one.problem}" for one in through if one.problem is not None]
    lines += [f"{problem.path} failed: {problem.reason}" for problem in problems]
    return lines
