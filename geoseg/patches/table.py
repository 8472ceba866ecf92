"""The patches of one scene: where they lie, what is in them, what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.patches.presence import UNKNOWN, present_in
from geoseg.patches.splits import STRADDLES
from geoseg.patches.tiling import starts
from geoseg.raster.window import Window

KEPT = ""
OUTSIDE = "outside the region"
NODATA = "too much nodata"
STRADDLE = "straddles two splits"
NO_LABEL = "no label"
FEW_LABELS = "too few labels"


@dataclass(kw_only=True)
class PatchTable:
    """One row a patch, row by row of the scene and in each row from left to right."""

    size: int
    """Rows and columns of a patch."""
    rows: list[int]
    """First rows, rising."""
    cols: list[int]
    """First columns, rising."""
    classes: int | None = None
    """Number of classes; None where pixels have no labels."""
    split: NDArray[np.int64] = field(init=False)
    """Place of the split, or `STRADDLES`."""
    expected: NDArray[np.bool_] = field(init=False)
    """Whether a look ahead expects the patch to be kept."""
    inside: NDArray[np.bool_] = field(init=False)
    """Whether the patch has a pixel inside the region."""
    valid_pixels: NDArray[np.int64] = field(init=False)
    """Valid pixels in the patch; padding is not valid."""
    class_pixels: NDArray[np.int64] = field(init=False)
    """(patches, classes): pixels of each class."""
    presence: NDArray[np.uint8] | None = None
    """(patches, classes): 1 present, 0 absent, 255 unknown, where labels are of whole patches."""
    too_few: NDArray[np.bool_] | None = None
    """With `presence`, whether labels cover less of the patch than was asked for."""
    position: NDArray[np.int64] = field(init=False)
    """Place in the arrays of its split; −1 where dropped."""
    reason: list[str] = field(init=False)
    """Why the patch was dropped; empty where it was kept."""

    def __post_init__(self) -> None:
        n = len(self)
        self.split = np.zeros(n, np.int64)
        self.expected = np.ones(n, bool)
        self.inside = np.ones(n, bool)
        self.valid_pixels = np.zeros(n, np.int64)
        self.position = np.full(n, -1, np.int64)
        self.reason = [KEPT] * n
        self.set_classes(self.classes)

    @classmethod
    def over(cls, window: Window, *, size: int, stride: int) -> PatchTable:
        """Patches over a window of a scene, the last ones flush with its border."""
        rows = [window.row + r for r in starts(window.height, size, stride)]
        cols = [window.col + c for c in starts(window.width, size, stride)]
        if len(rows) * len(cols) > 20_000_000:
            raise OptionError(
                f"a stride of {stride} gives {len(rows) * len(cols):,} patches: use a larger one"
            )
        return cls(size=size, rows=rows, cols=cols)

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def set_classes(self, classes: int | None) -> None:
        """Say how many classes there are, before anything is counted."""
        self.classes = classes
        self.class_pixels = np.zeros((len(self), classes or 0), np.int64)

    def set_presence(self, presence: NDArray[np.uint8], too_few: NDArray[np.bool_]) -> None:
        """Give whole patches their labels, before anything is counted."""
        self.presence, self.too_few = presence, too_few
        self.expected &= (presence != UNKNOWN).any(axis=1) & ~too_few

    @property
    def pixels(self) -> int:
        """Pixels of a patch."""
        return self.size * self.size

    @property
    def nodata(self) -> NDArray[np.float64]:
        """Share of each patch's pixels (and so of its readings) that is invalid."""
        return 1 - self.valid_pixels / self.pixels

    def presence_of(self, share: float) -> NDArray[np.uint8]:
        """(patches, classes) as in `presence`; of labelled pixels, by the share to exceed."""
        if self.presence is not None:
            return self.presence
        return present_in(self.class_pixels, share=share, pixels=self.pixels)

    def windows(self, inside: Window | None = None) -> NDArray[np.int64]:
        """(patches, 4): first row, first column, height, width; cut off where `inside` ends."""
        out = np.empty((len(self), 4), np.int64)
        out[:, 0] = np.repeat(self.rows, len(self.cols))
        out[:, 1] = np.tile(self.cols, len(self.rows))
        out[:, 2:] = self.size
        if inside is not None:
            out[:, 2] = np.minimum(out[:, 2], inside.row_stop - out[:, 0])
            out[:, 3] = np.minimum(out[:, 3], inside.col_stop - out[:, 1])
        return out

    def decide(self, patch: int, *, most_invalid: int, fewest_labelled: int) -> str:
        """Return why a patch is dropped, or `KEPT`, from what has been counted of it.

        Parameters
        ----------
        patch
            Its row here.
        most_invalid
            Pixels that may be invalid.
        fewest_labelled
            Pixels that must be labelled; one at least is asked for in any case.
        """
        reason = KEPT
        if not self.inside[patch]:
            reason = OUTSIDE
        elif self.pixels - int(self.valid_pixels[patch]) > most_invalid:
            reason = NODATA
        elif self.split[patch] == STRADDLES:
            reason = STRADDLE
        elif self.classes is not None:
            labelled = int(self.class_pixels[patch].sum())
            if labelled == 0:
                reason = NO_LABEL
            elif labelled < fewest_labelled:
                reason = FEW_LABELS
        elif self.presence is not None and self.too_few is not None:
            if (self.presence[patch] == UNKNOWN).all():
                reason = NO_LABEL
            elif self.too_few[patch]:
                reason = FEW_LABELS
        self.reason[patch] = reason
        return reason

    def place(
        self,
        patches: Iterable[int],
        positions: list[int],
        *,
        most_invalid: int,
        fewest_labelled: int,
    ) -> list[int]:
        """Decide about patches that have been counted, and give those that are kept their places.

        Parameters
        ----------
        patches
            Their rows here, in order.
        positions
            Where the next patch of each split goes; counted on.
        most_invalid, fewest_labelled
            As for `decide`.

        Returns
        -------
        Those that are kept.
        """
        kept = []
        for patch in patches:
            reason = self.decide(patch, most_invalid=most_invalid, fewest_labelled=fewest_labelled)
            if reason == KEPT:
                split = int(self.split[patch])
                self.position[patch] = positions[split]
                positions[split] += 1
                kept.append(patch)
        return kept

    def part(self, first: int, stop: int) -> PatchTable:
        """Return rows of patches `first` to `stop` (exclusive) by themselves, nothing counted."""
        some = slice(first * len(self.cols), stop * len(self.cols))
        out = PatchTable(
            size=self.size, rows=self.rows[first:stop], cols=self.cols, classes=self.classes
        )
        out.split, out.inside = self.split[some].copy(), self.inside[some].copy()
        if self.presence is not None and self.too_few is not None:
            out.presence, out.too_few = self.presence[some].copy(), self.too_few[some].copy()
        return out

    def withdraw(self, reason: str) -> None:
        """Drop all patches."""
        self.position[:] = -1
        self.reason = [reason] * len(self)
