"""A network as the bytes of an ONNX file."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from geoseg.errors import ModelError
from geoseg.models.fold import fold_batch_norm
from geoseg.models.onnx.cards import CARD_KEY, FEEDING_KEY
from geoseg.models.onnx.feeding import Feeding
from geoseg.models.onnx.reading import MOST_BYTES, library

if TYPE_CHECKING:
    from geoseg.models.card import ModelCard

OPSET = 17
"""What onnxruntime from 1.12 on reads, QGIS's plugins with it."""

_BYTE = 255.0
# An odd size, so that continuing an image to multiples of the stride is in the graph.
_TRACED = (77, 83)
_OVERLAP = 15
_SMALLEST_PIXEL = 0.005


class Answering(nn.Module):
    """What an export computes: from pixels as they are fed to probabilities."""

    mean: Tensor
    std: Tensor
    filled: Tensor
    low: Tensor
    span: Tensor

    def __init__(self, network: nn.Module, card: ModelCard, how: Feeding) -> None:
        super().__init__()
        self.network = fold_batch_norm(network)
        self._how = how.input
        mean, std = (torch.tensor(v).reshape(-1, 1, 1) for v in (card.mean, card.std))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("filled", (torch.tensor(card.fill) - mean) / std)
        if how.input == "uint8":
            low, high = (torch.tensor(v).reshape(-1, 1, 1) for v in (how.low, how.high))
            self.register_buffer("low", low)
            self.register_buffer("span", high - low)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to probabilities (N, classes, H, W)."""
        if self._how == "readings":
            invalid = torch.isnan(x).any(dim=1, keepdim=True)
            x = torch.where(invalid, self.filled, (x - self.mean) / self.std)
        elif self._how == "uint8":
            invalid = (x == 0).all(dim=1, keepdim=True)
            x = torch.where(invalid, self.filled, (self.low + x * self.span - self.mean) / self.std)
        return torch.softmax(self.network(x), dim=1)


def to_onnx(answering: Answering, bands: int, *, side: int | None) -> bytes:
    """Write a network as ONNX.

    Parameters
    ----------
    answering
        The network, on the processor.
    bands
        Channels of its input.
    side
        Rows and columns of the image that it is to take; None for any.

    Returns
    -------
    Bytes of a file with one input "input" (batch, bands, side, side) and one output "output"
    (batch, classes, side, side), float32, of opset `OPSET`. Which numbers of rows and columns go
    together is not stated: "side" may be two.

    Raises
    ------
    ModelError
        onnx is not installed, or the network cannot be written.
    """
    onnx = library("onnx", "an ONNX export")
    shape = (1, bands, *(_TRACED if side is None else (side, side)))
    free: dict[int, str] = {0: "batch"} | ({} if side is not None else {2: "side", 3: "side"})
    target: Any = io.BytesIO()
    try:
        with _quiet(), _Writable(), torch.inference_mode(False), torch.no_grad():
            torch.onnx.export(
                answering,
                (torch.zeros(shape),),
                target,
                dynamo=False,  # the other one needs one more library
                opset_version=OPSET,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": free, "output": free},
            )
    except Exception as error:  # the exporter raises what it runs into
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"the network cannot be written as ONNX ({reason})") from error
    content = target.getvalue()
    if len(content) > MOST_BYTES:
        raise ModelError(f"the network has {len(content)} bytes, more than an ONNX file can hold")
    model = onnx.ModelProto.FromString(content)
    for value in (model.graph.input[0], model.graph.output[0]):
        for axis, name in free.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    for node in model.graph.node:
        node.doc_string = ""  # where the code lay
    model.graph.ClearField("value_info")
    return bytes(model.SerializeToString(deterministic=True))


def with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of an ONNX file with texts by key in it, and no others."""
    onnx = library("onnx", "an ONNX export")
    model = onnx.ModelProto.FromString(content)
    onnx.helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString(deterministic=True))


def metadata(card: ModelCard, how: Feeding, *, tile: int) -> dict[str, str]:
    """Return what an export says about itself: the card, and what QGIS's Deepness looks for.

    Deepness feeds ``(byte / 255 − standardization_mean) / standardization_std``, whatever the type
    of the layer; so the numbers are such that the network sees what it learned from.
    """
    mean, std = [0.0] * len(card.bands), [1.0] * len(card.bands)
    if how.input == "normalised":
        mean, std = ([value / _BYTE for value in values] for values in (card.mean, card.std))
    elif how.input == "readings":
        std = [1 / _BYTE] * len(card.bands)
    held: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(card.legend.names)},
        "tile_size": tile,
        "tiles_size": tile,
        "tiles_overlap": _OVERLAP,
        "standardization_mean": mean,
        "standardization_std": std,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    # In centimetres; what is smaller than some millimetres is degrees.
    if card.resolution is not None and card.resolution >= _SMALLEST_PIXEL:
        held["resolution"] = float(card.resolution * card.scale * 100)
    held[CARD_KEY] = card.to_json()
    held[FEEDING_KEY] = how.to_json()
    return {key: json.dumps(value, allow_nan=False) for key, value in held.items()}


def nodata_rule(card: ModelCard, how: Feeding) -> str:
    """Say what is done with invalid pixels, for people."""
    if how.input == "readings":
        return f"NaN in a band is an invalid pixel; the network sees {card.fill:g} there"
    if how.input == "uint8":
        return f"0 in every band is an invalid pixel; the network sees the reading {card.fill:g}"
    return f"give invalid pixels the reading {card.fill:g} in every band; drop their classes"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings, and its print of a graph that it fails on, to itself."""
    name = "_jit_set_onnx_log_enabled"
    switch = getattr(torch._C, name, None)
    try:
        if switch is not None:
            switch(False)
            setattr(torch._C, name, lambda _: None)  # it would switch itself on again
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if switch is not None:
            setattr(torch._C, name, switch)


class _Writable(TorchFunctionMode):
    """Puts operators that the exporter knows in the place of some that it does not.

    Means over a grid of cells become products with matrices, of the size that is traced: for other
    sizes such an export answers otherwise. Unpooling becomes a scattering of values.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.adaptive_avg_pool2d:
            pooled = _pooled(*args, **kwargs)
            if pooled is not None:
                return pooled
        if func is functional.interpolate and kwargs.get("mode") == "area":
            pooled = _pooled(args[0], kwargs["size"]) if kwargs.get("size") else None
            if pooled is not None:
                return pooled
        if func is functional.max_unpool2d:
            return _unpooled(*args, **kwargs)
        return func(*args, **kwargs)


def _pooled(x: Tensor, output_size: int | Sequence[int | None]) -> Tensor | None:
    """Means over cells as products; None for one cell, which every exporter knows."""
    cells = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
    if cells == (1, 1):
        return None
    down, along = (
        _cells(int(length), int(length) if count is None else count)
        for length, count in zip(x.shape[-2:], cells, strict=True)
    )
    return down.to(x) @ x @ along.to(x).T


def _cells(length: int, cells: int) -> Tensor:
    """(cells, length): shares of a line's pixels in its cells, which may overlap."""
    matrix = torch.zeros(cells, length)
    for i in range(cells):
        first, stop = i * length // cells, -(-(i + 1) * length // cells)
        matrix[i, first:stop] = 1 / (stop - first)
    return matrix


def _unpooled(
    x: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Put values back to where 2 × 2 pooling took them from."""
    two = (2, (2, 2))
    if kernel_size not in two or stride not in (None, *two) or padding not in (0, (0, 0)):
        raise ModelError("unpooling by other cells than 2 × 2 cannot be written as ONNX")
    if output_size is not None:
        raise ModelError("unpooling to a size that is named cannot be written as ONNX")
    n, channels, height, width = x.shape
    flat = torch.zeros_like(x).repeat(1, 1, 2, 2).flatten(2)
    flat = flat.scatter(2, indices.flatten(2), x.flatten(2))
    return flat.reshape(n, channels, 2 * height, 2 * width)
