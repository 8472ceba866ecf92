"""Any model that predicts, by its file: ours, ONNX, or weights of elsewhere with a card beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from geoseg.errors import ModelError, OptionError
from geoseg.models.addressed import here, public
from geoseg.models.bundle import ModelBundle, load_bundle
from geoseg.models.card import METADATA_KEY, hash_file
from geoseg.models.foreign import card_beside, foreign_card, read_beside
from geoseg.models.header import read_header
from geoseg.models.onnx.cards import card_of_onnx
from geoseg.models.onnx.network import OnnxNetwork
from geoseg.models.onnx.reading import SUFFIX, read_onnx
from geoseg.models.registry import build
from geoseg.models.statefile import read_state

_WEIGHTS = (".pt", ".pth")
_HEADINGS = ("", "module.", "model.", "net.", "network.")


def open_model(path: str | Path, device: str | torch.device = "cpu") -> ModelBundle:
    """Read a model file of any kind that predicts; no code from it runs.

    Parameters
    ----------
    path
        A model of geoseg (``.safetensors``); ONNX (``.onnx``); or a state dict (``.pt``, ``.pth``,
        ``.safetensors``) of one of geoseg's networks that the file beside it names
        (`geoseg.models.foreign`). One at an address (``https://…``, ``s3://…``) is brought here
        (`geoseg.models.addressed`), and so is the file beside it.
    device
        Where its weights shall lie.

    Raises
    ------
    ModelError
        It cannot be used; the message says what is missing, and how to say it.
    """
    with here(path) as file:
        return _opened(file, device, public(path))


def _opened(path: Path, device: str | torch.device, name: str) -> ModelBundle:
    suffix = path.suffix.lower()
    if suffix == SUFFIX:
        file = read_onnx(path)
        card, how = card_of_onnx(file, path)
        return ModelBundle(OnnxNetwork(file, card, how, name=name).eval(), card)
    if suffix in _WEIGHTS and (path.exists() or card_beside(path).exists()):
        return _weights(path, device)
    if suffix == ".safetensors" and card_beside(path).suffix == ".toml" and _bare(path):
        return _weights(path, device)
    return load_bundle(path, device)


def _bare(path: Path) -> bool:
    """Tell whether a file holds weights without a card, and has one beside it."""
    if not card_beside(path).is_file():
        return False
    metadata = read_header(path).get("__metadata__")
    return not (isinstance(metadata, dict) and METADATA_KEY in metadata)


def _weights(path: Path, device: str | torch.device) -> ModelBundle:
    """Build the network that the card beside a file of weights names, with these weights."""
    card = foreign_card(path, read_beside(path), needed=("network",), file_hash=hash_file(path))
    held = read_state(path).tensors
    place = card_beside(path)
    try:
        # Without memory, until it is known that the file's weights are its.
        with torch.device("meta"):
            network = build(
                card.network, in_channels=len(card.bands), classes=card.classes, **card.arguments
            )
    except (OptionError, ModelError, TypeError) as error:
        raise ModelError(f"{place}: {error}") from error
    wanted = network.state_dict()
    found = _renamed(held, wanted)
    if found is None:
        missing = sorted(wanted.keys() - held.keys())
        raise ModelError(
            f"{path} does not fit the network {card.network} of {place.name}: of its"
            f" {len(wanted)} tensors {len(missing)} are not there by name"
            f" ({', '.join(missing[:3])} …)"
        )
    odd = next((key for key, tensor in found.items() if tensor.shape != wanted[key].shape), None)
    if odd is not None:
        raise ModelError(
            f"{path} does not fit the network {card.network} of {place.name}: {odd!r} has the shape"
            f" {list(found[odd].shape)}, not {list(wanted[odd].shape)}"
        )
    network = network.to_empty(device="cpu")
    network.load_state_dict(found)
    return ModelBundle(network.to(device).eval(), card)


def _renamed(held: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return tensors by the network's names, whatever heading they were saved under; or None."""
    for given in _HEADINGS:
        for own in _HEADINGS:
            found = {
                own + key.removeprefix(given): tensor
                for key, tensor in held.items()
                if key.startswith(given)
            }
            if found.keys() == wanted.keys():
                return found
    return None
