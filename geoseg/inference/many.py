"""Many scenes, each to a map of its own, by models that are made ready once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from geoseg.errors import GeosegError, OptionError, OutputError
from geoseg.inference.fit import fit_scale
from geoseg.inference.members import make_ensemble
from geoseg.inference.outputs import Outputs
from geoseg.inference.predict import Prediction, predict
from geoseg.inference.settings import PredictSettings, parse_area
from geoseg.inference.unfinished import check_leftover
from geoseg.models.bundle import ModelBundle
from geoseg.models.device import resolve_device
from geoseg.raster.output import check_folder_place, output_error, refuse_inputs
from geoseg.raster.scene import Scene


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
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
    told: Callable[[SceneMap], None] | None = None,
) -> list[SceneMap]:
    """Predict scenes, one after the other; one that fails does not keep the others from it.

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
    """
    settings = fit_scale(settings, [bundle.card for bundle in models])
    ensemble = make_ensemble(
        models, device=resolve_device(device), precision=settings.precision, tta=settings.tta
    )

    def one_map(scene: Scene, output: Outputs) -> Prediction:
        area = None
        if region is not None:
            from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports geopandas

            area = read_region(region, scene.grid)
        return predict(
            scene,
            output.classes,
            models=models,
            ensemble=ensemble,
            settings=settings
            if min_area is None
            else replace(settings, min_area=parse_area(min_area, scene.grid)),
            probabilities=output.probabilities,
            confidence=output.confidence,
            area=area,
            area_name=region,
            workers=workers,
            overwrite=overwrite,
            keep=True,
            resume=resume,
            progress=count,
        )

    finished = 0

    def count(pixels: int) -> None:
        nonlocal finished
        finished += pixels
        if progress is not None:
            progress(pixels)

    found: list[SceneMap] = []
    for scene, output in zip(scenes, outputs, strict=True):
        finished, area = 0, scene.grid.height * scene.grid.width
        done = SceneMap(scene=scene.name, outputs=(), pixels=area)
        try:
            made = one_map(scene, output)
            done = replace(done, outputs=made.outputs, prediction=made)
        except OptionError:
            raise  # the same for all of them
        except GeosegError as error:
            done = replace(done, problem=str(error))
            count(area - finished)
        finally:
            scene.close()
        found.append(done)
        if told is not None:
            told(done)
    return found
