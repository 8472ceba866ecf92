"""Models made by hand."""

from __future__ import annotations

import pytest
import torch

from geoseg.models.bundle import load_bundle
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.bundles import pointwise_bundle


def test_logits_are_the_weighted_bands_and_the_bias():
    bundle = pointwise_bundle([[1, 0], [0, 2], [1, 1]], [0, 0.5, -1])
    x = torch.tensor([3.0, 5.0]).reshape(1, 2, 1, 1)
    with torch.inference_mode():
        assert bundle.network(x).ravel().tolist() == [3, 10.5, 7]
    assert bundle.card.bands == ("blue", "green")
    assert bundle.card.legend.ids == (1, 2, 3)
    assert not bundle.network.training


def test_saved_bundle_is_the_same_when_loaded(tmp_path):
    legend = parse_legend("4=a,7=b")
    path = tmp_path / "model.safetensors"
    made = pointwise_bundle(
        [[1.0] * 5, [2.0] * 5], legend=legend, mean=[1] * 5, std=[2] * 5, path=path, resolution=30.0
    )
    loaded = load_bundle(path)
    assert loaded.card == made.card
    assert loaded.card.bands[-1] == "band 5"
    assert loaded.card.resolution == pytest.approx(30)
    assert loaded.card.legend == legend
    assert torch.equal(loaded.network.head.weight, made.network.head.weight)
