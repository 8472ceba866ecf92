"""The main path from end to end on a made scene, in one folder that explains itself.

Every step is done by the function that its command calls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from geoseg.assessment.evaluate import compare
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.report import summary, text, write_json
from geoseg.assessment.text import pairs
from geoseg.errors import OutputError
from geoseg.inference.predict import Prediction, predict
from geoseg.inference.settings import PredictSettings, parse_area
from geoseg.models.builtin import choose_models
from geoseg.models.card import ModelCard
from geoseg.patches.tile import tile
from geoseg.raster.outputs.checks import check_folder_place
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.scene import Scene
from geoseg.testing.scenes import made_scene

_HEIGHT, _WIDTH = 1400, 1000
_MIN_AREA = "1ha"
_PATCH = 128
_SPACE = 250_000_000  # bytes, temporary files included

README = "README.txt"
"""Explains the folder, and marks it as one that the demo made."""
_TITLE = "Made by `geoseg demo`"
_LAYERS = (
    ("scene.tif", "what a satellite would see: blue, green, red, near infrared"),
    ("map.tif", "the prediction: a class for every valid pixel"),
    ("labels.tif", "the truth, in the same classes"),
    ("confidence.tif", "how sure the model is of the class it chose, 0 to 1"),
    ("probabilities.tif", "how probable each class is: one band a class"),
    ("patches/index.gpkg", "where the patches to train on lie, and what is in each"),
)
_OTHERS = (
    ("patches/", "the patches as arrays, and dataset.json with their statistics"),
    ("evaluation.json", "the scores below, the confusion and more, for programs"),
    (README, "this text"),
)
_COMMANDS = f"""\
  geoseg info scene.tif
  geoseg predict scene.tif --min-area {_MIN_AREA} -o my-map.tif
  geoseg evaluate my-map.tif labels.tif
  geoseg tile scene.tif --labels labels.tif --size {_PATCH} -o my-patches
  geoseg train my-patches -o my-model.safetensors"""


class Counter(Protocol):
    """What a step reports to."""

    def update(self, n: int, /) -> None:
        """Count `n` more pixels as done."""


Step = Callable[[str, int], AbstractContextManager[Counter]]
"""Called at the beginning of a step with what it does and how many pixels it will count."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo made."""

    folder: Path
    """Where everything is."""
    model: ModelCard
    """What predicted."""
    prediction: Prediction
    """What the prediction did."""
    evaluation: Evaluation
    """The map against the labels."""
    patches: dict[str, int]
    """Number of patches of each split."""
    seconds: float
    """Wall time."""

    @property
    def text(self) -> str:
        """Everything in words."""
        layers = [(f"{n}  {name}", what) for n, (name, what) in enumerate(_LAYERS, start=1)]
        return "\n".join(
            [
                "Drag these into QGIS in this order; names and colours are there at once:",
                *pairs(layers),
                "",
                "Beside them:",
                *pairs([(f"   {name}", what) for name, what in _OTHERS]),
                "",
                f"The scene is made up, and the model ({self.model.name}) never saw it. So the",
                "scores below show what an evaluation looks like, and not how good the model is",
                "on a real scene.",
                "",
                text(self.evaluation),
                "",
                "The same by hand, inside the folder:",
                _COMMANDS,
            ]
        )

    def summary(self) -> dict[str, Any]:
        """Everything as plain JSON objects."""
        return {
            "folder": str(self.folder),
            "files": dict((*_LAYERS, *_OTHERS)),
            "model": {"name": self.model.name, "hash": self.model.hash},
            "pixels": self.prediction.pixels,
            "nodata": self.prediction.nodata,
            "patches": self.patches,
            "evaluation": summary(self.evaluation),
            "seconds": round(self.seconds, 3),
        }


def make_demo(
    folder: str | Path,
    *,
    step: Step,
    seed: int = 0,
    device: str = "auto",
    workers: int = 4,
    overwrite: bool = False,
) -> Demo:
    """Make a scene, predict, cut and evaluate it.

    Parameters
    ----------
    folder
        Folder to make. Nothing is there until all of it is.
    step
        Told of each step; its context manager is what the step counts its pixels with.
    seed
        Decides the scene.
    device, workers
        See `geoseg.inference.predict.predict`.
    overwrite
        Whether a folder that the demo made before may be replaced.

    Raises
    ------
    OutputError
        The folder is there already, holds something else, or cannot be written.
    ModelError
        There is no model, or it does not fit the scene.
    """
    target = check_folder(folder, overwrite=overwrite)
    began = time.perf_counter()
    with TemporaryFolder(target) as hidden:
        hidden.need_space(_SPACE)
        made = hidden.path / "demo"
        try:
            made.mkdir()
            demo = _fill(made, step, seed=seed, device=device, workers=workers)
            demo = replace(demo, folder=target, seconds=time.perf_counter() - began)
            readme = f"{_TITLE}\n\n{demo.text}\n"
            (made / README).write_text(readme, encoding="utf-8", newline="\n")
            check_folder(target, overwrite=overwrite)  # one may have appeared meanwhile
            hidden.publish_folder(made)
        except OSError as error:
            raise output_error(error, target) from error
    return demo


def _fill(folder: Path, step: Step, *, seed: int, device: str, workers: int) -> Demo:
    """Make everything but the text."""
    area = _HEIGHT * _WIDTH
    scene_file, labels, output = (folder / f"{n}.tif" for n in ("scene", "labels", "map"))
    with step("making a scene", area) as counter:
        made_scene(
            scene_file,
            height=_HEIGHT,
            width=_WIDTH,
            seed=seed,
            labels=labels,
            workers=workers,
            progress=counter.update,
        )
    with step("predicting it", area) as counter, Scene.open(scene_file) as scene:
        models = choose_models([], scene)
        prediction = predict(
            scene,
            output,
            models=models,
            settings=PredictSettings(min_area=parse_area(_MIN_AREA, scene.grid)),
            probabilities=folder / "probabilities.tif",
            confidence=folder / "confidence.tif",
            device=device,
            workers=workers,
            progress=counter.update,
        )
    with step("cutting it into patches", area) as counter:
        patches = tile(
            scene_file,
            folder / "patches",
            labels=labels,
            size=_PATCH,
            seed=seed,
            workers=workers,
            progress=counter.update,
        )
    with step("evaluating the map", area) as counter:
        # Its files are still in the hidden folder; what is written down has their names alone.
        comparison = replace(compare(output, labels), names=(output.name, labels.name))
        evaluation = comparison.run(workers=workers, progress=counter.update)
        write_json(evaluation, folder / "evaluation.json")
    return Demo(
        folder=folder,
        model=models[0].card,
        prediction=prediction,
        evaluation=evaluation,
        patches=dict(patches.summary["patches"]),
        seconds=0.0,
    )


def check_folder(folder: str | Path, *, overwrite: bool) -> Path:
    """Tell early whether the demo can be put into a folder of that name.

    Returns
    -------
    the folder.

    Raises
    ------
    OutputError
        It is there already and `overwrite` is False, or was not made by the demo; or the folder
        that it would be in is missing or not writable.
    """
    target = Path(folder)
    if target.name == "..":
        raise OutputError(f"{folder} names no folder to make")
    check_folder_place(target)
    if os.path.lexists(target):
        if not any(target.iterdir()):
            return target
        if not _is_ours(target):
            raise OutputError(
                f"{target} holds something else than a demo, so it is not replaced; choose another"
                " name"
            )
        if not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
    return target


def _is_ours(folder: Path) -> bool:
    try:
        with (folder / README).open(encoding="utf-8", errors="replace") as file:
            return file.readline().strip() == _TITLE
    except OSError:
        return False
