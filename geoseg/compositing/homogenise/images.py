"""What a user names, as images of the same bands, and what keeps images from one colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.compositing.homogenise.pairs import find_pairs
from geoseg.compositing.homogenise.settings import DODGE, HomogeniseSettings
from geoseg.compositing.homogenise.standard import Dodge, Standard
from geoseg.errors import BandError, GridError, OptionError, RasterReadError
from geoseg.raster.grouping import group_scenes
from geoseg.raster.opening.handles import Handles
from geoseg.raster.scene import Scene

__all__ = ["Images", "check_group", "check_placed", "dodge_of", "open_images", "unplaced"]


@dataclass(frozen=True, kw_only=True)
class Images:
    """What is to be brought to one colour."""

    scenes: tuple[Scene, ...]
    """Of the same bands, in the same order."""
    reference: Scene | None
    """The image whose colour is wanted."""
    band_names: tuple[str, ...] = ()
    """What bands are called where files do not say, as a user said."""

    @property
    def work(self) -> int:
        """Pixels that will be read and written, about."""
        everything = [*self.scenes, *([] if self.reference is None else [self.reference])]
        pairs = find_pairs([scene.grid for scene in everything])
        return 2 * sum(s.grid.window.area for s in everything) + 2 * sum(
            pair.grid.window.area for pair in pairs
        )


def open_images(
    sources: Sequence[str | Path],
    *,
    reference: str | Path | None = None,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    standard: Standard | None = None,
) -> Images:
    """Open what a user names.

    Parameters
    ----------
    sources
        Files, folders of bands, or patterns; see `geoseg.raster.grouping.group_scenes`.
    reference
        One image more.
    bands
        Which bands to use, by name and in this order; by default those of the first image, or
        those of the standard.
    band_names
        What bands are called where files do not say.
    standard
        The colour of an earlier run, if the images are to be brought to that.

    Raises
    ------
    InputError
        Something cannot be opened, or a band is missing.
    """
    found, problems = group_scenes(sources, band_names=band_names)
    if problems:
        path, reason = problems[0].path, problems[0].reason
        raise RasterReadError(reason if Path(path).name in reason else f"{path}: {reason}")
    other = None if reference is None else Scene.open(reference, band_names=band_names)
    wanted = bands if bands is not None or standard is None else standard.names
    handles = Handles()  # one for all: hundreds of images would else be open at once
    scenes = [_chosen(scene.opened_by(handles), found[0], wanted) for scene in found]
    return Images(
        scenes=tuple(scenes),
        reference=None if other is None else _chosen(other, found[0], wanted),
        band_names=tuple(band_names or ()),
    )


def _chosen(scene: Scene, first: Scene, wanted: Sequence[str] | None) -> Scene:
    """Select bands; those of the first image if it has the same in another order."""
    if wanted is None:
        same = sorted(map(str.casefold, scene.band_names))
        if same == sorted(map(str.casefold, first.band_names)):
            return scene.select(first.band_names).renamed(first.band_names)
        return scene  # the group's check says what differs
    chosen = scene.select(wanted)
    names = [
        own if name.isdecimal() else name
        for name, own in zip(wanted, chosen.band_names, strict=True)
    ]
    return chosen.renamed(names)


def dodge_of(
    *,
    on: bool,
    cell: int | None = None,
    brightness: float | None = None,
    contrast: float | None = None,
) -> Dodge | None:
    """Return the local adjustment that options ask for.

    Raises
    ------
    OptionError
        It is not asked for, and how it should be is.
    """
    if not on:
        if cell is not None or brightness is not None or contrast is not None:
            raise OptionError("--dodge-cell, -brightness and -contrast say how to --dodge: add it")
        return None
    return Dodge(
        cell=DODGE.cell if cell is None else cell,
        brightness=DODGE.brightness if brightness is None else brightness,
        contrast=DODGE.contrast if contrast is None else contrast,
    )


def check_group(scenes: Sequence[Scene]) -> None:
    """Refuse images that cannot have one colour.

    Raises
    ------
    BandError
        Their bands or types differ.
    OptionError
        There are fewer than two.
    """
    if len(scenes) < 2:
        raise OptionError(
            "one image has nothing to agree with: give several, or a --reference, or --apply the "
            "colour of an earlier run"
        )
    first = scenes[0]
    for scene in scenes[1:]:
        if [n.casefold() for n in scene.band_names] != [n.casefold() for n in first.band_names]:
            raise BandError(
                f"{scene.paths[0]} has the bands {', '.join(scene.band_names)} and "
                f"{first.paths[0]} has {', '.join(first.band_names)}: choose with --bands those "
                "that all have, or name them with --band-names"
            )
        if scene.dtype != first.dtype:
            raise BandError(
                f"{scene.paths[0]} holds {scene.dtype} and {first.paths[0]} {first.dtype}: their "
                "readings mean different things; bring them to one type and scale first"
            )


def unplaced(scenes: Sequence[Scene]) -> list[str]:
    """Say which images have no place while others have one, so that nothing can be compared.

    Returns
    -------
    notes
        A sentence without its full stop, or none.
    """
    names = [scene.name for scene in scenes if scene.grid.crs is None]
    if not names or len(names) == len(scenes):
        return []  # of photographs nobody expects it
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return [
        f"without a coordinate system, so that what is shared with other images is not known: "
        f"{shown} (gdal_edit -a_srs gives one)"
    ]


def check_placed(scenes: Sequence[Scene], settings: HomogeniseSettings) -> None:
    """Refuse images without a place where overlaps are asked for.

    Raises
    ------
    GridError
        One has no coordinate system.
    """
    if settings.method != "overlap":
        return
    for scene in scenes:
        if scene.grid.crs is None:
            raise GridError(
                f"{scene.paths[0]} has no coordinate system, so what it shares with the others is "
                "not known: give it one (gdal_edit -a_srs), or choose moments or histogram"
            )
