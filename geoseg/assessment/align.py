"""Labels laid on a prediction: which pixel is which."""

from __future__ import annotations

from geoseg.assessment.text import file_name
from geoseg.errors import GridError
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Scene


def lay_on(
    prediction: Scene, labels: Scene, names: tuple[str, str], *, assume_aligned: bool
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

    Returns
    -------
    The labels with the prediction's height and width, and what was done to them in words.

    Raises
    ------
    GridError
        They do not overlap, or it cannot be known whether they do.
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
        how = "taken to lie on the prediction pixel by pixel, as assumed"
        return labels, (f"{file_name(names[1])}: {how}",)
    moved = labels.on_grid(target, resampling="nearest")
    if moved.is_warped:
        how = f"resampled (nearest) from {own.describe()} to the prediction's {target.describe()}"
        return moved, (f"{file_name(names[1])}: {how}",)
    return moved, ()


def name_disagreements(own: Legend, other: Legend) -> tuple[str, ...]:
    """Say where two legends name the same id differently."""
    names = dict(zip(other.ids, other.names, strict=True))
    wrong = [
        f"{id_} is {name!r} in the prediction and {names[id_]!r} in the labels"
        for id_, name in zip(own.ids, own.names, strict=True)
        if id_ in names and names[id_].casefold() != name.casefold()
    ]
    return (f"class names differ: {'; '.join(wrong)}",) if wrong else ()
