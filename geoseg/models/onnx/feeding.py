"""What an ONNX file is fed and what it answers, beyond what a card says. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geoseg.errors import ModelError, OptionError
from geoseg.models.card import ModelCard

INPUTS = ("normalised", "readings", "uint8")
ANSWERS = ("probabilities", "logits", "sigmoid")
_BYTE = 255.0
_SPREAD = 3.0
"""Deviations from the mean that bytes reach to, where no range is named."""


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How pixels go into a network and come out of it."""

    input: str = "normalised"
    """``normalised``: (reading − mean) / std of the card. ``readings``: as in the scene, NaN where
    invalid. ``uint8``: a byte / 255, from 0 to 1; 0 in every band is an invalid pixel."""
    low: tuple[float, ...] = ()
    """Of ``uint8``: reading that the byte 0 stands for, a band."""
    high: tuple[float, ...] = ()
    """Of ``uint8``: reading that the byte 255 stands for, a band."""
    answer: str = "probabilities"
    """``probabilities`` that sum to 1 over the classes, ``logits``, or ``sigmoid``: one channel
    with the probability of the second class of two."""
    multiple: int = 1
    """Sides of an image are continued by their edge to multiples of this."""

    def __post_init__(self) -> None:
        if self.input not in INPUTS:
            raise OptionError(f"no input is called {self.input!r}; there are {', '.join(INPUTS)}")
        if self.answer not in ANSWERS:
            raise OptionError(
                f"no output is called {self.answer!r}; there are {', '.join(ANSWERS)}"
            )
        if any(
            not -1e300 < low < high < 1e300 for low, high in zip(self.low, self.high, strict=True)
        ):
            raise OptionError("a range of readings begins where it ends, or above")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON objects."""
        held: dict[str, Any] = {"input": self.input, "answer": self.answer}
        if self.low:
            held |= {"low": list(self.low), "high": list(self.high)}
        return held

    @classmethod
    def from_json(cls, obj: object, bands: int, source: str) -> Feeding:
        """Build it from untrusted JSON.

        Raises
        ------
        ModelError
            It makes no sense.
        """
        try:
            if not isinstance(obj, Mapping):
                raise TypeError
            low, high = (tuple(map(float, obj.get(key, ()))) for key in ("low", "high"))
            made = cls(input=str(obj["input"]), answer=str(obj["answer"]), low=low, high=high)
            if len(low) != (bands if made.input == "uint8" else 0):
                raise ValueError
        except (KeyError, OverflowError, TypeError, ValueError, OptionError) as error:
            raise ModelError(f"{source} is damaged: it does not say what it is fed") from error
        return made


def feeding(card: ModelCard, kind: str, given: tuple[float, float] | None = None) -> Feeding:
    """Return how an export of a model is fed.

    Parameters
    ----------
    card
        The model's.
    kind
        One of `INPUTS`.
    given
        Of ``uint8``: readings that the bytes 0 and 255 stand for. By default 0 and 255 where the
        model learned from such small readings, else mean ± 3 deviations of each band.

    Raises
    ------
    OptionError
        A range is given for another input, or is none.
    """
    if kind != "uint8":
        if given is not None:
            raise OptionError("--range says what bytes mean: give --input uint8 too")
        return Feeding(input=kind)
    pairs = list(zip(card.mean, card.std, strict=True))
    if given is not None:
        low, high = ([value] * len(pairs) for value in given)
    elif (
        any(card.mean)
        and all(0 <= m <= _BYTE and s <= _BYTE for m, s in pairs)
        and any(m > 2 for m, _ in pairs)
    ):
        low, high = [0.0] * len(pairs), [_BYTE] * len(pairs)
    else:
        low = [m - _SPREAD * s for m, s in pairs]
        high = [m + _SPREAD * s for m, s in pairs]
    return Feeding(input=kind, low=tuple(low), high=tuple(high))
