"""Scores of a finished model on patches, against a count pixel by pixel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import DatasetError
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.patches.dataset import PatchDataset
from geoseg.training.comparison.scoring import score_model

FolderMaker = Callable[..., Path]
CPU = torch.device("cpu")


def saved(dataset: PatchDataset, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write a model of one 1 × 1 convolution; return its weights and biases."""
    assert dataset.legend is not None
    torch.manual_seed(5)
    network = build("pointwise", in_channels=len(dataset.bands), classes=len(dataset.legend))
    card = ModelCard(
        name="m",
        network="pointwise",
        arguments={},
        bands=dataset.bands,
        mean=(120.0,) * len(dataset.bands),
        std=(70.0,) * len(dataset.bands),
        fill=0.0,
        legend=dataset.legend,
        tile=dataset.size,
        training={"settings": {"precision": "float32"}},
    )
    save_bundle(ModelBundle(network, card), path)
    tensors = [t.detach().numpy().astype(np.float64) for t in network.parameters()]
    return tensors[0].reshape(len(dataset.legend), -1), tensors[1]


def test_counts_are_those_of_a_loop_over_pixels(patch_folder: FolderMaker, tmp_path: Path) -> None:
    dataset = PatchDataset.open(patch_folder(val=3, unlabelled_share=0.3))
    weights, biases = saved(dataset, tmp_path / "m.safetensors")
    scores = score_model(tmp_path / "m.safetensors", dataset, "val", device=CPU, batch_size=2)
    val = dataset.split("val")
    assert val.labels is not None
    confusion = np.zeros((3, 3), int)
    for image, labels in zip(val.images[:], val.labels[:], strict=True):
        for place, label in np.ndenumerate(labels):
            if label != 255:
                readings = (image[(slice(None), *place)].astype(float) - 120) / 70
                confusion[label, (weights @ readings + biases).argmax()] += 1
    assert scores["confusion"] == confusion.tolist()
    assert scores["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    assert scores["miou"] == pytest.approx((np.diag(confusion) / union).mean())


def test_other_classes_bands_or_no_labels_are_told(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    saved(PatchDataset.open(patch_folder()), tmp_path / "m.safetensors")
    for name, options, message in (
        ("c", {"classes": 4}, "has the classes 10, 11, 12, 13 and the models 10, 11, 12"),
        ("b", {"bands": 3}, "has the bands b0, b1, b2 and the models b0, b1"),
        ("n", {"labelled": False}, "holds no labels to score on"),
    ):
        other = PatchDataset.open(patch_folder(name, **options))
        with pytest.raises(DatasetError, match=message):
            score_model(tmp_path / "m.safetensors", other, "val", device=CPU)


def test_the_resolution_learned_at_is_scored_at(patch_folder: FolderMaker, tmp_path: Path) -> None:
    dataset = PatchDataset.open(patch_folder(val=2, unlabelled_share=0.0))
    model = tmp_path / "m.safetensors"
    saved(dataset, model)
    fine = score_model(model, dataset, "val", device=CPU)
    data = model.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    card = json.loads(header["__metadata__"]["geoseg"])
    card["training"]["settings"]["downscale"] = card["scale"] = 2
    header["__metadata__"]["geoseg"] = json.dumps(card)
    text = json.dumps(header).encode()
    model.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    coarse = score_model(model, dataset, "val", device=CPU)
    assert np.sum(fine["confusion"]) == 2 * 16 * 16
    assert np.sum(coarse["confusion"]) == 2 * 8 * 8
    # Patches that are at that scale already are taken as they are; others do not fit.
    described = dataset.folder / "dataset.json"
    content = json.loads(described.read_text())
    for scale, pixels in ((2, 2 * 16 * 16), (3, None)):
        described.write_text(json.dumps({**content, "scale": scale}))
        brought = PatchDataset.open(dataset.folder)
        if pixels is None:
            with pytest.raises(DatasetError, match="at 1:3 and the model learned at 1:2"):
                score_model(model, brought, "val", device=CPU)
        else:
            found = score_model(model, brought, "val", device=CPU)
            assert np.sum(found["confusion"]) == pixels
