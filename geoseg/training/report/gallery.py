"""The patches that a report shows: which ones, and as what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.legend import NODATA, Legend
from geoseg.report.numbers import count, percent
from geoseg.report.page import Block, Figure, Key, Paragraph, Strip
from geoseg.report.pictures import (
    RIGHT_COLOR,
    UNLABELLED_COLOR,
    WRONG_COLOR,
    class_picture,
    error_picture,
    rgb_picture,
    show_bands,
    stretch_limits,
)

MOST_LOOKED_AT = 256
"""Of more patches than this, as many spread evenly are looked at."""

Look = Callable[[NDArray[np.int64]], tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8]]]
"""Patch numbers (n,) to raw images (n, bands, rows, cols), truth and prediction, both (n, rows,
cols) class indices or, of image-level labels, (n, classes) 1 and 0; 255 where there is no label.
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One patch with what it is and what it was taken for."""

    image: NDArray[Any]
    """(bands, rows, cols), raw readings."""
    truth: NDArray[np.uint8]
    """(rows, cols) class index, 255 where unlabelled; of image-level labels (classes,) 1 there, 0
    not there, 255 unknown.
    """
    prediction: NDArray[np.uint8]
    """(rows, cols) class index; or (classes,) 1 said to be there, 0 not."""
    patch: int = 0
    """Its number in its split, from 0."""
    worst: bool = False
    """Whether it is shown because so much is wrong; else it is an ordinary one."""
    bands: tuple[str, ...] = ()
    """Names of the bands; may be empty."""
    fill: float | None = None
    """Reading of invalid pixels, if there can be any."""

    @property
    def labelled(self) -> int:
        """Number of labelled pixels, or of classes of which it is known whether they are there."""
        return int((self.truth != NODATA).sum())

    @property
    def wrong(self) -> int:
        """Number of these that are wrong."""
        return int(((self.truth != NODATA) & (self.truth != self.prediction)).sum())


def choose_samples(
    patches: int,
    look: Look,
    *,
    ordinary: int = 3,
    worst: int = 3,
    batch_size: int = 8,
    bands: Sequence[str] = (),
    fill: float | None = None,
) -> tuple[Sample, ...]:
    """Choose patches to show: ordinary ones and the worst.

    The worst: the patches, in their order, are cut into as many parts as are wanted, and of each
    part the patch with the most wrong pixels is taken, the first of equals. Neighbours overlap, so
    the worst three of all would often be one place three times. Ordinary: of the others, ranked by
    the share of their labelled pixels that is right, those at evenly spaced ranks (of three, the
    quartiles). Chance has no part in it. Patches without labels are never chosen, and patches
    without a wrong pixel never as a worst one.

    Parameters
    ----------
    patches
        How many there are; of more than 256, as many spread evenly are looked at.
    look
        Gives images, truth and prediction of patches by their numbers; called with a batch at a
        time, and once more with those chosen.
    ordinary, worst
        How many of each kind, at most.
    batch_size
        Patches a call of `look`.
    bands, fill
        Taken over into the samples.

    Returns
    -------
    samples
        Ordinary ones first, each kind in the order of the patches.
    """
    numbers = np.unique(
        np.linspace(0, patches - 1, min(patches, MOST_LOOKED_AT)).round().astype(np.int64)
    )
    counts = []
    for start in range(0, len(numbers), batch_size):
        _, truth, prediction = look(numbers[start : start + batch_size])
        known = truth != NODATA
        wrong_ones = known & (truth != prediction)
        counts.append(tuple(c.reshape(len(c), -1).sum(axis=1) for c in (known, wrong_ones)))
    if not counts:
        return ()
    labelled = np.concatenate([c[0] for c in counts])
    wrong = np.concatenate([c[1] for c in counts])
    bad = _worst(wrong, worst)
    plain = _ordinary(labelled, wrong, bad, ordinary)
    places = [*plain, *bad]
    if not places:
        return ()
    images, truth, prediction = look(numbers[places])
    return tuple(
        Sample(
            image=images[i],
            truth=truth[i],
            prediction=prediction[i],
            patch=int(numbers[place]),
            worst=i >= len(plain),
            bands=tuple(bands),
            fill=fill,
        )
        for i, place in enumerate(places)
    )


def _worst(wrong: NDArray[np.int64], wanted: int) -> list[int]:
    if wanted < 1:
        return []
    parts = np.array_split(np.arange(len(wrong)), wanted)
    found = [int(part[np.argmax(wrong[part])]) for part in parts if len(part)]
    return [place for place in found if wrong[place] > 0]


def _ordinary(
    labelled: NDArray[np.int64], wrong: NDArray[np.int64], bad: list[int], wanted: int
) -> list[int]:
    others = [p for p in range(len(labelled)) if labelled[p] > 0 and p not in bad]
    ranked = sorted(others, key=lambda place: (wrong[place] / labelled[place], place))
    wanted = min(wanted, len(ranked))
    ranks = [(i + 1) * (len(ranked) + 1) // (wanted + 1) - 1 for i in range(wanted)]
    return sorted(ranked[rank] for rank in ranks)


def gallery(samples: Sequence[Sample], legend: Legend) -> tuple[Block, ...]:
    """Show samples, four pictures each: image, labels, prediction, errors.

    All images are stretched between the same readings, so that they compare.
    """
    if not samples:
        return ()
    words, pictures = pictures_of(samples)
    strips = (_strip(s, legend, picture) for s, picture in zip(samples, pictures, strict=True))
    return (
        Paragraph(
            f"{words} Worst patches are those with the most wrong pixels, each from another part of"
            " the split; ordinary ones lie evenly between the best and the worst share of right"
            " pixels."
        ),
        _key(samples, legend),
        *strips,
    )


def pictures_of(samples: Sequence[Sample]) -> tuple[str, list[bytes]]:
    """Draw the images of samples, all stretched between the same readings.

    Returns
    -------
    words
        What they show.
    pictures
        A PNG each.
    """
    names = samples[0].bands or tuple(f"{i + 1}" for i in range(len(samples[0].image)))
    shown = show_bands(names)
    limits = stretch_limits([s.image for s in samples], shown, fill=samples[0].fill)
    return _bands_in_words(names, shown), [rgb_picture(s.image, shown, limits) for s in samples]


def _strip(sample: Sample, legend: Legend, picture: bytes) -> Strip:
    patch, truth, prediction = sample.patch, sample.truth, sample.prediction
    wrong = f"{count(sample.wrong)} of {count(sample.labelled)} labelled pixels are wrong"
    return Strip(
        _in_words(sample),
        (
            Figure(picture, f"Image of patch {patch}.", "image"),
            Figure(
                class_picture(truth, legend),
                f"Labels of patch {patch}: {classes_in_words(truth, legend)}.",
                "labels",
            ),
            Figure(
                class_picture(prediction, legend),
                f"Prediction for patch {patch}: {classes_in_words(prediction, legend)}.",
                "prediction",
            ),
            Figure(
                error_picture(truth, prediction), f"Errors in patch {patch}: {wrong}.", "errors"
            ),
        ),
    )


def _key(samples: Sequence[Sample], legend: Legend) -> Key:
    """Key of the classes that are seen, and of the pictures of errors."""
    seen = np.unique(
        np.concatenate([np.r_[s.truth.ravel(), s.prediction.ravel()] for s in samples])
    )
    classes = [c for i, c in enumerate(legend.classes) if i in seen]
    rest = [(RIGHT_COLOR, "right"), (WRONG_COLOR, "wrong")]
    if NODATA in seen:
        rest.append((UNLABELLED_COLOR, "not labelled"))
    return Key((*((c.color, c.name) for c in classes), *rest))


def _in_words(sample: Sample) -> str:
    kind = "one of the worst" if sample.worst else "an ordinary one"
    share = 1 - sample.wrong / sample.labelled if sample.labelled else None
    return (
        f"Patch {sample.patch}, {kind}: {percent(share)} of {count(sample.labelled)} labelled"
        " pixels right"
    )


def _bands_in_words(names: Sequence[str], shown: Sequence[int]) -> str:
    red, green, blue = (names[i] for i in shown)
    grey = len(set(shown)) == 1
    drawn = f"band {red} in grey" if grey else f"bands {red}, {green}, {blue} as red, green, blue"
    return (
        f"Images show {drawn}, stretched from the 2nd to the 98th percentile of all patches shown."
    )


def classes_in_words(values: NDArray[np.uint8], legend: Legend) -> str:
    """Say which classes cover how much, the largest first."""
    known = values[values != NODATA]
    if not known.size:
        return "no class"
    held = np.bincount(known, minlength=len(legend))
    order = sorted(range(len(legend)), key=lambda i: (-held[i], i))
    parts = [f"{legend.names[i]} {percent(held[i] / known.size)}" for i in order if held[i]]
    return ", ".join(parts[:5]) + (", …" if len(parts) > 5 else "")
