"""Scenes that are brought to a colour that is there already, once and not twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geoseg.compositing.homogenise.fit import fit_image
from geoseg.compositing.homogenise.standard import COLOUR_TAG, Standard
from geoseg.raster.scene import Scene

How = Literal["already", "known", "measured"]

_BY = {"moments": "mean and deviation", "histogram": "histogram", "overlap": "mean and deviation"}


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A scene in another colour."""

    scene: Scene
    """The same bands of it, in the colour asked for."""
    how: How
    """Whether its files have that colour already, it is one of those that the colour was made from,
    or what it needs was measured."""
    method: str
    """What brought it there, in words."""


def bring(scene: Scene, standard: Standard, *, workers: int = 4) -> Brought:
    """Bring a scene to a colour, unless its files say that they have it already.

    Parameters
    ----------
    scene
        Of the standard's bands, in their order, on its own grid.
    standard
        The colour.
    workers
        Threads that read; they do not change the result.

    Raises
    ------
    RasterReadError
        The scene cannot be read.
    BandError
        The standard has no band of a name that the scene has.
    ColourError
        Scene and colour are so far apart that no number says what is between them. (A scene without
        a valid pixel is left as it is.)
    OptionError
        The scene would have too many cells to adjust it locally.
    """
    if carries(scene, standard):
        return Brought(scene=scene, how="already", method="nothing")
    known = standard.line(scene.fingerprint()) is not None
    return Brought(
        scene=scene.recoloured(fit_image(standard, scene, workers=workers)),
        how="known" if known else "measured",
        method="what was found for it then" if known else _BY[standard.method],
    )


def carries(scene: Scene, standard: Standard | None = None) -> bool:
    """Tell whether a scene's files say that they have a colour; any colour if None."""
    found = scene.tags.get(COLOUR_TAG)
    return found is not None if standard is None else found == standard.digest
