"""Small data sets of patches, written by hand as `geoseg tile` lays them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from geoseg.patches.presence import present_in

FolderMaker = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    # These networks are too small to share out, and threads that wait for each other wait long
    # where many tests run at once.
    torch.set_num_threads(1)


def labels_of(images: NDArray[np.uint16], classes: int) -> NDArray[np.uint8]:
    """Class by the first band's brightness: something that a network can learn."""
    return np.minimum(images[:, 0] // 100, classes - 1).astype(np.uint8)


@pytest.fixture
def patch_folder(tmp_path: Path) -> FolderMaker:
    def make(
        name: str = "patches",
        *,
        train: int = 6,
        val: int = 2,
        size: int = 16,
        bands: int = 2,
        classes: int = 3,
        labelled: bool = True,
        unlabelled_share: float = 0.1,
        of_patches: bool = False,
        unknown_share: float = 0.0,
        confident: bool = False,
        seed: int = 0,
    ) -> Path:
        random = np.random.default_rng(seed)
        folder = tmp_path / name
        counts: dict[str, list[int]] = {}
        pixels: list[NDArray[np.uint16]] = []
        for split, number in (("train", train), ("val", val)):
            (folder / split).mkdir(parents=True)
            coarse = random.integers(0, 100 * classes, size=(number, bands, size // 4, size // 4))
            images = np.kron(coarse, np.ones((4, 4), np.int64)).astype(np.uint16)
            labels = labels_of(images, classes)
            labels[random.random(labels.shape) < unlabelled_share] = 255
            held = np.array(
                [np.bincount(p.ravel(), minlength=256)[:classes] for p in labels], np.int64
            ).reshape(number, classes)
            np.save(folder / split / "images.npy", images)
            if labelled and of_patches:
                presence = present_in(held, share=0.3, pixels=size * size)
                presence[random.random(presence.shape) < unknown_share] = 255
                np.save(folder / split / "presence.npy", presence)
            elif labelled:
                np.save(folder / split / "labels.npy", labels)
                np.save(folder / split / "class_pixels.npy", held)
            if confident:
                trusted = random.integers(0, 256, labels.shape).astype(np.uint8)
                np.save(folder / split / "confidence.npy", trusted)
            counts[split] = held.sum(axis=0).tolist()
            if split == "train":
                pixels.append(images)
        values = pixels[0].astype(np.float64)
        statistics = [
            {
                "name": f"b{b}",
                "mean": float(values[:, b].mean()) if train else 0.0,
                "std": float(values[:, b].std()) if train else 1.0,
                "min": 0.0,
                "max": 1.0,
                "percentiles": {},
                "count": int(values[:, b].size),
            }
            for b in range(bands)
        ]
        legend = [
            {"id": 10 + c, "name": f"class {c}", "color": f"#0000{40 * c:02x}"}
            for c in range(classes)
        ]
        description = {
            "format": "geoseg-patches",
            "version": 1,
            "storage": "npy",
            "size": size,
            "stride": size,
            "bands": [f"b{b}" for b in range(bands)],
            "dtype": "uint16",
            "fill": 0,
            "max_nodata": 0.5,
            "classes": legend if labelled else None,
            "resolution": [30.0, 30.0],
            "crs_units": "metre",
            "statistics": {"bands": statistics, "source": "train"},
            "class_pixels": counts if labelled and not of_patches else {},
            "labelling": ("patches" if of_patches else "pixels") if labelled else None,
            "confidence": confident,
            "splits": {"train": train, "val": val},
            "seed": seed,
        }
        (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
        return folder

    return make
