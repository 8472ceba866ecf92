"""How a scene's activation maps are made and turned into weak labels, as values checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from geoseg.errors import OptionError
from geoseg.inference.cam.place import UPSAMPLINGS
from geoseg.inference.settings import PredictSettings, colour_words

Combine = Literal["argmax", "zscore", "median", "logistic"]
"""Names of the ways from maps to classes, see `geoseg.inference.cam.combine`."""

COMBINES: tuple[str, ...] = get_args(Combine)

_MOST_SCALES = 8
_LEAST_SCALE, _LARGEST_SCALE = 0.25, 4.0


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """How activation maps are made; what cannot change the result is not among it."""

    tile: int
    """Side of a tile in pixels of the scene that the network sees: as it learned, usually."""
    stride: int | None = None
    """Distance between tiles in pixels, a tile for patches side by side; None for `stepping` by the
    stride of the network."""
    blend: str = "hann"
    """Weights of a tile's pixels, see `geoseg.inference.blend.axis_weights`."""
    upsampling: str = "bilinear"
    """See `geoseg.inference.cam.place`."""
    bias: bool = False
    """Whether the dense layer's bias is added to the maps."""
    tta: bool = False
    """Whether each tile is seen in its eight symmetries."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes at which each tile is seen, 2 for twice as large."""
    reduce: int = 1
    """n where the model learned at 1:n of the resolution of its scenes."""
    batch: int | None = None
    """Tiles computed together; by device if None."""
    precision: str = "auto"
    """``float32``, ``bfloat16``, or ``auto``: bfloat16 on a card that has it."""
    homogenise: str = "model"
    """Colour that the scene is brought to, see `geoseg.inference.settings.PredictSettings`."""

    def __post_init__(self) -> None:
        if self.upsampling not in UPSAMPLINGS:
            raise OptionError(
                f"unknown upsampling '{self.upsampling}'; there are {', '.join(UPSAMPLINGS)}"
            )
        if not 1 <= len(self.scales) <= _MOST_SCALES or not all(
            math.isfinite(s) and _LEAST_SCALE <= s <= _LARGEST_SCALE for s in self.scales
        ):
            raise OptionError(
                f"scales are one to {_MOST_SCALES} numbers from {_LEAST_SCALE:g} to"
                f" {_LARGEST_SCALE:g}, such as 1,1.5"
            )
        if self.upsampling == "repeat" and self.scales != (1.0,):
            raise OptionError("--upsampling repeat and --scales do not go together")
        self.tiling()

    def stepping(self, by: int) -> MapSettings:
        """Return the settings with a distance between tiles: about half a tile, unless given.

        Parameters
        ----------
        by
            The distance is a multiple of it: the stride of a network, so that the feature maps of
            all tiles lie on one lattice, and what tiles say of a pixel differs by their margins
            alone.
        """
        if self.stride is not None:
            return self
        return replace(self, stride=max(1, self.tile // 2 // by * by or self.tile // 2))

    def tiling(self) -> PredictSettings:
        """Return the part of the settings that prediction has as well, checked."""
        return PredictSettings(
            tile=self.tile,
            stride=self.stride,
            blend=self.blend,
            scale=self.reduce,
            batch=self.batch,
            precision=self.precision,
        )

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        return {
            "tile": self.tile,
            "stride": self.tiling().steps,
            "blend": self.blend,
            "upsampling": self.upsampling,
            "bias": self.bias,
            "tta": self.tta,
            "scales": ",".join(f"{s:g}" for s in self.scales),
            "precision": self.precision,
            **colour_words(self.homogenise),
        }


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """How weak labels are made of activation maps."""

    combine: Combine = "argmax"
    """See `geoseg.inference.cam.combine`."""
    refine: bool = False
    """Whether maps are smoothed along what looks alike, see `geoseg.inference.cam.refine`."""
    patches: int = 500
    """Labelled patches that ``logistic`` is fitted on."""
    seed: int = 0
    """Chooses those patches."""
    min_area: int = 0
    """Connected components of fewer pixels are given to their largest neighbour; 0 leaves all."""
    min_area_given: str | None = None
    """How a person gave that as ground ("0.5ha"), for outputs to tell; None if in pixels."""

    def __post_init__(self) -> None:
        if self.combine not in COMBINES:
            known = ", ".join(COMBINES)
            raise OptionError(f"unknown --combine '{self.combine}'; there are {known}")
        if self.patches < 1:
            raise OptionError("--patches must be at least 1")
        if self.seed < 0:
            raise OptionError("--seed must not be negative")

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        return {
            "combine": self.combine,
            "refine": self.refine,
            "min-area": self.min_area_given or f"{self.min_area}px",
        }
