"""How a scene is predicted, as one value that is checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import OptionError
from geoseg.inference.blend import BLEND_NAMES
from geoseg.raster.grid import Grid

DEFAULT_TILE = 288
"""Side of a tile in pixels, unless asked otherwise."""


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """How a scene is predicted; what cannot change the result is not among it."""

    tile: int = DEFAULT_TILE
    """Side of a tile, in pixels of the scene that the network sees."""
    stride: int | None = None
    """Distance between tiles in pixels; half a tile if None."""
    blend: str = "hann"
    """Weights of a tile's pixels, see `geoseg.inference.blend.axis_weights`."""
    tta: bool = False
    """Whether each tile is predicted in its eight symmetries."""
    scale: int | None = None
    """n to predict at 1:n and bring the probabilities back up; None for what the models learned
    at.
    """
    min_area: int = 0
    """Connected components of fewer pixels are given to their largest neighbour; 0 leaves all."""
    min_area_given: str | None = None
    """How a person gave that as ground ("0.5ha"), for outputs to tell; None if in pixels."""
    batch: int | None = None
    """Tiles computed together at most: halved where memory does not suffice. If None, one on the
    processor; on a card what half of its free memory takes, 32 of 288 pixels at most."""
    precision: str = "auto"
    """``float32``, ``bfloat16``, or ``auto``: bfloat16 on a card that has it."""
    compile: bool = False
    """Whether torch's compiler makes networks faster: minutes of work before the first tile."""
    homogenise: str = "model"
    """Colour that the scene is brought to: ``model`` for that which the models learned in, if there
    is one, ``none``, or the file of a colour that `geoseg homogenise` saved."""

    def __post_init__(self) -> None:
        if self.tile < 1:
            raise OptionError(f"a tile of {self.tile} pixels has no meaning; give 1 or more")
        if not 1 <= self.steps <= self.tile:
            raise OptionError(
                f"a stride of {self.steps} does not go with tiles of {self.tile} pixels;"
                f" give 1 to {self.tile}"
            )
        if self.blend not in BLEND_NAMES:
            raise OptionError(f"unknown blend '{self.blend}'; there are {', '.join(BLEND_NAMES)}")
        if self.scale is not None and self.scale < 1:
            raise OptionError(f"a scale of 1:{self.scale} has no meaning; give 1:1, 1:2, 1:4 …")
        if self.batch is not None and self.batch < 1:
            raise OptionError(f"a batch of {self.batch} tiles has no meaning; give 1 or more")

    @property
    def steps(self) -> int:
        """The stride, with its default."""
        return max(1, self.tile // 2) if self.stride is None else self.stride

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        return {
            "tile": self.tile,
            "stride": self.steps,
            "blend": self.blend,
            "tta": self.tta,
            "scale": f"1:{self.scale or 1}",
            "min-area": self.min_area_given or f"{self.min_area}px",
            "precision": self.precision,
            **colour_words(self.homogenise),
        }


def colour_words(homogenise: str) -> dict[str, str]:
    """Return the option that says what colour a scene is brought to; none where it is usual."""
    return {} if homogenise == "model" else {"homogenise": Path(homogenise).name}


def asked_area(text: str | None, grid: Grid) -> dict[str, Any]:
    """Return an area as settings have it, ``min_area`` and ``min_area_given``; see `parse_area`."""
    if text is None:
        return {}
    ground = compact_area(text)
    in_pixels = not ground.endswith(("ha", "m2"))
    return {
        "min_area": parse_area(text, grid),
        "min_area_given": None if in_pixels else ground,
    }


def meant_area(min_area: int, given: str | None) -> dict[str, int]:
    """Return what ground meant in pixels, for the options that an output tells; else nothing."""
    return {} if given is None else {"min-area-pixels": min_area}


def compact_area(text: str) -> str:
    """Write an area without spaces, in small letters."""
    return text.strip().lower().replace(" ", "").replace("²", "2")


def parse_area(text: str, grid: Grid) -> int:
    """Turn an area such as ``3500px``, ``0.5ha`` or ``450m2`` into a number of pixels, rounded up.

    Raises
    ------
    OptionError
        No such area.
    GridError
        Pixels have no area on Earth.
    """
    compact = compact_area(text)
    units = {"px": None, "ha": 1e4, "m2": 1.0}
    unit = compact[-2:] if compact[-2:] in units else ""
    square_metres = units.get(unit)
    try:
        value = float(compact.removesuffix(unit))
    except ValueError:
        value = -1.0
    # Half a pixel is a forgotten unit: taken as one pixel, it would remove nothing without a word.
    whole = square_metres is not None or value.is_integer()
    if not 0 <= value < 2**53 or not whole:
        raise OptionError(f"'{text}' is no area; write 3500px, 0.5ha or 450m2")
    if square_metres is not None:
        value = value * square_metres / grid.pixel_area_m2()
    return math.ceil(round(value, 6))
