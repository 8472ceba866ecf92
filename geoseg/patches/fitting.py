"""Photographs brought to the pixels of labels that are coarser.

Some data sets have labels of fewer pixels than images. Labels are never blown up, for nobody knows
what their pixels hold; images are averaged down to them (`geoseg.raster.coarser`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from geoseg.errors import GridError, InputError, LabelError
from geoseg.raster.coarser import coarser
from geoseg.raster.labels.sanity import whole_factor
from geoseg.raster.opening.heads import read_head
from geoseg.raster.pairing import pair_by_stem
from geoseg.raster.scene import Scene

Say = Callable[[str], None]


def fit_to_labels(
    scenes: Sequence[Scene], labels: Sequence[str], say: Say
) -> tuple[list[Scene], int]:
    """See photographs at the scale of their labels, the same for all.

    Parameters
    ----------
    scenes
        Photographs.
    labels
        Files of labels.
    say
        Told what was done.

    Returns
    -------
    scenes, factor
        Those whose sides are n times those of their labels at 1:n, the others as they are; and n,
        which is that of most.

    Raises
    ------
    GridError
        A scene has a place on Earth, where pixels of labels have theirs.
    LabelError
        No photograph has a label that its sides are a multiple of.
    """
    placed = next((scene for scene in scenes if not scene.photograph), None)
    if placed is not None:
        raise GridError(
            f"{placed.paths[0]}: --fit-labels is for photographs; labels of scenes with a place on"
            " Earth are brought to them by where they lie"
        )
    partners = dict(pair_by_stem([scene.paths[0] for scene in scenes], labels).pairs)
    factors = {}
    for scene in scenes:
        factor = _factor(scene, partners.get(scene.paths[0]))
        if factor is not None:
            factors[scene.paths[0]] = factor
    if not factors:
        raise LabelError(
            f"{labels[0]}: no photograph has a label of its name whose sides, times a whole number,"
            " are its own, so --fit-labels can do nothing"
        )
    n = Counter(factors.values()).most_common(1)[0][0]
    if n == 1:
        say("photographs are as large as their labels: --fit-labels changes nothing")
    else:
        say(f"photographs are brought to the pixels of their labels: means of {n} × {n} pixels")
    return [coarser(scene, n) if factors.get(scene.paths[0]) == n else scene for scene in scenes], n


def _factor(scene: Scene, label: str | None) -> int | None:
    """How many times as large a photograph is as its label; None where that is no whole number."""
    if label is None:
        return None
    try:
        return whole_factor(scene, read_head(label))
    except InputError:
        return None  # told of when labels are laid
