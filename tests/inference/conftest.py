"""Scenes and models made to order for predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine, from_origin

from geoseg.models.bundle import ModelBundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend

NORTH_UP = from_origin(500000.0, 5600000.0, 10.0, 10.0)


@pytest.fixture(autouse=True, scope="session")
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture
def write_scene(tmp_path: Path) -> Callable[..., Path]:
    """Write (bands, rows, cols) as a GeoTIFF with named bands."""

    def write(
        pixels: np.ndarray,
        *,
        name: str = "scene.tif",
        nodata: float | None = 0,
        transform: Affine = NORTH_UP,
        crs: str | None = "EPSG:32633",
        band_names: tuple[str, ...] | None = ("red", "nir"),
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        bands, height, width = pixels.shape
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=bands,
            height=height,
            width=width,
            dtype=pixels.dtype,
            nodata=nodata,
            transform=transform,
            crs=crs,
            **profile,
        ) as dataset:
            dataset.write(pixels)
            for index, band in enumerate(band_names or (), start=1):
                dataset.set_band_description(index, band)
        return path

    return write


def bundle(
    network: str = "pointwise",
    *,
    bands: tuple[str, ...] = ("red", "nir"),
    ids: tuple[int, ...] = (3, 5, 9),
    seed: int = 0,
    fill: float = 0.0,
    name: str = "tiny",
    weights: Callable[[torch.nn.Module], None] | None = None,
    **arguments: Any,
) -> ModelBundle:
    """Make a model with random weights, or with those that `weights` sets."""
    torch.manual_seed(seed)
    net = build(network, in_channels=len(bands), classes=len(ids), **arguments)
    if weights is not None:
        with torch.no_grad():
            weights(net)
    card = ModelCard(
        name=name,
        network=network,
        arguments=arguments,
        bands=bands,
        mean=(100.0,) * len(bands),
        std=(50.0,) * len(bands),
        fill=fill,
        legend=parse_legend(",".join(f"{i}=class {i}" for i in ids)),
        tile=64,
    )
    return ModelBundle(net.eval(), card)


@pytest.fixture
def make_bundle() -> Callable[..., ModelBundle]:
    return bundle
