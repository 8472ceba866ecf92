"""Networks with random weights, for measuring what does not depend on what they learned."""

from __future__ import annotations

import torch

from geoseg.models.bundle import ModelBundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend import Legend

BANDS = ("blue", "green", "red", "nir")
TILE = 288
NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "null": ("pointwise", {}),
    "tiny": ("unet-small", {"widths": (16, 32, 64)}),
    "resnet34": ("unet-resnet34", {}),
}
"""One 1 × 1 convolution, a small U-Net, a usual one."""


def untrained(name: str) -> ModelBundle:
    """Return a network of seven classes, the same each time."""
    network, arguments = NETWORKS[name]
    torch.manual_seed(3)
    card = ModelCard(
        name=name,
        network=network,
        arguments=arguments,
        bands=BANDS,
        mean=(9000.0,) * 4,
        std=(2000.0,) * 4,
        fill=0.0,
        legend=Legend.of_values(range(1, 8)),
        tile=TILE,
    )
    return ModelBundle(build(network, in_channels=4, classes=7, **arguments).eval(), card)
