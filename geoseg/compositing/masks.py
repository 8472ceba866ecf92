"""Which pixels of a date are clear, by the quality bands of its product.

Knows codes and bits; knows neither files nor grids.

Sources
-------
QA_PIXEL and QA_RADSAT: USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619) and
Landsat 4-7 (LSDS-1618). BQA: USGS, Landsat Collection 1 Level-1 Quality Assessment Band. Fmask and
cfmask: Zhu and Woodcock 2012, codes as their program writes them; python-fmask writes others. SCL:
ESA, Sentinel-2 Level-2A scene classification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

__all__ = ["CLASSES", "CONFIDENCES", "KINDS", "ClearRule", "band_of", "clear", "dilated", "flagged"]

Mask = NDArray[np.bool_]
Codes = Mapping[str, NDArray[Any]]

CLASSES: Final = (
    "water",
    "snow",
    "cirrus",
    "dilated",
    "shadow",
    "cloud",
    "dark",
    "unclassified",
    "saturated",
    "occluded",
)
"""What a pixel that is not simply clear may be. "dilated" is the rim of clouds that Landsat marks,
"dark" and "unclassified" are SCL's, "occluded" is what a mountain hides from the sensor."""

CONFIDENCES: Final = ("medium", "high")
"""How sure a product is, as it says in two bits: 2, 3. (Low, 1, is what clear pixels are given.)"""


@dataclass(frozen=True, kw_only=True)
class ClearRule:
    """What counts as clear, besides what every product calls so."""

    keep: frozenset[str] = frozenset({"water"})
    """Of `CLASSES`: what to use though it is not clear land."""
    confidence: str = "high"
    """Of `CONFIDENCES`: from where on the two bits of a confidence count. What has a bit of its own
    (cloud, in QA_PIXEL also shadow, snow and cirrus) counts by that bit too."""
    dilate: int = 0
    """Pixels by which what is masked grows to all sides, corners included. Fill does not grow."""

    def __post_init__(self) -> None:
        for name in sorted(self.keep):
            if name not in CLASSES:
                raise OptionError(
                    f"cannot keep “{name}”, which no quality band knows; there are: "
                    f"{', '.join(CLASSES)}"
                )
        if self.confidence not in CONFIDENCES:
            raise OptionError(
                f"confidence “{self.confidence}” is not known; there are: {', '.join(CONFIDENCES)}"
            )
        if self.dilate < 0:
            raise OptionError(f"what is masked cannot grow by {self.dilate} pixels; give 0 or more")

    @classmethod
    def from_text(cls, keep: str, *, dilate: int = 0, confidence: str = "high") -> ClearRule:
        """Rule from what a user writes: names between commas, "none" or nothing for none.

        Raises
        ------
        OptionError
            A name is not of `CLASSES`, or a number or confidence makes no sense.
        """
        names = {word.strip().casefold() for word in keep.split(",")} - {"", "none"}
        return cls(keep=frozenset(names), dilate=dilate, confidence=confidence)

    @property
    def reach(self) -> int:
        """Rows and columns around a window that decide what is clear in it."""
        return self.dilate


def clear(kind: str, codes: Codes, rule: ClearRule, valid: Mask | None = None) -> Mask:
    """Tell which pixels are clear.

    Parameters
    ----------
    kind
        Code in which the quality bands are written, one of `KINDS`.
    codes
        Quality band ("qa_pixel", "qa_radsat", "bqa", "fmask", "scl") → (rows, cols), whole numbers
        as the product has them. For a window that is to come out as the whole would, give it with
        `rule.reach` rows and columns more on every side where the raster has them, and cut them
        off afterwards. "qa_radsat" may be left out; nothing is saturated then.
    rule
        What to keep.
    valid
        (rows, cols), True where the quality bands have a reading; everywhere by default.

    Returns
    -------
    (rows, cols), True where clear. Fill, dropped pixels and codes that mean nothing are not clear
    whatever the rule keeps.

    Raises
    ------
    OptionError
        The kind is not known, or its band is not among `codes`.
    """
    needed = band_of(kind)
    if needed not in codes:
        raise OptionError(f"quality “{kind}” needs a band “{needed}”, which the product lacks")
    bands = [name for name in _READERS[kind] if name in codes]
    state = _states(codes[needed], _table(kind, needed, rule.keep, rule.confidence))
    for name in bands[1:]:
        state |= _states(codes[name], _table(kind, name, rule.keep, rule.confidence))
    fill = (state & _FILL) != 0
    if valid is not None:
        fill |= ~valid
    masked = (state & _MASKED) != 0
    masked &= ~fill
    hidden: Mask = fill | dilated(masked, rule.dilate)
    return ~hidden


def flagged(
    kind: str, codes: Codes, rule: ClearRule, valid: Mask | None = None
) -> tuple[int, dict[str, int]]:
    """Count which flags hide pixels; parameters as of `clear`.

    Returns
    -------
    readings, flagged
        Pixels that are no fill; and by name of what the rule does not keep, how many of these are
        hidden by it. A pixel may be hidden by several; names that hide none are left out.
    """
    every = frozenset(CLASSES)
    readings = clear(kind, codes, replace(rule, keep=every, dilate=0), valid)
    counts = {}
    for name in CLASSES:
        if name not in rule.keep:
            alone = replace(rule, keep=every - {name}, dilate=0)
            hidden = readings & ~clear(kind, codes, alone, valid)
            if found := int(np.count_nonzero(hidden)):
                counts[name] = found
    return int(np.count_nonzero(readings)), counts


def dilated(mask: Mask, pixels: int) -> Mask:
    """Grow a mask by a number of pixels to all sides, corners included.

    A square of 2 × pixels + 1, row by row and then column by column; (rows, cols) in and out.
    """
    if not pixels or not mask.size:
        return mask
    down = _runs(np.pad(mask, ((pixels, pixels), (0, 0))), 2 * pixels + 1)
    return _runs(np.pad(down, ((0, 0), (pixels, pixels))).T, 2 * pixels + 1).T


def _runs(mask: Mask, length: int) -> Mask:
    """Tell of every `length` rows that follow each other whether one of them is True.

    Runs of two are joined from runs of one, of four from those, and so on.
    """
    runs, done = mask, 1
    while done < length:
        step = min(done, length - done)
        runs = np.logical_or(runs[:-step], runs[step:])
        done += step
    return runs


_MASKED, _FILL = 1, 2
"""Bits of a state; 0 is clear."""
_CODES = 1 << 16

_States = NDArray[np.uint8]


def _states(codes: NDArray[Any], table: _States) -> _States:
    """Look codes up; what is no whole number of 16 bits is fill."""
    if codes.dtype == np.int16:
        codes = codes.view(np.uint16)  # the last of 16 bits is a sign there
    if codes.dtype not in (np.uint8, np.uint16):
        inside = (codes >= 0) & (codes < _CODES) & (codes == np.floor(codes))  # nor is NaN
        codes = np.where(inside, codes, 0).astype(np.uint16)
        return np.where(inside, table[codes], np.uint8(_FILL))
    states: _States = table[codes]
    return states


@lru_cache(maxsize=32)
def _table(kind: str, band: str, keep: frozenset[str], confidence: str) -> _States:
    """Return the state of every code of 16 bits."""
    least = CONFIDENCES.index(confidence) + 2
    fill, masked = _READERS[kind][band](np.arange(_CODES), keep, least)
    return (masked * _MASKED | fill * _FILL).astype(np.uint8)


def _bit(codes: NDArray[Any], bit: int) -> Mask:
    result: Mask = (codes & (1 << bit)) != 0
    return result


def _sure(codes: NDArray[Any], low_bit: int, least: int) -> Mask:
    """Tell where the confidence in two bits is at least `least`."""
    result: Mask = ((codes >> low_bit) & 3) >= least
    return result


def _qa_pixel(codes: NDArray[Any], keep: frozenset[str], least: int) -> tuple[Mask, Mask]:
    masked = np.zeros(codes.shape, bool)
    for name, bit in (("dilated", 1), ("water", 7)):
        if name not in keep:
            masked |= _bit(codes, bit)
    for name, bit, confidence in (
        ("cirrus", 2, 14),
        ("cloud", 3, 8),
        ("shadow", 4, 10),
        ("snow", 5, 12),
    ):
        if name not in keep:
            masked |= _bit(codes, bit) | _sure(codes, confidence, least)
    return _bit(codes, 0), masked


def _qa_radsat(codes: NDArray[Any], keep: frozenset[str], _: int) -> tuple[Mask, Mask]:
    masked = np.zeros(codes.shape, bool)
    if "saturated" not in keep:
        masked |= (codes & _SATURATED) != 0
    if "occluded" not in keep:
        masked |= _bit(codes, 11)
    return _bit(codes, 9), masked  # what the sensor dropped is fill


def _bqa(codes: NDArray[Any], keep: frozenset[str], least: int) -> tuple[Mask, Mask]:
    masked = np.zeros(codes.shape, bool)
    if "occluded" not in keep:
        masked |= _bit(codes, 1)
    if "saturated" not in keep:
        masked |= _sure(codes, 2, 1)
    if "cloud" not in keep:
        masked |= _bit(codes, 4)
    for name, confidence in (("cloud", 5), ("shadow", 7), ("snow", 9), ("cirrus", 11)):
        if name not in keep:
            masked |= _sure(codes, confidence, least)
    return _bit(codes, 0), masked


def _bqa_tm(codes: NDArray[Any], keep: frozenset[str], least: int) -> tuple[Mask, Mask]:
    # Bit 1 is a pixel that the sensor dropped, which is fill.
    fill, masked = _bqa(codes, keep, least)
    return fill | _bit(codes, 1), masked


def _classified(classes: Mapping[int, str]) -> _Reader:
    """Make a reader of codes that each name a class; "" is clear land, codes not there are fill."""

    def read(codes: NDArray[Any], keep: frozenset[str], _: int) -> tuple[Mask, Mask]:
        masked = [code for code, name in classes.items() if name and name not in keep]
        return ~np.isin(codes, list(classes)), np.isin(codes, masked)

    return read


_Reader = Callable[[NDArray[Any], frozenset[str], int], tuple[Mask, Mask]]
"""Codes of one band, what to keep, the least confidence (1 to 3) → what is fill, what is masked."""

_SATURATED = 0b1_0111_1111
"""Bits of the bands in QA_RADSAT; bit 7 is unused."""

_FMASK = {0: "", 1: "water", 2: "shadow", 3: "snow", 4: "cloud"}
_PYTHON_FMASK = {1: "", 2: "cloud", 3: "shadow", 4: "snow", 5: "water"}
_SCL = {
    1: "saturated",
    2: "dark",
    3: "shadow",
    4: "",
    5: "",
    6: "water",
    7: "unclassified",
    8: "cloud",
    9: "cloud",
    10: "cirrus",
    11: "snow",
}

_READERS: dict[str, dict[str, _Reader]] = {
    "qa_pixel": {"qa_pixel": _qa_pixel, "qa_radsat": _qa_radsat},
    "bqa": {"bqa": _bqa},
    "bqa-tm": {"bqa": _bqa_tm},
    "fmask": {"fmask": _classified(_FMASK)},
    "python-fmask": {"fmask": _classified(_PYTHON_FMASK)},
    "scl": {"scl": _classified(_SCL)},
}
"""Kind → its bands, the one it needs first, and how each is read."""

KINDS: Final = tuple(_READERS)
"""Codes of quality bands. "bqa" is Landsat 8's of Collection 1 and "bqa-tm" that of Landsat 4, 5
and 7, whose bit 1 means something else; "python-fmask" numbers classes otherwise than "fmask"."""


def band_of(kind: str) -> str:
    """Return the quality band that a kind cannot do without.

    Raises
    ------
    OptionError
        The kind is not known.
    """
    if kind not in _READERS:
        raise OptionError(f"quality “{kind}” is not known; there are: {', '.join(KINDS)}")
    return next(iter(_READERS[kind]))
