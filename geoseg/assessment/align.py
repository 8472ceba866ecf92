"""Labels laid on a prediction: which pixel is which."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from geoseg.assessment.text import file_name
from geoseg.errors import BandError, GridError
from geoseg.raster.coarser import coarser
from geoseg.raster.labels.sanity import whole_factor
from geoseg.raster.legend import Legend
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.heads import expand
from geoseg.raster.pairing import file_names
from geoseg.raster.scene import Scene

Source = str | Path | Sequence[str | Path]
"""What `Scene.open` takes."""

_OF = "'s"


def names_many(source: str) -> bool:
    """Whether a source is a folder or a pattern, and so may mean many files."""
    if not is_local_file(source) or Path(source).is_file():
        return False
    return Path(source).is_dir() or glob.has_magic(source)


def open_classes(source: Source) -> tuple[Scene, str]:
    """Open a raster of one band; return it and what it is called.

    Raises
    ------
    RasterReadError
        It is not there, or no raster.
    BandError
        It has more bands than one, or is a folder of several rasters that are no single map.
    """
    name = str(source) if isinstance(source, str | Path) else None
    paths = expand([name]) if name is not None and names_many(name) else []
    try:
        scene = Scene.open(source)
    except (BandError, GridError):
        if len(paths) > 1:
            raise _several(name or "", paths) from None
        raise
    name = name or scene.name
    if len(scene.bands) != 1:
        if len(scene.paths) > 1:
            raise _several(name, scene.paths)
        raise BandError(
            f"{name} has {len(scene.bands)} bands ({', '.join(scene.band_names[:6])}), not the"
            " one of a class raster"
        )
    return scene, name


def _several(name: str, paths: Sequence[str]) -> BandError:
    return BandError(
        f"{name} is {len(paths):,} rasters ({file_names(paths, most=3)}), where one raster of"
        " classes is wanted: name one of them, or give maps and labels as folders with the same"
        " names"
    )


def lay_on(
    prediction: Scene,
    labels: Scene,
    names: tuple[str, str],
    *,
    assume_aligned: bool,
    strict: bool = False,
    whose: str = "the prediction's",
) -> tuple[Scene, tuple[str, ...]]:
    """Bring labels to a prediction's pixels.

    Parameters
    ----------
    prediction, labels
        The two scenes.
    names
        What the prediction and the labels are called.
    assume_aligned
        Where one of both has no place on Earth, take pixels of the same row and column as the same.
    strict
        Refuse labels whose pixels are not those of the prediction.
    whose
        What the grid is called that labels are brought to.

    Returns
    -------
    The labels with the prediction's height and width, and what was done to them in words.

    Raises
    ------
    GridError
        They do not overlap, or it cannot be known whether they do; or pixels differ and `strict`.
    """
    target, own = prediction.grid, labels.grid
    if own.same_pixels(target):
        return labels, ()
    one_has_crs = (target.crs is None) != (own.crs is None)
    if one_has_crs or not (target.is_georeferenced and own.is_georeferenced):
        lost = names[0] if target.crs is None and own.crs is not None else names[1]
        if not assume_aligned:
            raise GridError(
                f"{lost} has no coordinate system, so where it lies is not known: if the pixels of"
                f" {names[0]} and {names[1]} are the same ones, say --assume-aligned"
            )
        if (own.height, own.width) != (target.height, target.width):
            raise GridError(
                f"{names[1]} ({own.width} × {own.height} px) cannot be taken as aligned with"
                f" {names[0]} ({target.width} × {target.height} px): their sizes differ"
            )
        how = f"taken to lie on {whose.removesuffix(_OF)} pixel by pixel, as assumed"
        return labels, (f"{file_name(names[1])}: {how}",)
    moved = labels.on_grid(target, resampling="nearest")
    if moved.is_warped and strict:
        raise GridError(
            f"{names[1]} ({own.describe()}) does not lie on {whose} pixels ({target.describe()}):"
            " resample it first, or leave out --strict-grid"
        )
    if moved.is_warped:
        how = f"resampled (nearest) from {own.describe()} to {whose} {target.describe()}"
        return moved, (f"{file_name(names[1])}: {how}",)
    return moved, ()


def lay_together(
    prediction: Scene,
    labels: Scene,
    names: tuple[str, str],
    *,
    assume_aligned: bool,
    strict: bool = False,
) -> tuple[Scene, Scene, tuple[str, ...]]:
    """Bring labels to a prediction's pixels, or a prediction without a place to coarser labels.

    Labels are never blown up: a map of a photograph that is n times as large as its labels is
    scored at the labels' pixels, each of which is of the class of most of its n × n.

    Returns
    -------
    The prediction and the labels, of one height and width, and what was done in words.

    Raises
    ------
    GridError
        As `lay_on`.
    """
    small, said = at_scale_of(labels, prediction, names) if assume_aligned else (prediction, ())
    laid, notes = lay_on(small, labels, names, assume_aligned=assume_aligned, strict=strict)
    return small, laid, (*said, *notes)


def at_scale_of(
    labels: Scene, prediction: Scene, names: tuple[str, str]
) -> tuple[Scene, tuple[str, ...]]:
    """See a map without a place at the scale of what is n times smaller; as it is where n is 1."""
    factor = whole_factor(prediction, labels)
    placed = prediction.grid.is_georeferenced or labels.grid.is_georeferenced
    if placed or factor is None or factor < 2:
        return prediction, ()
    how = f"brought to the labels' pixels, the class of most of {factor} × {factor}"
    return coarser(prediction, factor, how="majority"), (f"{file_name(names[0])}: {how}",)


def name_disagreements(
    own: Legend, other: Legend, *, whose: tuple[str, str] = ("the prediction", "the labels")
) -> tuple[str, ...]:
    """Say where two legends name the same id differently."""
    names = dict(zip(other.ids, other.names, strict=True))
    wrong = [
        f"{id_} is {name!r} in {whose[0]} and {names[id_]!r} in {whose[1]}"
        for id_, name in zip(own.ids, own.names, strict=True)
        if id_ in names and names[id_].casefold() != name.casefold()
    ]
    return (f"class names differ: {'; '.join(wrong)}",) if wrong else ()
