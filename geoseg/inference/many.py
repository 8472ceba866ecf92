"""Many scenes, each to a map of its own, by models that are made ready once."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from geoseg.errors import ClusterError, GeosegError, OptionError, OutputError
from geoseg.inference.engines import Engine, OnMachines, OnOne, make_engine
from geoseg.inference.fit import fit_scale
from geoseg.inference.networks import Networks
from geoseg.inference.outputs import Outputs
from geoseg.inference.predict import Prediction, predict
from geoseg.inference.settings import PredictSettings, asked_area
from geoseg.inference.source import KnownArea
from geoseg.inference.unfinished import check_leftover, remove_kept
from geoseg.models.bundle import ModelBundle
from geoseg.raster.elsewhere import absolute, as_worker_says
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.checks import check_folder_place, refuse_inputs
from geoseg.raster.outputs.seen import Mark, marked
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.scene import Scene

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster
    from geoseg.cluster.worker import Kept

SCENES_A_WORKER = 2
"""With as many scenes for each worker, each is given whole ones; with fewer, blocks of rows."""


@dataclass(frozen=True, kw_only=True)
class SceneMap:
    """What came of one scene."""

    scene: str
    """Its name."""
    outputs: tuple[Path, ...]
    """Rasters that are there now, the class raster first; none where it failed."""
    prediction: Prediction | None = None
    """What was done; None where it failed."""
    problem: str | None = None
    """Why it failed."""
    pixels: int = 0
    """Pixels of the scene."""

    @property
    def state(self) -> Literal["made", "resumed", "there", "failed"]:
        """How the map came about; it was ``there`` where an earlier run had made it."""
        if self.prediction is None:
            return "failed"
        if self.prediction.whole:
            return "there"
        return "resumed" if self.prediction.taken_over else "made"


def outputs_of(
    scenes: Sequence[Scene],
    folder: str | Path,
    *,
    probabilities: str | Path | None = None,
    confidence: str | Path | None = None,
) -> list[Outputs]:
    """Name the outputs of scenes: ``NAME.tif`` in a folder for each kind.

    Raises
    ------
    OptionError
        Two scenes would have outputs of the same name, upper and lower case being the same.
    """
    taken: dict[str, Scene] = {}
    for scene in scenes:
        other = taken.setdefault(scene.name.casefold(), scene)
        if other is not scene:
            raise OptionError(
                f"{other.paths[0]} and {scene.paths[0]} would both be"
                f" {Path(folder) / scene.name}.tif; predict them into two folders"
            )
    return [
        Outputs(
            classes=Path(folder) / name,
            probabilities=None if probabilities is None else Path(probabilities) / name,
            confidence=None if confidence is None else Path(confidence) / name,
        )
        for name in (f"{scene.name}.tif" for scene in scenes)
    ]


def check_many(
    scenes: Sequence[Scene], outputs: Sequence[Outputs], *, overwrite: bool, resume: bool
) -> None:
    """Refuse what cannot be written, before any work is done; make the folders.

    Raises
    ------
    OptionError
        Two outputs are one file.
    OutputError
        Some are there already, are read as well, or cannot be written.
    """
    every = [path for one in outputs for path in one.paths]
    folders = list(dict.fromkeys(path.parent for path in every))
    for folder in folders:
        if not folder.is_dir():
            check_folder_place(folder)
    refuse_inputs(every, [file for scene in scenes for file in scene.files])
    there = sum(path.exists() for path in every)
    if there and not (overwrite or resume):
        raise OutputError(
            f"{there:,} of the outputs in {', '.join(map(str, folders))} are there already; go on"
            " with --resume, or replace them with --overwrite"
        )
    for folder in folders:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise output_error(error, folder) from error
    for one in outputs:
        one.check(overwrite=overwrite or resume)
        check_leftover(one.paths, resume=resume, overwrite=overwrite)


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What is asked of every scene."""

    models: tuple[ModelBundle, ...]
    settings: PredictSettings
    min_area: str | None
    region: str | None
    overwrite: bool
    resume: bool

    def area_on(self, grid: Grid) -> KnownArea | None:
        """Say where a map is wanted on a scene's grid."""
        if self.region is None:
            return None
        from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports geopandas

        return read_region(self.region, grid)

    def one_map(
        self,
        scene: Scene,
        output: Outputs,
        *,
        area: Callable[[], KnownArea | None],
        engine: Engine,
        workers: int,
        progress: Callable[[int], None],
    ) -> SceneMap:
        """Predict a scene; that it fails is told in what comes back.

        Raises
        ------
        OptionError
            What is asked makes no sense, of any scene.
        ClusterError
            There is nobody left to compute.
        """
        settings = self.settings
        done = SceneMap(scene=scene.name, outputs=(), pixels=scene.grid.height * scene.grid.width)
        try:
            settings = replace(settings, **asked_area(self.min_area, scene.grid))
            made = predict(
                scene,
                output.classes,
                models=self.models,
                engine=engine,
                settings=settings,
                probabilities=output.probabilities,
                confidence=output.confidence,
                area=area(),
                area_name=self.region,
                workers=workers,
                overwrite=self.overwrite,
                keep=True,
                resume=self.resume,
                progress=progress,
            )
            return replace(done, outputs=made.outputs, prediction=made)
        except (OptionError, ClusterError):
            raise  # the same for all of them
        except GeosegError as error:
            return replace(done, problem=str(error))
        finally:
            scene.close()


def predict_many(
    scenes: Sequence[Scene],
    outputs: Sequence[Outputs],
    *,
    models: Sequence[ModelBundle],
    settings: PredictSettings,
    min_area: str | None = None,
    region: str | None = None,
    device: str = "auto",
    workers: int = 4,
    cluster: Cluster | None = None,
    by_scene: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
    told: Callable[[SceneMap], None] | None = None,
) -> list[SceneMap]:
    """Predict scenes; one that fails does not keep the others from it.

    One after the other; with a cluster and at least `SCENES_A_WORKER` of them for each of its
    workers, as many at a time as there are workers.

    Parameters
    ----------
    scenes, outputs
        What to predict, and where to; see `outputs_of` and `check_many`.
    models, device, workers, overwrite
        As for `geoseg.inference.predict.predict`.
    settings
        Of all of them, but for the area of small components.
    min_area
        That area, as text: what it is in pixels depends on the scene.
    region
        Where maps are wanted, as text: a vector file, or corners in the scene's coordinates.
    cluster
        Where to compute; here if None. `device` is each worker's then, and workers read the scenes
        and, where they are given whole ones, write their maps where this machine has them.
    by_scene
        Whether other machines may see the folders of the outputs, and so be given whole scenes.
    resume
        Leave maps that are whole and made of the same as they are, and go on with what was stopped.
    progress
        Called with numbers of finished pixels.
    told
        Called with each scene that is through.

    Raises
    ------
    ModelError, OptionError
        The models do not go together, or a setting makes no sense.
    ClusterError
        The cluster's workers are gone.
    """
    wish = _Wish(
        models=tuple(models),
        settings=fit_scale(settings, [bundle.card for bundle in models]),
        min_area=min_area,
        region=region,
        overwrite=overwrite,
        resume=resume,
    )
    count = progress or _nothing
    found: list[SceneMap] = []
    with closing(make_engine(models, wish.settings, device=device, cluster=cluster)) as engine:
        if (
            isinstance(engine, OnMachines)
            and (by_scene or engine.cluster.is_local)
            and len(scenes) >= SCENES_A_WORKER * engine.cluster.at_once
        ):
            maps = _by_scene(engine, wish, scenes, outputs, workers, count)
        else:
            maps = _in_turn(engine, wish, scenes, outputs, workers, count)
        with closing(maps):
            for done in maps:
                found.append(done)
                if told is not None:
                    told(done)
    return found


def _nothing(_pixels: int) -> None:
    """Report to nobody."""


def _in_turn(
    engine: Engine,
    wish: _Wish,
    scenes: Sequence[Scene],
    outputs: Sequence[Outputs],
    workers: int,
    progress: Callable[[int], None],
) -> Generator[SceneMap, None, None]:
    """Predict one scene after the other."""
    finished = 0

    def count(pixels: int) -> None:
        nonlocal finished
        finished += pixels
        progress(pixels)

    for scene, output in zip(scenes, outputs, strict=True):
        finished = 0
        area = partial(wish.area_on, scene.grid)
        done = wish.one_map(
            scene, output, area=area, engine=engine, workers=workers, progress=count
        )
        if done.problem is not None:
            progress(done.pixels - finished)
        yield done


# -- whole scenes to workers -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _SceneWork:
    """What is the same for all scenes."""

    wish: _Wish
    """Without its models, which `networks` has."""
    networks: Kept[Networks]
    mark: Mark
    """What lies in the folders of the outputs."""


@dataclass(frozen=True, kw_only=True)
class _SceneItem:
    """A scene for a worker; all files by their full paths."""

    scene: Scene
    output: Outputs
    area: KnownArea | None = None
    problem: GeosegError | None = None
    """Why there is no area."""

    def known_area(self) -> KnownArea | None:
        """Return the area; it was read where its file is known to be."""
        if self.problem is not None:
            raise self.problem
        return self.area


def _by_scene(
    engine: OnMachines,
    wish: _Wish,
    scenes: Sequence[Scene],
    outputs: Sequence[Outputs],
    workers: int,
    progress: Callable[[int], None],
) -> Generator[SceneMap, None, None]:
    """Have each worker predict whole scenes and write their maps; blocks where it cannot write."""
    if wish.overwrite and not wish.resume:
        remove_kept([path for output in outputs for path in output.paths])
    # A scene whose worker is lost is gone on with by another, where that one stopped.
    wish = replace(wish, resume=True)
    colour = wish.settings.homogenise
    if colour not in ("model", "none"):
        colour = str(Path(colour).absolute())
    elsewhere = replace(wish, models=(), settings=replace(wish.settings, homogenise=colour))

    def items() -> Generator[_SceneItem, None, None]:
        for scene, output in zip(scenes, outputs, strict=True):
            item = _SceneItem(scene=absolute(scene), output=output.absolute())
            try:
                item = replace(item, area=wish.area_on(scene.grid))
            except GeosegError as error:
                item = replace(item, problem=error)
            scene.close()
            yield item

    with ExitStack() as stack:
        mark = stack.enter_context(marked(path.parent for one in outputs for path in one.paths))
        work = _SceneWork(wish=elsewhere, networks=engine.networks, mark=mark)
        maps = stack.enter_context(closing(engine.cluster.ordered(_scene_map, work, items())))
        for done, scene, output in zip(maps, scenes, outputs, strict=True):
            if done is None:
                yield from _in_turn(engine, wish, [scene], [output], workers, progress)
                continue
            progress(done.pixels)
            if done.prediction is None:
                yield done
            else:
                made = replace(done.prediction, outputs=output.paths)
                yield replace(done, outputs=output.paths, prediction=made)


def _scene_map(shared: _SceneWork, item: _SceneItem) -> SceneMap | None:
    """Predict a scene in a worker; None where that does not see the folders of the outputs."""
    from geoseg.cluster.worker import task_threads  # noqa: PLC0415 — imports dask

    if not shared.mark.is_seen():
        return None
    networks = shared.networks.get()
    done = replace(shared.wish, models=networks.models).one_map(
        item.scene,
        item.output,
        area=item.known_area,
        engine=OnOne(networks.ready()),
        workers=task_threads(),
        progress=_nothing,
    )
    if done.problem is None or item.problem is not None:
        return done
    unseen = not all(map(os.path.exists, item.scene.files))
    return replace(done, problem=as_worker_says(done.problem, unseen=unseen))
