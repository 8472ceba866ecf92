"""What is asked alike of whatever passes over a scene tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, eq=False)
class TilesAsked:
    """What predictions and activation maps are both asked for, in words and paths."""

    stride: int | None = None
    """Distance between tiles, px."""
    blend: str = "hann"
    """How overlapping tiles weigh."""
    tta: bool = False
    """Whether each tile is seen in its eight symmetries."""
    min_area: str | None = None
    """Components smaller than this go to their largest neighbour."""
    homogenise: str = "model"
    """Colour that the scene is brought to."""
    bands: tuple[str, ...] | None = None
    """Bands to use."""
    band_names: tuple[str, ...] | None = None
    """What they are called where files do not say."""
    region: str | None = None
    """Where to work."""
    batch_size: int | None = None
    """Tiles computed together at most."""
    precision: str = "auto"
    """In which numbers."""
    device: str = "auto"
    """Where the network runs."""
    overwrite: bool = False
    """Whether files may be replaced."""
    spelled: Callable[[str], str] = str
    """How a field is called where it was asked for."""
