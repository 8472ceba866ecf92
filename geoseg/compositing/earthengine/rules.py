"""What counts as clear, as questions that a server can ask of quality bands; imports no client.

The questions are found by asking `geoseg.compositing.masks` about every code, so that one rule has
one meaning here and there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.masks import CLASSES, ClearRule, band_of, clear

_BITS = 16
_CODES = np.arange(1 << _BITS, dtype=np.uint16)
_CLASSES = 256
"""Codes of a classification fit into a byte."""


@dataclass(frozen=True, kw_only=True)
class BitTests:
    """Tells pixels by bits: hidden where any bit of `any_of` is set, or all of one of `all_of`."""

    any_of: int
    """Bits that hide a pixel alone."""
    all_of: tuple[int, ...] = ()
    """Groups of bits that hide a pixel together, as confidences do."""

    def matches(self, codes: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Tell which codes are hidden; any shape."""
        found: NDArray[np.bool_] = (codes & self.any_of) != 0
        for bits in self.all_of:
            found |= (codes & bits) == bits
        return found


@dataclass(frozen=True, kw_only=True)
class ClassTests:
    """Tells pixels by a classification's codes."""

    codes: tuple[int, ...]
    """Codes that do not hide a pixel; all others do."""


@dataclass(frozen=True, kw_only=True)
class BandRule:
    """What hides pixels by one quality band."""

    band: str
    """Its name in `masks`."""
    fill: BitTests | ClassTests
    """What is never clear, and does not grow."""
    masked: BitTests | ClassTests
    """What the rule hides, and what grows by its `dilate`; may cover fill too."""


def band_rules(kind: str, bands: tuple[str, ...], rule: ClearRule) -> list[BandRule]:
    """Return a rule as questions, one for each quality band.

    Parameters
    ----------
    kind
        Code of the quality bands, see `geoseg.compositing.masks.KINDS`.
    bands
        Those that there are, by their names in `masks`.
    rule
        What to keep; its `dilate` is for whoever asks the questions.
    """
    keep_all = ClearRule(keep=frozenset(CLASSES), confidence=rule.confidence)
    plain = ClearRule(keep=rule.keep, confidence=rule.confidence)
    return [
        BandRule(band=band, fill=_tests(kind, band, keep_all), masked=_tests(kind, band, plain))
        for band in bands
    ]


@lru_cache(maxsize=64)
def _tests(kind: str, band: str, rule: ClearRule) -> BitTests | ClassTests:
    if kind == "scl":
        codes = _CODES[:_CLASSES]
        return ClassTests(codes=tuple(map(int, codes[_is_clear(kind, band, rule, codes)])))
    hidden = ~_is_clear(kind, band, rule, _CODES)
    single = sum(1 << bit for bit in range(_BITS) if hidden[1 << bit])
    pairs = [3 << bit for bit in range(0, _BITS, 2)]
    together = tuple(bits for bits in pairs if not bits & single and hidden[bits])
    tests = BitTests(any_of=single, all_of=together)
    if not np.array_equal(tests.matches(_CODES), hidden):
        raise ValueError(f"{kind}: bits alone and in pairs do not say what {rule} hides")
    return tests


def _is_clear(
    kind: str, band: str, rule: ClearRule, codes: NDArray[np.uint16]
) -> NDArray[np.bool_]:
    """Ask of one band's codes what is clear, the needed band being clear itself."""
    needed = band_of(kind)
    asked: Mapping[str, NDArray[np.uint16]] = {band: codes}
    if band != needed:
        asked = {needed: np.zeros_like(codes), band: codes}
    rows = {name: one.reshape(1, -1) for name, one in asked.items()}
    return clear(kind, rows, rule).ravel()
