"""What an ONNX file is for: our own card, or what others wrote into it and beside it. No torch."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.errors import ModelError
from geoseg.models.card import ModelCard
from geoseg.models.foreign import foreign_card, read_beside
from geoseg.models.onnx.feeding import ANSWERS, Feeding
from geoseg.models.onnx.reading import OnnxFile

CARD_KEY, FEEDING_KEY = "geoseg", "geoseg_input"
_BYTE = 255.0
_MULTIPLE = 32
_LONGEST = 100_000


def card_of_onnx(file: OnnxFile, path: Path) -> tuple[ModelCard, Feeding]:
    """Return a file's card, with its hash, and how it is fed.

    A file without a card of ours is described by what Deepness, a plugin of QGIS, reads from it,
    and by the file beside it (`geoseg.models.foreign`), which has the last word.

    Raises
    ------
    ModelError
        It does not say what it needs, or what it says makes no sense or does not fit its graph.
    """
    if CARD_KEY in file.metadata:
        obj = _json(file.metadata[CARD_KEY], path)
        card = ModelCard.from_json(obj, source=str(path), file_hash=file.hash)
        given = _json(file.metadata.get(FEEDING_KEY, ""), path)
        how = Feeding.from_json(given, len(card.bands), str(path))
    else:
        said = _deepness(file, path) | read_beside(path)
        said.pop("network", None)
        card = foreign_card(path, said, needed=("output",), file_hash=file.hash)
        answer, multiple = said["output"], said.get("multiple", _MULTIPLE)
        if answer not in ANSWERS:
            raise ModelError(f"{path}: its output is {', '.join(ANSWERS)}, not {answer!r}")
        if type(multiple) is not int or not 1 <= multiple <= 4096:
            raise ModelError(f"{path}: its 'multiple' is no whole number from 1 to 4096")
        how = Feeding(answer=answer, multiple=multiple)
        fixed = [side for side in file.shape[2:] if side is not None]
        card = replace(card, tile=min(fixed)) if fixed else card
    _check_fit(file, card, how, path)
    return card, how


def _check_fit(file: OnnxFile, card: ModelCard, how: Feeding, path: Path) -> None:
    """Refuse a card of other bands or classes than the graph's."""
    if file.shape[1] not in (None, len(card.bands)):
        raise ModelError(
            f"{path} takes {file.shape[1]} channels, and its card names {len(card.bands)} bands"
            f" ({', '.join(card.bands)})"
        )
    if file.shape[0] not in (None, 1):
        raise ModelError(f"{path} takes {file.shape[0]} images at once; export it for one, or any")
    if file.dtype not in ("float32", "float16", "float64"):
        raise ModelError(f"{path} takes numbers of the type {file.dtype}; geoseg feeds floats")
    answers = 1 if how.answer == "sigmoid" else card.classes
    if how.answer == "sigmoid" and card.classes != 2:
        raise ModelError(f"{path}: one probability a pixel tells two classes, not {card.classes}")
    if file.channels not in (None, answers):
        raise ModelError(
            f"{path} answers {file.channels} numbers a pixel, and its card names {card.classes}"
            " classes"
        )


def _deepness(file: OnnxFile, path: Path) -> dict[str, Any]:
    """Return entries of a card from the keys that Deepness reads, as far as they are there."""
    held: dict[str, Any] = {}
    for key in (
        *("model_type", "class_names", "names", "resolution", "tile_size"),
        *("standardization_mean", "standardization_std"),
    ):
        if key in file.metadata:
            held[key] = _loose(file.metadata[key])
    if not held:
        return {}
    kind = held.get("model_type", "Segmentor")
    if str(kind).casefold() != "segmentor":
        raise ModelError(f"{path} is a {kind}, and gives no class to every pixel")
    said: dict[str, Any] = {}
    names = held.get("class_names", held.get("names"))
    if isinstance(names, dict):
        pairs = sorted((_whole(key), str(name)) for key, name in names.items())
        said["classes"] = [name for _, name in pairs]
    if "standardization_mean" in held or "standardization_std" in held or names is not None:
        count = file.shape[1] or 0
        mean = _numbers(held.get("standardization_mean"), [0.0] * count)
        std = _numbers(held.get("standardization_std"), [1.0] * count)
        said["mean"], said["std"] = ([value * _BYTE for value in v] for v in (mean, std))
    resolution, tile = held.get("resolution"), held.get("tile_size")
    if isinstance(resolution, int | float) and 0 < resolution < 1e300:
        said["resolution"] = resolution / 100
    if type(tile) is int and tile > 0:
        said["tile"] = tile
    said["output"] = "sigmoid" if file.channels == 1 else "probabilities"
    return said


def _numbers(value: object, default: list[float]) -> list[float]:
    if (
        isinstance(value, list)
        and value
        and all(type(v) in (int, float) and abs(v) < 1e300 for v in value)
    ):
        return [float(v) for v in value]
    return default


def _whole(key: object) -> int:
    try:
        return int(str(key))
    except ValueError:
        return -1


def _loose(text: str) -> object:
    """Read a value that is JSON or, as some write it, a literal of Python; None for neither."""
    if len(text) > _LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _json(text: str, path: Path) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: its card is no JSON") from error
