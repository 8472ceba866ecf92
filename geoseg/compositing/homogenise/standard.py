"""The colour that images are brought to, as a value and as JSON.

A standard is made from a group of images (or a reference) once and brings any other image to the
same colour: before patches are cut, and before a scene is predicted. Knows no rasters.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, get_args

from geoseg.errors import BandError, ColourError

__all__ = [
    "COLOUR_TAG",
    "SHARES",
    "SHARE_PARTS",
    "BandTarget",
    "Dodge",
    "ImageLine",
    "Method",
    "Standard",
    "read_standard",
]

FORMAT = "geoseg-colour"
VERSION = 1
Method = Literal["moments", "histogram", "overlap"]
Haze = Literal["dark-object"]
Cast = Literal["grey-world"]

_TAILS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
SHARE_PARTS = (*_TAILS, *range(256, 65536, 256), *(65536 - n for n in reversed(_TAILS)))
"""`SHARES` in parts of 65,536."""
SHARES = tuple(n / 65536 for n in SHARE_PARTS)
"""Shares of the readings at which a band's quantiles are kept, from the least to the greatest.

Every 256th, and closer together at the ends, where few readings lie far apart.
"""
COLOUR_TAG = "GEOSEG_COLOUR"
"""Metadata of rasters that were brought to a standard: its digest."""
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class BandTarget:
    """What the readings of one band are brought to; in units of the readings."""

    name: str
    """The band."""
    mean: float
    """Of the valid readings."""
    deviation: float
    """Standard deviation of the population; 0 where all are equal."""
    quantiles: tuple[float, ...]
    """At `SHARES`, not decreasing."""


@dataclass(frozen=True, kw_only=True)
class Dodge:
    """Wallis' local adjustment: brightness and contrast around each pixel.

    Wallis (1976), "An approach to the space variant restoration and enhancement of images":
    x' = (x − m) · c·s₀ / (c·s + (1 − c)·s₀) + b·m₀ + (1 − b)·m, with local mean m and deviation s,
    those of the whole image m₀ and s₀. The factor of (x − m) is 5 at most, so that calm water does
    not become noise; a band without any deviation stays.
    """

    cell: int
    """Side in pixels of the squares over which local means and deviations are taken; between their
    centres they are interpolated."""
    brightness: float
    """b, from 0 (local brightness stays) to 1 (is the same everywhere)."""
    contrast: float
    """c, from 0 to 1; at 0 the image would be flat, so it is above."""

    def __post_init__(self) -> None:
        if not 8 <= self.cell <= 65_536:
            raise ColourError(f"cells of {self.cell} px make no sense; choose 8 to 65,536")
        if not 0 <= self.brightness <= 1 or not 0 < self.contrast <= 1:
            raise ColourError(
                f"a brightness of {self.brightness:g} and a contrast of {self.contrast:g} make no "
                "sense; choose 0 to 1, contrast above 0"
            )


@dataclass(frozen=True, kw_only=True)
class ImageLine:
    """What was found for one image: reading × gain + offset, a band."""

    name: str
    """For people."""
    fingerprint: str
    """Digest of its files' contents; by it the image is known again."""
    gains: tuple[float, ...]
    """One a band, above 0."""
    offsets: tuple[float, ...]
    """One a band, in units of the readings."""
    readings: tuple[str, ...] = ()
    """Digest of what was measured of each band's readings; by them it is known again in files that
    changed: compressed otherwise, say. Empty if older versions saved it."""


@dataclass(frozen=True, kw_only=True)
class Standard:
    """One colour for many images."""

    method: Method
    """How images are brought to it: by mean and deviation, by their histograms, or by what their
    overlaps said; images without such a line then by mean and deviation."""
    bands: tuple[BandTarget, ...]
    """In order."""
    reference: str | None = None
    """Name of the image that it is the colour of; None for that of the group."""
    haze: Haze | None = None
    """What was taken off the colour: the dark object's reading (Chavez 1988)."""
    cast: Cast | None = None
    """What was balanced in the colour: bands of visible light to one mean."""
    dodge: Dodge | None = None
    """What is evened out after."""
    images: tuple[ImageLine, ...] = ()
    """Those that it was made from, where a line says all: not for histograms."""
    origin: str | None = None
    """Digest of the standard that it was, before bands were chosen or called otherwise; None if
    none were."""
    outliers: float | None = None
    """Share of each image's readings at each end of each band that are cut before all else: moved
    to the quantiles there; None where none are."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self.bands)

    @property
    def digest(self) -> str:
        """Digest of all of it; files that were brought to it carry it in their metadata.

        It stays that of the whole when bands are chosen or called otherwise.
        """
        if self.origin is not None:
            return self.origin
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def text(self) -> str:
        """What the colour is and how images come to it, in a line for people."""
        by = {"moments": "mean and deviation", "histogram": "histograms", "overlap": "overlaps"}
        whose = "that of the group" if self.reference is None else f"that of {self.reference}"
        parts = [f"{whose}, by {by[self.method]}"]
        if self.outliers is not None:
            parts.append(f"outliers cut (beyond {self.outliers:g} at each end)")
        parts += ["haze taken off (dark object)"] * (self.haze is not None)
        parts += ["cast balanced (grey world)"] * (self.cast is not None)
        parts += ["dodged"] * (self.dodge is not None)
        if self.images:
            parts.append(f"{len(self.images):,} image{'s' if len(self.images) > 1 else ''} known")
        return ", ".join(parts)

    def line(self, fingerprint: str) -> ImageLine | None:
        """Return what was found for an image, if it is one of the group."""
        return next((i for i in self.images if i.fingerprint == fingerprint), None)

    def line_of_readings(self, readings: Sequence[str]) -> ImageLine | None:
        """Return what was found for an image of these readings; None if that differs, too."""
        found = [i for i in self.images if i.readings and i.readings == tuple(readings)]
        lines = {(line.gains, line.offsets) for line in found}
        return found[0] if len(lines) == 1 else None

    def select(self, names: Sequence[str]) -> Standard:
        """Return the standard for these bands, in this order.

        Raises
        ------
        BandError
            It has none of that name; the message lists those there are.
        """
        known = [name.casefold() for name in self.names]
        for name in names:
            if name.casefold() not in known:
                raise BandError(
                    f"the colour that images are to be brought to has no band “{name}”; there are: "
                    f"{', '.join(self.names)}"
                )
        order = [known.index(name.casefold()) for name in names]
        lines = tuple(
            replace(
                line,
                gains=tuple(line.gains[i] for i in order),
                offsets=tuple(line.offsets[i] for i in order),
                readings=tuple(line.readings[i] for i in order if line.readings),
            )
            for line in self.images
        )
        return self._derived(tuple(self.bands[i] for i in order), lines)

    def renamed(self, names: Sequence[str]) -> Standard:
        """Return the standard with its bands called otherwise, one name a band."""
        pairs = zip(self.bands, names, strict=True)
        return self._derived(tuple(replace(band, name=n) for band, n in pairs), self.images)

    def _derived(self, bands: tuple[BandTarget, ...], images: tuple[ImageLine, ...]) -> Standard:
        if bands == self.bands:
            return self
        return replace(self, bands=bands, images=images, origin=self.digest)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON objects."""
        dodge = self.dodge
        origin = {} if self.origin is None else {"origin": self.origin}
        # Where none are cut there is no entry, so that digests of older versions stay.
        outliers = {} if self.outliers is None else {"outliers": self.outliers}
        return {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "reference": self.reference,
            "haze": self.haze,
            "cast": self.cast,
            "dodge": None if dodge is None else asdict(dodge),
            "bands": [{**asdict(band), "quantiles": list(band.quantiles)} for band in self.bands],
            "images": [
                {
                    "name": line.name,
                    "fingerprint": line.fingerprint,
                    "gains": list(line.gains),
                    "offsets": list(line.offsets),
                    **({"readings": list(line.readings)} if line.readings else {}),
                }
                for line in self.images
            ],
            **outliers,
            **origin,
        }

    @classmethod
    def from_json(
        cls,
        obj: object,
        *,
        source: str = "the colour",
        advice: str = "make it again with geoseg homogenise",
    ) -> Self:
        """Build a standard from JSON objects, checking every entry.

        Parameters
        ----------
        obj
            What `to_json` gives.
        source, advice
            What messages call it, and what they say is to be done.

        Raises
        ------
        ColourError
            An entry is missing or makes no sense.
        """
        read = _Reader(source, advice)
        top = read.mapping(obj, "it")
        if top.get("format") != FORMAT:
            read.fail(f"its format is {top.get('format')!r}, not {FORMAT!r}")
        if top.get("version") != VERSION:
            read.fail(f"its version is {top.get('version')!r} and this geoseg reads {VERSION}")
        bands = tuple(read.band(entry) for entry in read.listing(top, "bands"))
        if not bands or len({band.name.casefold() for band in bands}) != len(bands):
            read.fail("its bands are none, or one is named twice")
        dodge = top.get("dodge")
        return cls(
            method=read.choice(top, "method", get_args(Method)),
            bands=bands,
            reference=read.optional_text(top, "reference"),
            haze=read.optional_choice(top, "haze", get_args(Haze)),
            cast=read.optional_choice(top, "cast", get_args(Cast)),
            dodge=None if dodge is None else read.dodge(dodge),
            images=tuple(read.line(e, len(bands)) for e in read.listing(top, "images")),
            origin=read.optional_text(top, "origin"),
            outliers=read.share(top, "outliers"),
        )


def read_standard(path: str | Path) -> Standard:
    """Read the colour that `geoseg homogenise` saved.

    Raises
    ------
    ColourError
        The file is missing, or is something else.
    """
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            raise ColourError(f"{path}: is too large for a colour that geoseg homogenise saved")
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ColourError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ColourError(f"{path}: is no JSON; give what geoseg homogenise saved") from error
    try:
        obj = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ColourError(f"{path}: is no JSON; give what geoseg homogenise saved") from error
    return Standard.from_json(obj, source=str(path))


class _Reader:
    """Takes entries out of untrusted JSON."""

    def __init__(self, source: str, advice: str) -> None:
        self._source, self._advice = source, advice

    def fail(self, reason: str) -> NoReturn:
        raise ColourError(f"{self._source} cannot be used: {reason}; {self._advice}")

    def mapping(self, obj: object, what: str) -> Mapping[str, Any]:
        return obj if isinstance(obj, dict) else self.fail(f"{what} is no JSON object")

    def listing(self, obj: Mapping[str, Any], key: str) -> list[Any]:
        value = obj.get(key)
        return value if isinstance(value, list) else self.fail(f"{key!r} is no list")

    def text(self, obj: Mapping[str, Any], key: str) -> str:
        value = obj.get(key)
        return value if isinstance(value, str) else self.fail(f"{key!r} is no text")

    def optional_text(self, obj: Mapping[str, Any], key: str) -> str | None:
        return None if obj.get(key) is None else self.text(obj, key)

    def choice(self, obj: Mapping[str, Any], key: str, known: Sequence[str]) -> Any:
        value = self.text(obj, key)
        return value if value in known else self.fail(f"{key!r} is none of {', '.join(known)}")

    def optional_choice(self, obj: Mapping[str, Any], key: str, known: Sequence[str]) -> Any:
        return None if obj.get(key) is None else self.choice(obj, key, known)

    def number(self, value: object, key: str) -> float:
        # A whole number in JSON may be too long for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            self.fail(f"{key!r} holds something else than finite numbers")
        return float(value)

    def share(self, obj: Mapping[str, Any], key: str) -> float | None:
        value = None if obj.get(key) is None else self.number(obj[key], key)
        return value if value is None or 0 < value <= 0.25 else self.fail(f"{key!r} is no share")

    def numbers(self, obj: Mapping[str, Any], key: str, count: int) -> tuple[float, ...]:
        found = tuple(self.number(value, key) for value in self.listing(obj, key))
        return found if len(found) == count else self.fail(f"{key!r} does not hold {count} numbers")

    def band(self, entry: object) -> BandTarget:
        obj = self.mapping(entry, "a band")
        quantiles = self.numbers(obj, "quantiles", len(SHARES))
        if any(b < a for a, b in pairwise(quantiles)):
            self.fail("quantiles decrease")
        deviation = self.number(obj.get("deviation"), "deviation")
        if deviation < 0:
            self.fail("a deviation is below 0")
        return BandTarget(
            name=self.text(obj, "name"),
            mean=self.number(obj.get("mean"), "mean"),
            deviation=deviation,
            quantiles=quantiles,
        )

    def dodge(self, entry: object) -> Dodge:
        obj = self.mapping(entry, "'dodge'")
        cell = self.number(obj.get("cell"), "cell")
        if not math.isfinite(cell) or cell != int(cell):
            self.fail("'cell' is no whole number")
        brightness = self.number(obj.get("brightness"), "brightness")
        contrast = self.number(obj.get("contrast"), "contrast")
        try:
            return Dodge(cell=int(cell), brightness=brightness, contrast=contrast)
        except ColourError as error:
            self.fail(str(error))

    def line(self, entry: object, bands: int) -> ImageLine:
        obj = self.mapping(entry, "an image")
        gains = self.numbers(obj, "gains", bands)
        if min(gains) <= 0:
            self.fail("a gain is not above 0")
        return ImageLine(
            name=self.text(obj, "name"),
            fingerprint=self.text(obj, "fingerprint"),
            gains=gains,
            offsets=self.numbers(obj, "offsets", bands),
            readings=self.digests(obj, "readings", bands),
        )

    def digests(self, obj: Mapping[str, Any], key: str, count: int) -> tuple[str, ...]:
        found = self.listing(obj, key) if key in obj else []
        if len(found) not in (0, count) or not all(isinstance(text, str) for text in found):
            self.fail(f"{key!r} does not hold {count} texts")
        return tuple(found)
