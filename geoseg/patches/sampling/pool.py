"""What is known of the patches that a sampler chooses from, and which of them are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError, OptionError

RESTRICTION = "--max-class-share"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Patches to choose from.

    Raises
    ------
    ValueError
        There is not one id for each class.
    """

    class_pixels: NDArray[np.int64]
    """(patches, classes): labelled pixels of each class; 1 for a class that is there and else 0
    where labels are of whole patches.
    """
    ids: tuple[int, ...]
    """Id of each class, in the order of the index; options name classes by their ids."""
    pixels: int
    """Pixels of a patch, labelled or not."""
    known: NDArray[np.bool_] | None = None
    """(patches,), where labels are of whole patches: whether anything is known of the patch, be it
    that it holds no class at all. None where labels are of pixels.
    """

    def __post_init__(self) -> None:
        if self.class_pixels.ndim != 2 or self.class_pixels.shape[1] != len(self.ids):
            raise ValueError(
                f"class_pixels {self.class_pixels.shape} has no column for each of the"
                f" {len(self.ids)} classes"
            )

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Numbers of the patches with a label, ascending."""
        has_label = self.class_pixels.any(axis=1) if self.known is None else self.known
        return np.flatnonzero(has_label).astype(np.int64)

    def check_pixels(self, what: str) -> None:
        """Check that labels are of pixels, which `what` counts.

        Raises
        ------
        OptionError
            They are of whole patches.
        """
        if self.known is not None:
            raise OptionError(
                f"{what} counts pixels of classes, and the labels of this data set are of whole"
                " patches: leave it out, or tile with --labels"
            )

    def index(self, value: object, *, option: str) -> int:
        """Return the index of the class with an id.

        Raises
        ------
        OptionError
            There is no such class; the message names `option` and the ids there are.
        """
        if isinstance(value, bool) or not isinstance(value, int) or value not in self.ids:
            have = ", ".join(map(str, self.ids))
            raise OptionError(f"{option}: {value!r} is no class id; there are: {have}")
        return self.ids.index(value)

    def indices(self, values: object, *, option: str) -> list[int]:
        """Return the indices of the classes with these ids (or this id), each once.

        Raises
        ------
        OptionError
            There is none, or one means no class.
        """
        found = values if isinstance(values, tuple | list) else (values,)
        if not found:
            raise OptionError(f"{option} names no class")
        return list(dict.fromkeys(self.index(value, option=option) for value in found))


def restrict(pool: Pool, text: str) -> NDArray[np.bool_]:
    """Tell which patches no single class of a list overwhelms.

    The alpine paper's restricted set: an image in which one of the three frequent classes covers
    more than half is left out, ``0,6,7:0.5``. The share is of all pixels of a patch, labelled or
    not; exactly the share may stay.

    Parameters
    ----------
    pool
        All patches.
    text
        Class ids with commas between them, a colon, and a share from 0 to 1. Several such
        restrictions have semicolons between them; a patch must meet them all.

    Returns
    -------
    keep
        (patches,), True for patches to keep.

    Raises
    ------
    OptionError
        The text cannot be read, names a class that is not there, or labels are of whole patches.
    DatasetError
        No labelled patch is left of those there are.
    """
    pool.check_pixels(RESTRICTION)
    keep = np.ones(len(pool.class_pixels), np.bool_)
    for piece in text.split(";"):
        classes, share = _restriction(pool, piece, text)
        # In whole numbers: a share such as 0.3 has no exact float.
        most = share.numerator * pool.pixels // share.denominator
        keep &= (pool.class_pixels[:, classes] <= most).all(axis=1)
    if pool.class_pixels.any() and not pool.class_pixels[keep].any():
        raise DatasetError(
            f'{RESTRICTION} "{text}" leaves no labelled training patch: use a larger share'
        )
    return keep


def _restriction(pool: Pool, piece: str, text: str) -> tuple[Sequence[int], Fraction]:
    ids, colon, share_text = piece.partition(":")
    wrong = OptionError(
        f'{RESTRICTION} "{text}": give class ids and the share that one of them may cover, from 0'
        ' to 1, such as "0,6,7:0.5"'
    )
    try:
        share = Fraction(share_text.strip())
        values = [int(word) for word in ids.split(",")]
    except (ValueError, ZeroDivisionError):
        raise wrong from None
    if not colon or not 0 <= share <= 1:
        raise wrong
    return pool.indices(values, option=RESTRICTION), share
