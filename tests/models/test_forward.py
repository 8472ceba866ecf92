"""Every network of our own against its description in plain numpy, float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from geoseg.models.registry import build

Array = NDArray[np.float64]

OPTIONS: dict[str, dict[str, Any]] = {
    "pointwise": {},
    "unet": {"widths": (3, 4, 5)},
    "unet-small": {"widths": (3, 4), "batch_norm": False},
    "unet-m46": {"widths": (3, 4, 5), "decoder_widths": (4, 6, 2)},
    "unet-resnet34": {"widths": (3, 4), "blocks": (2, 1), "decoder_widths": (3, 5, 4)},
    "agde": {"widths": (3, 4, 5), "convolutions": (2, 1, 3)},
    "fcn32s": {"widths": (2, 3, 4, 5, 6), "dense": 7},
    "fcn16s": {"widths": (2, 3, 4, 5, 6), "dense": 7, "batch_norm": True},
    "fcn8s": {"widths": (2, 3, 4, 5, 6), "dense": 7},
    "segnet": {"widths": (2, 3, 4, 5, 6)},
    "shallow-cnn": {"widths": (3, 4, 5, 6)},
}


class Oracle:
    """A network's weights, and the layers that they serve, spelt out; images (N, C, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        self.weights = {key: value.numpy() for key, value in network.state_dict().items()}

    def has(self, name: str) -> bool:
        return f"{name}.weight" in self.weights

    def bias(self, name: str) -> Array:
        bias = self.weights.get(f"{name}.bias", np.zeros(1))
        return np.asarray(bias[:, None, None], dtype=np.float64)

    def conv(self, name: str, x: Array, *, stride: int = 1) -> Array:
        """Zeros around, half a kernel wide."""
        kernel = self.weights[f"{name}.weight"]
        half, (height, width) = kernel.shape[-1] // 2, x.shape[-2:]
        x = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
        total = self.bias(name)
        for row, col in np.ndindex(kernel.shape[2:]):
            seen = x[:, :, row : row + height : stride, col : col + width : stride]
            total = total + np.einsum("nchw,oc->nohw", seen, kernel[:, :, row, col])
        return total

    def deconv(self, name: str, x: Array) -> Array:
        """Stride 2: every value paints its kernel; what lies beyond twice the size is cut."""
        kernel = self.weights[f"{name}.weight"]
        (count, _, height, width), side = x.shape, kernel.shape[-1]
        out = np.zeros((count, kernel.shape[1], 2 * height + side - 2, 2 * width + side - 2))
        for row, col in np.ndindex(height, width):
            painted = np.einsum("nc,coij->noij", x[:, :, row, col], kernel)
            out[:, :, 2 * row : 2 * row + side, 2 * col : 2 * col + side] += painted
        cut = side // 2 - 1
        return out[:, :, cut : cut + 2 * height, cut : cut + 2 * width] + self.bias(name)

    def norm(self, name: str, x: Array) -> Array:
        shift = self.weights[f"{name}.running_mean"][:, None, None]
        spread = np.sqrt(self.weights[f"{name}.running_var"] + 1e-5)[:, None, None]
        scale = self.weights[f"{name}.weight"][:, None, None]
        return np.asarray((x - shift) / spread * scale + self.bias(name))

    def relus(self, name: str, x: Array, places: list[int], *, norm: bool = True) -> Array:
        """Convolution, batch norm, ReLU; the convolutions stand at these places of `name`."""
        for place in places:
            x = self.conv(f"{name}.{place}", x)
            if norm:
                x = self.norm(f"{name}.{place + 1}", x)
            x = np.maximum(x, 0)
        return x

    def elus(self, name: str, x: Array, places: list[int], *, stride: int = 1) -> Array:
        """Convolution, ELU, batch norm; the first with the stride."""
        for place in places:
            x = elu(self.conv(f"{name}.{place}", x, stride=1 if place else stride))
            x = self.norm(f"{name}.{place + 2}", x)
        return x


def elu(x: Array) -> Array:
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)


def halves(x: Array) -> Array:
    """2 × 2 windows: (N, C, H/2, W/2, 4)."""
    return np.stack([x[:, :, r::2, c::2] for r in (0, 1) for c in (0, 1)], axis=-1)


def pool(x: Array) -> Array:
    return np.asarray(halves(x).max(axis=-1))


def overlapping_pool(x: Array) -> Array:
    """3 × 3, stride 2."""
    height, width = x.shape[-2:]
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    seen = [x[:, :, r : r + height : 2, c : c + width : 2] for r, c in np.ndindex(3, 3)]
    return np.asarray(np.max(seen, axis=0))


def double(x: Array) -> Array:
    return x.repeat(2, axis=2).repeat(2, axis=3)


def bilinear(x: Array, factor: int) -> Array:
    for axis in (2, 3):
        old = np.arange(x.shape[axis]) * factor + (factor - 1) / 2
        new = np.arange(x.shape[axis] * factor)
        # np.interp keeps the level outside the first and last centre.
        x = np.apply_along_axis(lambda line, o=old, n=new: np.interp(n, o, line), axis, x)
    return x


# -- the networks, from the image to the logits ---------------------------------------------------


def pointwise(o: Oracle, x: Array) -> Array:
    return o.conv("head", x)


def unet(o: Oracle, x: Array, *, levels: int, norm: bool) -> Array:
    places = [0, 3] if norm else [0, 2]
    skips = []
    for level in range(levels):
        x = o.relus(f"encoder.{level}", pool(x) if level else x, places, norm=norm)
        skips.append(x)
    skips.pop()
    for level in range(levels - 1):
        x = np.concatenate([skips.pop(), o.deconv(f"up.{level}", x)], axis=1)
        x = o.relus(f"decoder.{level}", x, places, norm=norm)
    return o.conv("head", x)


def elu_decoder(o: Oracle, features: list[Array]) -> Array:
    x = features.pop()
    for level in range(len(features) + 1):
        x = o.elus(f"decoder.blocks.{level}", double(x), [0, 3])
        if features:
            skip, name = features.pop(), f"decoder.skips.{level}"
            x = x + (o.conv(name, skip) if o.has(name) else skip)
    return o.conv("decoder.head.2", elu(o.conv("decoder.head.0", x)))


def unet_m46(o: Oracle, x: Array) -> Array:
    features = []
    for level in range(3):
        x = overlapping_pool(o.elus(f"encoder.{level}", x, [0, 3]))
        features.append(x)
    return elu_decoder(o, features)


def unet_resnet34(o: Oracle, x: Array) -> Array:
    x = o.elus("stem", x, [0], stride=2)
    features = [x]
    x = overlapping_pool(x)
    for name, stride in (("stages.0.0", 1), ("stages.0.1", 1), ("stages.1.0", 2)):
        shortcut = o.elus(f"{name}.shortcut", x, [0], stride=2) if stride == 2 else x
        x = o.elus(f"{name}.branch", x, [0, 3], stride=stride) + shortcut
        if name != "stages.0.0":
            features.append(x)
    return elu_decoder(o, features)


def agde(o: Oracle, x: Array) -> Array:
    left = []
    for level, places in enumerate(([0, 3], [0], [0, 3, 6])):
        x = pool(o.relus(f"encoder.{level}", x, places))
        left.append(x)
    left.pop()
    for level in range(3):
        x = o.deconv(f"up.{level}", x)
        if left:
            x = np.concatenate([o.relus(f"cross.{level}", left.pop(), [0, 4, 8]), x], axis=1)
        x = o.relus(f"decoder.{level}", x, [0, 3, 6])
    return o.conv("head", x)


def fcn(o: Oracle, x: Array, *, finest: int, norm: bool) -> Array:
    groups = (
        ([0, 3], [7, 10], [14, 17, 20], [24, 27, 30], [34, 37, 40])
        if norm
        else ([0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28])
    )
    pooled = []
    for places in groups:
        x = pool(o.relus("features", x, places, norm=norm))
        pooled.append(x)
    x = o.conv("score", o.relus("dense", x, [0, 3], norm=False))
    for step in range({32: 0, 16: 1, 8: 2}[finest]):
        x = o.deconv(f"up.{step}", x) + o.conv(f"skip_scores.{step}", pooled[3 - step])
    return bilinear(x, finest)


def segnet(o: Oracle, x: Array) -> Array:
    places = []
    for group in ([0, 3], [7, 10], [14, 17, 20], [24, 27, 30], [34, 37, 40]):
        x = o.relus("features", x, group)
        places.append(halves(x).argmax(axis=-1))
        x = pool(x)
    for level, group in enumerate(([0, 3, 6], [0, 3, 6], [0, 3, 6], [0, 3], [0])):
        place, wide = places.pop(), np.zeros(np.multiply(x.shape, (1, 1, 2, 2)))
        for at in np.ndindex(x.shape):
            row, col = 2 * at[2] + place[at] // 2, 2 * at[3] + place[at] % 2
            wide[at[0], at[1], row, col] = x[at]
        x = o.relus(f"decoder.{level}", wide, group)
    return o.conv("head", x)


def shallow_cnn(o: Oracle, x: Array) -> Array:
    for places in ([0, 3], [7, 10]):
        x = o.relus("layers", x, places)
        x = pool(x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2])
    weight, bias = o.weights["dense.weight"], o.weights["dense.bias"]
    return np.asarray(np.einsum("nk,ck->nc", x.mean(axis=(2, 3)), weight) + bias)


ORACLES: dict[str, tuple[int, Callable[[Oracle, Array], Array]]] = {
    "pointwise": (1, pointwise),
    "unet": (4, lambda o, x: unet(o, x, levels=3, norm=True)),
    "unet-small": (2, lambda o, x: unet(o, x, levels=2, norm=False)),
    "unet-m46": (8, unet_m46),
    "unet-resnet34": (8, unet_resnet34),
    "agde": (8, agde),
    "fcn32s": (32, lambda o, x: fcn(o, x, finest=32, norm=False)),
    "fcn16s": (32, lambda o, x: fcn(o, x, finest=16, norm=True)),
    "fcn8s": (32, lambda o, x: fcn(o, x, finest=8, norm=False)),
    "segnet": (32, segnet),
}
"""Name → stride, and what turns an image whose sides are multiples of it into logits."""


def random_network(
    name: str, seed: int, lived_in: Callable[[nn.Module], nn.Module], bands: int, classes: int
) -> nn.Module:
    torch.manual_seed(seed)
    network = build(name, in_channels=bands, classes=classes, **OPTIONS[name])
    for key, parameter in network.named_parameters():
        # Biases begin at 0, deconvolutions of FCN as interpolation; a trained network's do not.
        if key.endswith("bias") or key.startswith("up."):
            nn.init.normal_(parameter, std=0.3)
    return lived_in(network.double())


def agree(found: torch.Tensor, wanted: Array) -> None:
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ORACLES)
@settings(max_examples=8, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    bands=st.integers(1, 4),
    classes=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_logits_are_those_of_the_description(
    name: str,
    height: int,
    width: int,
    bands: int,
    classes: int,
    seed: int,
    lived_in: Callable[[nn.Module], nn.Module],
) -> None:
    network = random_network(name, seed, lived_in, bands, classes)
    x = torch.randn(2, bands, height, width, dtype=torch.float64)
    stride, oracle = ORACLES[name]
    around = ((0, 0), (0, 0), (0, -height % stride), (0, -width % stride))
    wanted = oracle(Oracle(network), np.pad(x.numpy(), around, mode="edge"))
    with torch.inference_mode():
        agree(network(x), wanted[:, :, :height, :width])


@settings(max_examples=8, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    seed=st.integers(0, 2**32),
)
def test_presence_and_maps_are_those_of_the_description(
    height: int, width: int, seed: int, lived_in: Callable[[nn.Module], nn.Module]
) -> None:
    network = random_network("shallow-cnn", seed, lived_in, 2, 3)
    x = torch.randn(2, 2, height, width, dtype=torch.float64)
    around = ((0, 0), (0, 0), (0, max(4 - height, 0)), (0, max(4 - width, 0)))
    oracle = Oracle(network)
    with torch.inference_mode():
        agree(network(x), shallow_cnn(oracle, np.pad(x.numpy(), around, mode="edge")))
