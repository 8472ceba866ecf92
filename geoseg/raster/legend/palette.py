"""Colours: for classes that were given none, and for continuous values. Knows no files.

Class colours must be told apart by everybody, the red-green blind included. So the distance between
two colours is here the smallest of their CIE L*a*b* distances as seen with normal vision, without
the red and without the green cones (dichromacy after Viénot, Brettel & Mollon, *Color Research &
Application* 24, 1999).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

Color = tuple[int, int, int]
"""Red, green, blue, each 0…255."""

# What words of a class's name suggest. The first of a row's colours that is still free is taken, so
# that two forests get two greens. Plurals need not be listed.
_SHADOW = "shadow shade"
_HINTS: dict[str, tuple[str, ...]] = {
    _SHADOW: ("#3d3d4d",),
    "cloud": ("#d5d0e8",),
    "snow ice glacier": ("#e6f5fb", "#b8dcec"),
    "wetland marsh swamp bog mangrove peatland": ("#3f9c9c", "#76c2b9"),
    "water river lake sea ocean pond reservoir stream": ("#1f6fd0", "#0b3f8c", "#6fb1ee"),
    "sky": ("#9fd3ff",),
    "road street pavement rail railway": ("#4d4d4d", "#7a7a7a"),
    "urban developed building settlement impervious residential city town built": (
        "#d7301f",
        "#8f1414",
    ),
    "shrub shrubland bush scrub heath": ("#a08a2b", "#6e6b1c", "#c7b15f"),
    "corn maize": ("#ffd300",),
    "soybean soy": ("#267000",),
    "sugarcane": ("#7a0177",),
    "forest tree wood woodland deciduous evergreen conifer": ("#1a7a33", "#0b4a24", "#5ba85f"),
    "grass grassland pasture meadow hay rangeland lawn herbaceous savanna": (
        "#a6d96a",
        "#7fbf3f",
        "#d3edaf",
    ),
    "crop cropland cultivated agriculture agricultural arable farmland field orchard vineyard": (
        "#f5d63d",
        "#e0a800",
        "#fbeea0",
    ),
    "barren bare rock soil sand desert gravel bedrock quarry": ("#a8937d", "#7d6c5d", "#cdbfae"),
    "background other unknown unclassified rest none": ("#bdbdbd", "#969696"),
}

# Okabe & Ito's set (jfly.uni-koeln.de/color), the usual start for colour-blind readers, without
# black.
_FIRST = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442")

# Least distances between two colours of a legend: where a colour is the one that readers expect of
# the class, and where any would do; and between one of these and one that its class is expected to
# have: the usual first blue is not that of water, but looks like it.
_EXPECTED, _APART, _ASIDE = 8.0, 15.0, 20.0


def hex_of(color: Color) -> str:
    """Write a colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def of_hex(text: str) -> Color:
    """Read #rrggbb (or #rgb); ValueError for anything else."""
    digits = text.strip().removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    if not re.fullmatch(r"[0-9a-fA-F]{6}", digits):
        raise ValueError(f"{text!r} is no colour of the form #rrggbb")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def parse_color(text: str) -> Color:
    """Read "#rrggbb", "r g b" or "r,g,b" (0…255); ValueError in words for anything else."""
    text = text.strip()
    parts = [p for p in re.split(r"[\s,;]+", text.strip("()[]")) if p]
    if len(parts) == 3 and all(re.fullmatch(r"[0-9]{1,3}", p) for p in parts):
        red, green, blue = (int(p) for p in parts)
        if max(red, green, blue) <= 255:
            return red, green, blue
    elif text.startswith("#"):
        return of_hex(text)
    raise ValueError(f"{text!r} is no colour: write #rrggbb or three numbers from 0 to 255")


def _lab(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) as three kinds of eyes see it: (n, 3) of 0…255 to (3, n, 3)."""
    c = colors / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    no_red = np.array([[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]])
    no_green = np.array([[0.2928, 0.7072, 0.0], [0.2928, 0.7072, 0.0], [-0.0223, 0.0223, 1.0]])
    seen = np.stack([linear, linear @ no_red.T, linear @ no_green.T]).clip(0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = (seen @ to_xyz.T) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    lab: NDArray[np.float64] = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab


def color_distance(one: Color, other: Color) -> float:
    """Distance (CIE76; 2 is just visible) to the eyes that tell two colours apart worst."""
    lab = _lab(np.array([one, other], dtype=np.float64))
    return float(np.sqrt(((lab[:, 0] - lab[:, 1]) ** 2).sum(axis=-1)).min())


@cache
def _candidates() -> tuple[tuple[Color, ...], NDArray[np.float64]]:
    """Colours to choose from when the named ones are used up, neither near black nor near white."""
    steps = range(20, 250, 25)
    colors = [(r, g, b) for r in steps for g in steps for b in steps if 120 <= r + g + b <= 690]
    return tuple(colors), _lab(np.array(colors, dtype=np.float64))


class _Spread:
    """Hands out colours, each as far as can be from all that are in use."""

    def __init__(self) -> None:
        self._colors, self._lab = _candidates()
        self._nearest = np.full(len(self._colors), np.inf)

    def use(self, color: Color) -> None:
        """Take note of a colour in use."""
        lab = _lab(np.array([color], dtype=np.float64))
        distance = ((self._lab - lab) ** 2).sum(axis=-1).min(axis=0)
        self._nearest = np.minimum(self._nearest, distance)

    def next(self) -> Color:
        """Return the candidate whose nearest used colour is the farthest."""
        # Equal up to rounding means the first, on every machine.
        return self._colors[int(np.argmax(np.round(self._nearest, 3)))]


def _hinted(name: str) -> tuple[str, ...]:
    """Colours that a class of this name would be expected to have, by the first word that tells."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    if any(word in _SHADOW.split() for word in words):
        return _HINTS[_SHADOW]
    for word in words:
        forms = {word, word.removesuffix("s"), word.removesuffix("es")}
        for keys, colors in _HINTS.items():
            if forms & set(keys.split()):
                return colors
    return ()


def class_colors(names: Sequence[str], given: Sequence[Color | None] | None = None) -> list[Color]:
    """Colours for classes, all different.

    Parameters
    ----------
    names
        Names of the classes. A name like "Deciduous forest" or "water" draws the colour that maps
        give it (green, blue) while that is free.
    given
        A colour for each class, or None where one is to be found. Given colours stay as they are.

    Returns
    -------
    One colour a class, in their order. The same names and colours always give the same answer.
    """
    found: list[Color | None] = list(given) if given is not None else [None] * len(names)
    used: list[Color] = []
    spread = _Spread()

    def take(place: int, color: Color) -> None:
        found[place] = color
        used.append(color)
        spread.use(color)

    def free(options: Sequence[str], distance: float) -> Color | None:
        for option in map(of_hex, options):
            if all(color_distance(option, other) >= distance for other in used):
                return option
        return None

    for place, color in enumerate(found):
        if color is not None:
            take(place, color)
    # Expected colours first, so that none is taken by a class that could have any.
    for place, name in enumerate(names):
        expected = free(_hinted(name), _EXPECTED) if found[place] is None else None
        if expected is not None:
            take(place, expected)
    kept = tuple(used)
    first = [
        color
        for color in _FIRST
        if all(color_distance(of_hex(color), other) >= _ASIDE for other in kept)
    ]
    for place in range(len(names)):
        if found[place] is None:
            take(place, free(first, _APART) or spread.next())
    return [color for color in found if color is not None]


_RAMPS: dict[str, tuple[str, ...]] = {
    # Equally spaced; viridis and magma after matplotlib (CC0), the others ours.
    "viridis": (
        "#440154",
        "#472d7b",
        "#3b528b",
        "#2c728e",
        "#21918c",
        "#28ae80",
        "#5ec962",
        "#addc30",
        "#fde725",
    ),
    "magma": (
        "#000004",
        "#1d1147",
        "#51127c",
        "#832681",
        "#b73779",
        "#e75263",
        "#fc8961",
        "#fec488",
        "#fcfdbf",
    ),
    "greys": ("#000000", "#ffffff"),
    # Uncertain stands out, certain recedes.
    "confidence": ("#b2182b", "#ef8a62", "#fddbc7", "#d1e5f0", "#67a9cf", "#2166ac"),
    "coverage": ("#ffffe5", "#d9f0a3", "#addd8e", "#78c679", "#31a354", "#006837"),
    # Diverging: its middle stands for 0 where the limits are alike. Blue and orange-red, which the
    # red-green blind tell apart, each darker the farther out.
    "activation": (
        "#08306b",
        "#2a6cb0",
        "#6aa9d6",
        "#bcd9ec",
        "#f4f4f2",
        "#fbcfa4",
        "#f39552",
        "#d0541c",
        "#8c1d0a",
    ),
}


@dataclass(frozen=True)
class Ramp:
    """Colours for the values of a continuous raster, between fixed limits."""

    name: str
    """One of `ramp_names()`, or any name where `stops` are given."""
    minimum: float
    """Value drawn in the first colour, and all below."""
    maximum: float
    """Value drawn in the last colour, and all above."""
    unit: str = ""
    """Written behind the values in the legend ("%", "m"); may be empty."""
    stops: tuple[tuple[float, Color], ...] = ()
    """Colours by their place from 0 to 1, both ends included; by default those of the name."""

    def __post_init__(self) -> None:
        if not self.stops:
            if self.name not in _RAMPS:
                raise OptionError(
                    f"no colour ramp is named {self.name!r}; there are {', '.join(_RAMPS)}"
                )
            colors = _RAMPS[self.name]
            last = len(colors) - 1
            object.__setattr__(
                self, "stops", tuple((i / last, of_hex(c)) for i, c in enumerate(colors))
            )
        places = [place for place, _ in self.stops]
        if len(places) < 2 or places[0] != 0 or places[-1] != 1 or places != sorted(set(places)):
            raise OptionError(f"the stops of ramp {self.name!r} must rise from 0 to 1")
        if not (math.isfinite(self.minimum) and math.isfinite(self.maximum)):
            raise OptionError(f"the limits of ramp {self.name!r} must be finite")
        if not self.minimum < self.maximum:
            raise OptionError(f"ramp {self.name!r}: {self.minimum} is not below {self.maximum}")

    def items(self) -> list[tuple[float, Color]]:
        """Values and their colours from minimum to maximum."""
        span = self.maximum - self.minimum
        inner = [(self.minimum + place * span, color) for place, color in self.stops[1:-1]]
        return [
            (float(self.minimum), self.stops[0][1]),
            *inner,
            (float(self.maximum), self.stops[-1][1]),
        ]

    def label(self, value: float) -> str:
        """Text of a value in the legend, with its unit."""
        return f"{value:.6g}{' ' if self.unit else ''}{self.unit}"


def ramp_names() -> tuple[str, ...]:
    """Names of the colour ramps there are."""
    return tuple(_RAMPS)
