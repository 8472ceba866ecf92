"""Which model to use where the user names none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from geoseg.errors import BandError, ModelError
from geoseg.models.bundle import ModelBundle
from geoseg.models.card import read_card
from geoseg.models.opening import open_model
from geoseg.raster.bands import said_files
from geoseg.raster.scene import Scene

ENVIRONMENT = "GEOSEG_MODEL"
"""Environment variable that names the model to use where none is given."""

BUILT_IN = "landsat-zion.safetensors"


def built_in_path() -> Path:
    """Path of the model that comes with the package.

    Raises
    ------
    ModelError
        It is not there (a source tree without its weights).
    """
    path = Path(str(resources.files("geoseg.models") / "weights" / BUILT_IN))
    if not path.is_file():
        raise ModelError(
            "the built-in model is missing from this installation; name one with --model FILE or in"
            f" the environment variable {ENVIRONMENT}"
        )
    return path


def choose_models(models: Sequence[ModelBundle | str | Path], scene: Scene) -> list[ModelBundle]:
    """Load the models asked for; without any, the environment's, else the built-in one.

    Those that are loaded are taken as they are.

    Raises
    ------
    ModelError
        A model cannot be loaded, or none was named and the scene lacks the bands of the built-in
        one.
    """
    chosen = list(models) or [name for name in (os.environ.get(ENVIRONMENT, ""),) if name]
    if not chosen:
        path = built_in_path()
        card = read_card(path)
        try:
            scene.select(card.bands)
        except BandError as error:
            raise ModelError(
                "no --model was given, and the built-in one needs the bands"
                f" {', '.join(card.bands)} while those of {said_files(scene.paths)} are"
                f" {', '.join(scene.band_names)};"
                " name the bands with --band-names, or make a model with `geoseg tile` and"
                " `geoseg train`"
            ) from error
        chosen = [path]
    return [one if isinstance(one, ModelBundle) else open_model(one) for one in chosen]
