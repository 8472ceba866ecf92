"""One safetensors file that rebuilds a model.

Loading runs no code from it: JSON and numbers are all that it holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from geoseg.errors import ModelError, OptionError
from geoseg.models.addressed import here
from geoseg.models.card import ModelCard, card_of_header, hash_file
from geoseg.models.header import read_header
from geoseg.models.registry import build
from geoseg.models.tensorfile import read_tensors, write_tensors

_LONGEST_LIST = 5
_FLOATS = ("F16", "BF16", "F32", "F64")
_RESERVED = {"name", "in_channels", "classes"}


@dataclass
class ModelBundle:
    """A network with its weights, and the card that says what they are for."""

    network: nn.Module
    """Maps normalised float (N, bands, H, W) to logits (N, classes, H, W)."""
    card: ModelCard
    """What the file says about itself."""

    @property
    def suffix(self) -> str:
        """How files of such networks end: ``.safetensors``, or what the network itself says."""
        return str(getattr(self.network, "suffix", ".safetensors"))


def save_bundle(
    bundle: ModelBundle,
    path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    sidecars: Mapping[Path, str | bytes] = MappingProxyType({}),
    overwrite: bool = True,
) -> ModelCard:
    """Write a model as one file, whole or not at all.

    Parameters
    ----------
    bundle
        The network, on any device, and its card.
    path
        Where to write it.
    dtype
        Type in which kernels are stored, float32 by default. Vectors (biases, batch-norm
        statistics) stay float32: they weigh next to nothing, and a variance may be beyond
        float16.
    sidecars
        Texts or bytes that belong to the model, by path; they appear just before it does.
    overwrite
        Whether it may replace a file that is there.

    Returns
    -------
    card
        The card with the hash of the file written.

    Raises
    ------
    ModelError
        Weights are not finite, or not in the type asked for.
    OutputError
        The file cannot be written.
    """
    tensors = {
        key: _stored(key, value, dtype or torch.float32)
        for key, value in bundle.network.state_dict().items()
    }
    text = json.dumps(bundle.card.to_json(), allow_nan=False, ensure_ascii=False)
    write_tensors(path, tensors, text, sidecars=sidecars, overwrite=overwrite)
    return replace(bundle.card, hash=hash_file(path))


def load_bundle(path: str | Path, device: str | torch.device = "cpu") -> ModelBundle:
    """Read a model file, here or at an address; the network comes in evaluation mode, float32.

    The network is first built without memory from the card, and the tensors' names and shapes are
    compared with the file's header; only then is anything allocated.

    Raises
    ------
    ModelError
        The file is missing, damaged, a pickle, without a card, of an unknown network, or its
        weights do not fit the network or are not finite.
    """
    with here(path) as file:
        return _loaded(file, device)


def _loaded(path: Path, device: str | torch.device) -> ModelBundle:
    header = read_header(path)
    card = card_of_header(header, path)
    if not _RESERVED.isdisjoint(card.arguments):
        raise ModelError(f"{path} is damaged: bands and classes stand among the network's options")
    try:
        with torch.device("meta"), _NothingDrawn():
            network = build(
                card.network, in_channels=len(card.bands), classes=card.classes, **card.arguments
            )
    except (OptionError, ModelError) as error:
        raise ModelError(f"{path} cannot be used: {error}") from error
    expected = network.state_dict()
    _check_tensors(expected, header, path)
    tensors = read_tensors(path)
    for key, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path} is damaged: weights in {key!r} are NaN or infinite")
        if key.endswith("running_var") and bool((tensor < 0).any()):
            raise ModelError(f"{path} is damaged: variances in {key!r} are negative")
    if {key for key, _ in network.named_buffers()} <= expected.keys():
        # Not `to_empty`: where a tensor has no memory yet, that imports sympy, for a third of a
        # second.
        made = {key: torch.empty(t.shape, dtype=t.dtype) for key, t in expected.items()}
        for key, tensor in made.items():
            tensor.copy_(tensors[key])
        network.load_state_dict(made, assign=True)
    else:
        # Some of what it computed at its construction is in no file, and is computed again.
        network = network.to_empty(device="cpu")
        network.load_state_dict(tensors)
    return ModelBundle(network.to(device).eval(), card)


class _NothingDrawn(TorchFunctionMode):
    """Weights that are overwritten anyway are not drawn first.

    On tensors without memory the normal distribution imports sympy, for a third of a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = kwargs or {}
        if func is Tensor.normal_ or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _stored(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach()
    if tensor.is_floating_point():
        tensor = tensor.to(dtype if tensor.dim() > 1 else torch.float32)
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"weights in {key!r} are NaN or infinite as {tensor.dtype}: not saved")
    return tensor


def _check_tensors(
    expected: Mapping[str, Tensor], header: Mapping[str, object], path: str | Path
) -> None:
    held = {key: entry for key, entry in header.items() if key != "__metadata__"}
    missing, extra = sorted(expected.keys() - held.keys()), sorted(held.keys() - expected.keys())
    if missing or extra:
        raise ModelError(
            f"{path} does not fit its network: weights missing: {_some(missing)};"
            f" too many: {_some(extra)}"
        )
    for key, tensor in expected.items():
        entry = held[key]
        shape, dtype = (
            (entry.get("shape"), entry.get("dtype")) if isinstance(entry, dict) else (None, None)
        )
        if dtype not in (_FLOATS if tensor.is_floating_point() else ("I64",)):
            raise ModelError(f"{path} does not fit its network: {key!r} is of the type {dtype!r}")
        if shape != list(tensor.shape):
            raise ModelError(
                f"{path} does not fit its network: {key!r} has the shape {shape},"
                f" not {list(tensor.shape)}"
            )


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:_LONGEST_LIST]) or "none"
    return f"{shown} and {len(keys) - _LONGEST_LIST} more" if len(keys) > _LONGEST_LIST else shown
