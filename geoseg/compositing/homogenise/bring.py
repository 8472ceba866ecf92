"""Scenes that are brought to a colour that is there already, once and not twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from geoseg.compositing.homogenise.fit import recognise
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
    colour, known = recognise(standard, scene, workers=workers)
    return Brought(
        scene=scene.recoloured(colour),
        how="known" if known else "measured",
        method="what was found for it then" if known else _BY[standard.method],
    )


def advice(standard: Standard) -> str:
    """Say what it means that a scene is none of those that a colour was made from."""
    return (
        f"by {_BY[standard.method]}, which takes other ground for another colour; surer is geoseg "
        "homogenise of all images together (--method overlap or histogram)"
    )


def strange(names: Sequence[str], standard: Standard) -> list[str]:
    """Say of scenes that had to be measured what that means.

    Parameters
    ----------
    names
        Of the scenes; may be none.
    standard
        The colour that they were brought to. One by histograms does not know its images, so that
        nothing can be said.

    Returns
    -------
    notes
        A sentence without its full stop, or none.
    """
    if not names or not standard.images:
        return []
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    one = "one " if len(names) == 1 else ""
    return [
        f"{shown}: not {one}of the images that the colour was made from, and brought to it "
        f"{advice(standard)}"
    ]


def carries(scene: Scene, standard: Standard | None = None) -> bool:
    """Tell whether a scene's files say that they have a colour; any colour if None."""
    found = scene.tags.get(COLOUR_TAG)
    return found is not None if standard is None else found == standard.digest
