"""Whether a scene and settings fit models, and what the user should know about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geoseg.errors import BandError, OptionError
from geoseg.inference.settings import PredictSettings
from geoseg.models.card import ModelCard
from geoseg.raster.bands import said_files
from geoseg.raster.scene import Scene


def fit_scale(settings: PredictSettings, cards: Sequence[ModelCard]) -> PredictSettings:
    """Return the settings with the scale that the models learned at, where none is asked for.

    Raises
    ------
    OptionError
        They learned at different ones.
    """
    if settings.scale is not None:
        return settings
    scales = sorted({card.scale for card in cards})
    if len(scales) > 1:
        learned = " and ".join(f"1:{scale}" for scale in scales)
        raise OptionError(f"the models learned at {learned}: say at which to predict with --scale")
    return replace(settings, scale=scales[0])


def fit_bands(scene: Scene, cards: Sequence[ModelCard]) -> tuple[Scene, list[str]]:
    """Find a scene's bands for models, and say what is worth saying.

    Returns
    -------
    The scene, its bands renamed to the models' where they had no names of their own, and notes for
    the user.

    Raises
    ------
    BandError
        A band is missing, or unnamed bands are not as many as the model's.
    """
    notes: list[str] = []
    card = cards[0]
    if not scene.bands_are_named:
        if len(scene.bands) != len(card.bands):
            raise BandError(
                f"{said_files(scene.paths)}: its {len(scene.bands)} bands have no names and the"
                f" model '{card.name}' needs {len(card.bands)} ({', '.join(card.bands)});"
                " name them with --band-names"
            )
        scene = scene.renamed(card.bands)
        notes.append(
            f"the bands of {scene.name} have no names; taken in order as {', '.join(card.bands)}"
        )
    for one in cards:
        try:
            scene.select(one.bands)
        except BandError as error:
            raise BandError(
                f"{error}; the model '{one.name}' needs {', '.join(one.bands)}"
            ) from error
    if scene.photograph:
        pass  # has no place on Earth, and nobody expects one
    elif scene.grid.crs is None:
        notes.append(f"{scene.name} has no coordinate system; the map will have none either")
    elif card.resolution is not None:
        side = max(scene.grid.resolution)
        if not 2 / 3 <= side / card.resolution <= 3 / 2:
            notes.append(
                f"{scene.name} has pixels of {side:g}, the model '{card.name}' was trained on"
                f" {card.resolution:g}; expect it to do badly"
            )
    return scene, notes
