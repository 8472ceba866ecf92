"""What a model of elsewhere does not say of itself, from a small file beside it. Imports no torch.

A model ``NAME.onnx``, ``NAME.pt``, ``NAME.pth`` or, without a card of ours, ``NAME.safetensors`` is
described by ``NAME.toml``, or ``NAME.json`` with the same entries::

    bands = ["red", "green", "blue"]   # in the order of the network's input
    mean = [123.7, 116.3, 103.5]       # of readings as they are in scenes
    std = [58.4, 57.1, 57.4]
    classes = ["other", "water"]       # ids from 0; or "1=water:#0000ff,2=forest"
    output = "logits"                  # of ONNX: or "probabilities", "sigmoid"
    network = "smp:unet/resnet34"      # of weights alone: one of geoseg's names
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from geoseg.errors import LabelError, ModelError
from geoseg.models.card import FORMAT, VERSION, ModelCard
from geoseg.raster.legend import Legend
from geoseg.raster.legend.written import parse_legend

_MOST_BYTES = 1 << 20
_ENTRIES = frozenset(
    (
        *("name", "description", "bands", "sensor", "mean", "std", "fill", "classes", "tile"),
        *("scale", "resolution", "network", "arguments", "output", "multiple"),
    )
)
_EXAMPLES = {
    "bands": 'bands = ["red", "green", …]',
    "mean": "mean = [0.0, …]",
    "std": "std = [1.0, …]",
    "classes": 'classes = ["other", "water", …]',
    "output": 'output = "probabilities" (or "logits", "sigmoid")',
    "network": 'network = "smp:unet/resnet34"',
}


def card_beside(path: Path) -> Path:
    """Return the file that describes a foreign model: ``.toml``, or ``.json`` where that is one."""
    other = path.with_suffix(".json")
    return (
        other
        if other.is_file() and not path.with_suffix(".toml").exists()
        else (path.with_suffix(".toml"))
    )


def read_beside(path: Path) -> dict[str, Any]:
    """Read what stands beside a foreign model; nothing where there is no such file.

    Raises
    ------
    ModelError
        It is no TOML or JSON, or holds something else than such entries.
    """
    place = card_beside(path)
    try:
        with place.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"{place} cannot be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise ModelError(f"{place} is too large to describe a model")
    try:
        text = content.decode("utf-8")
        held = tomllib.loads(text) if place.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "TOML" if place.suffix == ".toml" else "JSON"
        reason = (str(error).splitlines() or [""])[0][:100]
        raise ModelError(f"{place} is no {what} ({reason})") from error
    if place.suffix == ".json" and not (isinstance(held, dict) and "bands" in held):
        return {}  # a STAC item, a report: about the model, and not for us
    unknown = sorted(set(held) - _ENTRIES)
    if unknown:
        raise ModelError(
            f"{place}: {unknown[0]!r} describes no model; there are {', '.join(sorted(_ENTRIES))}"
        )
    return dict(held)


def foreign_card(
    path: Path, said: Mapping[str, Any], *, needed: Sequence[str], file_hash: str
) -> ModelCard:
    """Build the card of a foreign model.

    Parameters
    ----------
    path
        The model.
    said
        Entries from beside it, and from itself.
    needed
        Entries that it must have, besides the usual ones.
    file_hash
        Hash of the model's file.

    Raises
    ------
    ModelError
        Entries are missing, or make no sense.
    """
    wanted = ("bands", "mean", "std", "classes", *needed)
    missing = [name for name in wanted if name not in said]
    place = card_beside(path)
    if missing:
        raise ModelError(
            f"{path} does not say its {', '.join(missing)}: write into {place.name} beside it"
            f" {'; '.join(_EXAMPLES[name] for name in missing)}"
        )

    def fail(reason: str) -> NoReturn:
        raise ModelError(f"{place}: {reason}")

    try:
        legend = legend_of(said["classes"])
    except (LabelError, TypeError, ValueError) as error:
        fail(f"its classes make no sense ({error})")
    card = {
        "tile": 256,
        "scale": 1,
        "fill": 0.0,
        "sensor": None,
        "resolution": None,
        "network": "onnx",
        "arguments": {},
        "name": path.stem,
        "description": "",
        "training": {},
        "format": FORMAT,
        "version": VERSION,
        **{key: value for key, value in said.items() if key not in ("output", "multiple")},
        "classes": legend.to_json(),
    }
    return replace(ModelCard.from_json(card, source=str(place)), hash=file_hash)


def legend_of(classes: object) -> Legend:
    """Take classes as a text that `parse_legend` knows, a list of names, or objects.

    Raises
    ------
    LabelError
        They make no sense.
    """
    if isinstance(classes, str):
        # Else it would be the name of a file, which whoever made the card may not choose.
        if not re.match(r"\s*[+-]?[0-9]+\s*=", classes):
            raise LabelError("write classes out, as 1=water,2=forest")
        return parse_legend(classes)
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        return Legend.of((i, name, None, ()) for i, name in enumerate(classes))
    return Legend.from_json(classes)
