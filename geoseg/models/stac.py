"""A model as a STAC item of the extension "Machine Learning Model" (MLM) 1.5. Imports no torch."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from geoseg.models.card import ModelCard
from geoseg.raster.legend import Legend
from geoseg.raster.legend.palette import hex_of

STAC_VERSION = "1.1.0"
MLM = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"
CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
_ALWAYS = ("1900-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
_FED = {
    "normalised": "normalised outside the model",
    "readings": "readings, normalised inside the model",
    "uint8": "bytes / 255, from 0 to 1, normalised inside the model",
}
_EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)


def model_item(
    card: ModelCard,
    *,
    href: str,
    kind: str,
    parameters: int,
    size: int,
    shape: tuple[int, int, int, int],
    fed: str = "normalised",
    answer: str = "logits",
    date: str | None = None,
) -> dict[str, Any]:
    """Return the STAC item of a model.

    Parameters
    ----------
    card
        What the model says about itself.
    href
        Where its file lies, as seen from the item.
    kind
        ``safetensors`` or ``onnx``.
    parameters, size
        Numbers among its weights, and bytes of its file.
    shape
        (batch, bands, rows, columns) of its input; −1 where it may be anything.
    fed, answer
        What the file is fed and answers, see `geoseg.models.onnx.feeding.Feeding`.
    date
        When it was made (RFC 3339), where somebody says so. Without, the item names all of time:
        the same model gives the same item on every day.

    Returns
    -------
    JSON objects. A card names no place, so the item covers the Earth.
    """
    properties: dict[str, Any] = {
        "description": card.description or f"{card.network}, {card.classes} classes",
        "datetime": date,
        "title": card.name,
        "bands": [{"name": name} for name in card.bands],
        "mlm:name": _model_name(card.name),
        "mlm:architecture": card.network,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "ONNX" if kind == "onnx" else "PyTorch",
        "mlm:memory_size": size,
        "mlm:total_parameters": parameters,
        "mlm:pretrained": True,
        "mlm:accelerator_constrained": False,
        "mlm:input": [_given(card, shape, fed)],
        "mlm:output": [_answered(card, shape, answer)],
    }
    if card.arguments:
        properties["mlm:hyperparameters"] = {
            name_of(key): value for key, value in card.arguments.items()
        }
    if date is None:
        properties["start_datetime"], properties["end_datetime"] = _ALWAYS
    media = "application/octet-stream"
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [MLM, CLASSIFICATION],
        "id": name_of(card.name),
        "geometry": polygon([[w, n] for w, n in _corners(_EVERYWHERE)]),
        "bbox": list(_EVERYWHERE),
        "properties": properties,
        "links": [],
        "assets": {
            "model": {
                "href": href,
                "type": f"{media}; application=onnx" if kind == "onnx" else media,
                "title": card.name,
                "roles": ["mlm:model", "mlm:weights", "data"],
                # STAC has bands in the properties only where an asset has some, too.
                "bands": [{"name": name} for name in card.bands],
                "mlm:artifact_type": "ONNX" if kind == "onnx" else "safetensors",
                "description": f"BLAKE2b (16 bytes) {card.hash}",
            }
        },
    }


def _given(card: ModelCard, shape: tuple[int, int, int, int], fed: str) -> dict[str, Any]:
    """Say what the model is given."""
    scaling: list[dict[str, Any]] | None = None  # in the file where it is not outside
    if fed == "normalised":
        scaling = [
            {"type": "z-score", "mean": mean, "stddev": std}
            for mean, std in zip(card.mean, card.std, strict=True)
        ]
    return {
        "name": "bands of a scene",
        "bands": [{"name": name} for name in card.bands],
        "input": {
            "shape": list(shape),
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": scaling,
        "resize_type": None,
        "description": (
            f"{_FED[fed]}; readings as scenes hold them; {card.fill:g} stands for an invalid one in"
            " every band"
        ),
        "pre_processing_function": None,
    }


def _answered(card: ModelCard, shape: tuple[int, int, int, int], answer: str) -> dict[str, Any]:
    """Say what the model answers."""
    channels = 1 if answer == "sigmoid" else card.classes
    return {
        "name": answer,
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [shape[0], channels, *shape[2:]],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "description": "class of index i is the i-th of classification:classes",
        "classification:classes": classes_of(card.legend),
        "post_processing_function": None,
    }


def classes_of(legend: Legend) -> list[dict[str, Any]]:
    """Return classes as the extension "classification" has them: names of plain letters only."""
    found: list[dict[str, Any]] = []
    taken: set[str] = set()
    for c in legend.classes:
        name = name_of(c.name) or "class"
        if name in taken:
            name = f"{name}-{c.id}"
        taken.add(name)
        found.append(
            {
                "value": c.id,
                "name": name,
                "title": c.name,
                "description": c.name,
                "color_hint": hex_of(c.color).lstrip("#").upper(),
            }
        )
    return found


def name_of(text: str) -> str:
    """Reduce a text to letters, digits, ``-`` and ``_``; never to nothing."""
    plain = (
        unicodedata.normalize("NFKD", text.replace("ß", "ss"))
        .encode("ascii", "ignore")
        .decode("ascii")
    )
    return re.sub(r"[^0-9A-Za-z_-]+", "-", plain).strip("-") or "unnamed"


def _model_name(text: str) -> str:
    """Return a name as the extension allows: a letter first, three characters or more."""
    name = name_of(text).strip("-_")
    return name if len(name) > 2 and name[0].isalpha() else f"model-{name}".rstrip("-_")


def polygon(ring: list[list[float]]) -> dict[str, Any]:
    """Return a ring of places, not closed, as GeoJSON."""
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _corners(bbox: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    west, south, east, north = bbox
    return [(west, south), (east, south), (east, north), (west, north)]
