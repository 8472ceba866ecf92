"""Image-level models made to order, and what their activation maps are, computed otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from geoseg.inference.cam.files import CamOutputs
from geoseg.inference.cam.making import Guides
from geoseg.inference.cam.result import CamResult
from geoseg.inference.cam.run import make_cam
from geoseg.inference.cam.settings import LabelSettings, MapSettings
from geoseg.models.bundle import ModelBundle
from geoseg.raster.scene import Scene


def live_in(network: nn.Module) -> None:
    """Batch norms and biases as after some training: nothing is 0 or 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0.2, 0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        elif isinstance(module, nn.Linear):
            module.weight.normal_(0, 1)
            module.bias.normal_(0, 1)


@pytest.fixture
def presence_bundle(make_bundle: Callable[..., ModelBundle]) -> Callable[..., ModelBundle]:
    """Make a shallow network with random but lived-in weights."""

    def make(*, tile: int = 24, scale: int = 1, fill: float = 140.0, **more: Any) -> ModelBundle:
        more = {"network": "shallow-cnn", "widths": (3, 4, 5, 6), "weights": live_in} | more
        made = make_bundle(fill=fill, **more)
        return ModelBundle(made.network, replace(made.card, tile=tile, scale=scale))

    return make


def whole_image_maps(
    bundle: ModelBundle,
    pixels: np.ndarray,
    *,
    upsampling: str = "bilinear",
    bias: bool = False,
) -> np.ndarray:
    """Activation maps of one image, (classes, rows, cols) float64; readings in, 0 is invalid.

    Double precision, batch norms as they are, interpolation by numpy along each axis.
    """
    card = bundle.card
    valid = (pixels != 0).all(axis=0)
    x = np.where(valid, pixels, card.fill).astype(np.float64)
    x = (x - np.reshape(card.mean, (-1, 1, 1))) / np.reshape(card.std, (-1, 1, 1))
    rows, cols = x.shape[1:]
    x = np.pad(x, ((0, 0), (0, max(0, 4 - rows)), (0, max(0, 4 - cols))), mode="edge")
    network = copy.deepcopy(bundle.network).double().eval()
    with torch.no_grad():
        features = network.features(torch.from_numpy(x)[None])[0].numpy()
        weight, offset = network.dense.weight.numpy(), network.dense.bias.numpy()
    maps = np.einsum("ck,kyx->cyx", weight, features)
    if bias:
        maps = maps + offset[:, None, None]
    if upsampling == "repeat":
        for axis, length in ((1, rows), (2, cols)):
            places = np.minimum(np.arange(length) // 4, maps.shape[axis] - 1)
            maps = np.take(maps, places, axis=axis)
        return maps
    for axis, length in ((1, rows), (2, cols)):
        # Position i stands for pixels 4i … 4i + 3, whose middle is 4i + 1.5.
        centres = 4.0 * np.arange(maps.shape[axis]) + 1.5
        between = lambda one, c=centres, n=length: np.interp(np.arange(n), c, one)  # noqa: E731
        maps = np.apply_along_axis(between, axis, maps)
    return maps


@pytest.fixture
def maps_of() -> Callable[..., np.ndarray]:
    return whole_image_maps


def _run(
    scene: str | Path,
    out: str | Path,
    bundle: ModelBundle,
    *,
    maps: dict[str, Any] | None = None,
    labels: dict[str, Any] | None = None,
    outputs: dict[str, Path] | None = None,
    reference: Path | None = None,
    guides: dict[str, Any] | None = None,
    **more: Any,
) -> CamResult:
    given = dict(guides or {})
    if reference is not None:
        given["reference"] = Scene.open(reference)
    with Scene.open(scene) as opened:
        return make_cam(
            opened,
            CamOutputs(maps=Path(out), **(outputs or {})),
            model=bundle,
            maps=MapSettings(**({"tile": bundle.card.tile} | (maps or {}))),
            labels=LabelSettings(**(labels or {})),
            guides=Guides(**given),
            device="cpu",
            **({"workers": 2} | more),
        )


@pytest.fixture
def run_cam() -> Callable[..., CamResult]:
    return _run


@pytest.fixture
def read() -> Callable[[Path], np.ndarray]:
    def whole(path: Path) -> np.ndarray:
        with rasterio.open(path) as dataset:
            return dataset.read()

    return whole
