"""What a model file says about itself, read without torch.

A model is one safetensors file (`geoseg.models.header`). Its header may hold texts under
``__metadata__``; under the key ``geoseg`` stands the card, as JSON. Reading it runs nothing and
allocates no more than the header.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

from geoseg.compositing.homogenise.standard import Standard
from geoseg.errors import ColourError, LabelError, ModelError
from geoseg.models.addressed import here
from geoseg.models.combination import check_combination
from geoseg.models.header import parse_json, read_header, unreadable
from geoseg.raster.legend import Legend

METADATA_KEY = "geoseg"
"""Key of the card in the metadata of the safetensors header."""
FORMAT = "geoseg-model"
VERSION = 1
_MOST_BANDS = 4096
_MOST_TILE = 65_536


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything about a model but its weights."""

    name: str
    """What people call it."""
    network: str
    """Name in the registry of networks."""
    arguments: Mapping[str, Any]
    """Options of the network, beyond the numbers of bands and classes."""
    bands: tuple[str, ...]
    """Bands in the order of the network's input."""
    sensor: str | None = None
    """Sensor or product that the bands come from, where known."""
    mean: tuple[float, ...]
    """Per band, subtracted from the readings; in units of the readings."""
    std: tuple[float, ...]
    """Per band, what the difference is divided by; never 0."""
    fill: float
    """Reading that stands in for an invalid one, before normalisation; in units of the readings."""
    legend: Legend
    """Classes in the order of the network's output."""
    tile: int
    """Side in pixels of what it was trained on, cropped and downscaled."""
    scale: int = 1
    """n where it was trained at 1:n of the resolution of the scenes, and wants to predict so."""
    resolution: float | None = None
    """Side of a pixel of the scenes that it was trained on, in units of the coordinate system
    (mostly metres).
    """
    training: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained: options, seed, hash of the data, scores, versions."""
    description: str = ""
    """For people: what it is good for and what not."""
    combination: Mapping[str, Any] | None = None
    """How activation maps become classes, fitted on labelled pixels; of image-level networks. See
    `geoseg.models.combination.check_combination`.
    """
    colour: Standard | None = None
    """Colour that its scenes were brought to, and that any other scene is brought to first; of its
    bands, in their order. None where they were taken as they are."""
    hash: str = ""
    """BLAKE2b (16 bytes, hexadecimal) of the model file's bytes; empty before it is written."""

    @property
    def classes(self) -> int:
        """Number of classes, that is, of the network's outputs."""
        return len(self.legend)

    def to_json(self) -> dict[str, Any]:
        """Return the card as JSON objects, without the hash, which no file can hold of itself."""
        card = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "network": self.network,
            "arguments": dict(self.arguments),
            "bands": list(self.bands),
            "sensor": self.sensor,
            "mean": list(self.mean),
            "std": list(self.std),
            "fill": self.fill,
            "classes": self.legend.to_json(),
            "tile": self.tile,
            "scale": self.scale,
            "resolution": self.resolution,
            "training": dict(self.training),
            "description": self.description,
        }
        # Files of models without them stay as they were.
        if self.combination is not None:
            card["combination"] = dict(self.combination)
        if self.colour is not None:
            card["colour"] = self.colour.to_json()
        return card

    @classmethod
    def from_json(
        cls, obj: object, *, source: str = "the model's card", file_hash: str = ""
    ) -> ModelCard:
        """Build a card from JSON objects, checking every entry.

        Parameters
        ----------
        obj
            What `to_json` gives.
        source
            How to call it in messages.
        file_hash
            Hash of the file that it came from.

        Raises
        ------
        ModelError
            An entry is missing or makes no sense.
        """
        read = _Reader(obj, source)
        if read.text("format") != FORMAT:
            read.fail(f"its format is {read.text('format')!r}, not {FORMAT!r}")
        version = read.whole("version", 1, 1_000_000)
        if version > VERSION:
            raise ModelError(
                f"{source} has version {version} of the model format, and this geoseg reads up to"
                f" {VERSION}: update geoseg"
            )
        bands = tuple(read.texts("bands"))
        if not 1 <= len(bands) <= _MOST_BANDS or len(set(bands)) < len(bands):
            read.fail("its bands are none, too many, or named twice")
        mean, std = read.numbers("mean", len(bands)), read.numbers("std", len(bands))
        if min(std) <= 0:
            read.fail("a standard deviation is not above 0")
        try:
            legend = Legend.from_json(read.entry("classes"))
        except (LabelError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{source} cannot be used: its classes make no sense ({error})"
            ) from error
        if len(legend) == 0:
            read.fail("it has no classes")
        fitted = read.entry("combination") if "combination" in read.keys else None
        return cls(
            name=read.text("name"),
            network=read.text("network"),
            arguments=read.mapping("arguments"),
            bands=bands,
            sensor=None if read.entry("sensor") is None else read.text("sensor"),
            mean=mean,
            std=std,
            fill=read.number("fill"),
            legend=legend,
            tile=read.whole("tile", 1, _MOST_TILE),
            # Files of before there were scales have none.
            scale=read.whole("scale", 1, _MOST_TILE) if "scale" in read.keys else 1,
            resolution=None if read.entry("resolution") is None else read.number("resolution"),
            training=read.mapping("training"),
            description=read.text("description"),
            combination=(
                None if fitted is None else check_combination(fitted, len(legend), source=source)
            ),
            colour=_colour(read, bands, source),
            hash=file_hash,
        )


def _colour(read: _Reader, bands: tuple[str, ...], source: str) -> Standard | None:
    """Take the colour out of a card; files of before there were colours have none."""
    if "colour" not in read.keys or read.entry("colour") is None:
        return None
    try:
        colour = Standard.from_json(
            read.entry("colour"), source=f"{source}: its colour", advice="train the model again"
        )
    except ColourError as error:
        raise ModelError(str(error)) from error
    return colour if colour.names == bands else read.fail("its colour is of other bands")


class _Reader:
    """Takes entries out of untrusted JSON, each with a check of its type."""

    def __init__(self, obj: object, source: str) -> None:
        self._source = source
        if not isinstance(obj, dict):
            self.fail("it is no JSON object")
        self._obj = obj

    @property
    def keys(self) -> Set[str]:
        return self._obj.keys()

    def fail(self, reason: str) -> NoReturn:
        raise ModelError(f"{self._source} cannot be used: {reason}")

    def entry(self, key: str) -> object:
        if key not in self._obj:
            self.fail(f"{key!r} is missing")
        value: object = self._obj[key]
        return value

    def text(self, key: str) -> str:
        value = self.entry(key)
        return value if isinstance(value, str) else self.fail(f"{key!r} is no text")

    def texts(self, key: str) -> list[str]:
        value = self.entry(key)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.fail(f"{key!r} is no list of texts")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.entry(key)
        return value if isinstance(value, dict) else self.fail(f"{key!r} is no JSON object")

    def number(self, key: str) -> float:
        return self._finite(self.entry(key), key)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        value = self.entry(key)
        if not isinstance(value, list) or len(value) != count:
            self.fail(f"{key!r} does not hold one number a band")
        return tuple(self._finite(v, key) for v in value)

    def whole(self, key: str, low: int, high: int) -> int:
        value = self.entry(key)
        if type(value) is not int or not low <= value <= high:
            self.fail(f"{key!r} is no whole number from {low} to {high}")
        return value

    def _finite(self, value: object, key: str) -> float:
        # A whole number in JSON may be too long for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            self.fail(f"{key!r} is no finite number")
        return float(value)


def read_card(path: str | Path) -> ModelCard:
    """Read a model file's card, and hash the file.

    Raises
    ------
    ModelError
        The file is missing, is a pickle or something else than a model of geoseg, or is damaged.
    """
    with here(path) as file:
        return card_of_header(read_header(file), file)


def card_of_header(header: Mapping[str, Any], path: str | Path) -> ModelCard:
    """Build the card from a header that `read_header` gave, and hash the file.

    Raises
    ------
    ModelError
        There is no card in it, or a damaged one.
    """
    metadata = header.get("__metadata__")
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelError(
            f"{path} holds weights but no card of geoseg: it does not say which network and bands"
            " they are for"
        )
    obj = parse_json(text, path, "the card")
    card = ModelCard.from_json(obj, source=str(path))
    return replace(card, hash=hash_file(path))


def hash_file(path: str | Path) -> str:
    """Return BLAKE2b (16 bytes, hexadecimal) of a file's bytes.

    Raises
    ------
    ModelError
        The file cannot be read.
    """
    digest = blake2b(digest_size=16)
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()
