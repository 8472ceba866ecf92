"""Scenes seen in the colour that models learned in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.compositing.homogenise.standard import Standard, read_standard
from geoseg.errors import ModelError
from geoseg.models.card import ModelCard
from geoseg.raster.scene import Scene


@dataclass(frozen=True, kw_only=True)
class WantedColour:
    """Colour that a scene is brought to before networks see it."""

    standard: Standard | None
    """None for the scene as it is."""
    whose: str
    """In notes: "the training's"."""
    path: str | None = None
    """File that it comes from; None for the models' own."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    @property
    def files(self) -> list[str]:
        """Files that were read for it."""
        return [] if self.path is None else [self.path]

    @property
    def inputs(self) -> dict[str, str]:
        """Digest by name of what was read for it."""
        if self.path is None or self.standard is None:
            return {}
        return {Path(self.path).name: self.standard.digest}


def wanted_colour(homogenise: str, cards: Sequence[ModelCard]) -> WantedColour:
    """Find the colour that was asked for.

    Parameters
    ----------
    homogenise
        ``model`` for that which the models learned in, ``none``, or a file.
    cards
        Of the models.

    Raises
    ------
    ModelError
        The models learned in different colours, or some in one and some in none.
    ColourError
        The file holds no colour.
    """
    if homogenise not in ("model", "none"):
        standard = read_standard(homogenise)
        return WantedColour(standard=standard, whose=Path(homogenise).name, path=homogenise)
    coloured = [card for card in cards if card.colour is not None]
    if homogenise == "none":
        notes = tuple(
            f"the model '{card.name}' learned from homogenised scenes, and this one is taken as it"
            " is; expect it to do worse"
            for card in coloured[:1]
        )
        return WantedColour(standard=None, whose="", notes=notes)
    if not coloured:
        return WantedColour(standard=None, whose="")
    other = next((card for card in cards if not _same(card.colour, coloured[0].colour)), None)
    if other is not None:
        one = coloured[0].name
        raise ModelError(
            f"the models '{one}' and '{other.name}' cannot be averaged: "
            + (
                f"'{one}' learned from homogenised scenes, '{other.name}' from scenes as they are"
                if other.colour is None
                else "they learned from scenes of different colours"
            )
            + "; say with --homogenise what scenes are brought to"
        )
    return WantedColour(standard=coloured[0].colour, whose="the training")


def _same(one: Standard | None, other: Standard | None) -> bool:
    """Tell whether two colours are the same, of the same bands in any order."""
    if one is None or other is None:
        return one is other
    names = [name.casefold() for name in other.names]
    if sorted(name.casefold() for name in one.names) != sorted(names):
        return False
    taken = one.select(other.names).renamed(other.names)
    return (taken.bands, taken.images, taken.digest) == (other.bands, other.images, other.digest)


def in_colour(
    scene: Scene, wanted: WantedColour, cards: Sequence[ModelCard], *, workers: int
) -> tuple[Scene, tuple[str, ...]]:
    """Bring a scene to a colour; what it needs is measured over all of it, whatever is predicted.

    Parameters
    ----------
    scene
        With the bands of the models.
    wanted
        Of `wanted_colour`.
    cards
        Of the models.
    workers
        Threads that read; they do not change the result.

    Returns
    -------
    The scene, of the models' bands alone where its colour changes, and notes for the user.

    Raises
    ------
    BandError
        The colour is of other bands.
    ColourError
        None can be found for the scene.
    RasterReadError
        The scene cannot be read.
    """
    if wanted.standard is None:
        return scene, wanted.notes
    # Imported here: most models have no colour, and it brings numba's loops.
    from geoseg.compositing.homogenise.bring import advice, bring  # noqa: PLC0415

    names = list({name.casefold(): name for card in cards for name in card.bands}.values())
    chosen = scene.select(names).renamed(names)
    brought = bring(chosen, wanted.standard.select(names), workers=workers)
    if brought.how == "already":
        said = f"{scene.name} has the colours of {wanted.whose} already"
    else:
        said = f"colours of {scene.name} are brought to those of {wanted.whose} "
        if brought.how == "measured" and wanted.standard.images:
            said += f"{advice(wanted.standard)}; it is none of the images that they were made from"
        else:
            said += f"by {brought.method}"
    return brought.scene, (*wanted.notes, said)
