"""A network trained by torchgeo's sampler and Lightning: patches straight from a scene.

    PYTHON train.py resnet34 SCENE.tif LABELS.tif --patches 128 --epochs 2 --folder scratch

The last line of the output is a JSON object with the seconds, without imports.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import RandomGeoSampler

CLASSES = 9
UNLABELLED = 255


class Task(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.loss = nn.CrossEntropyLoss(ignore_index=UNLABELLED)

    def training_step(self, batch: dict[str, Any], _: int) -> Any:
        logits = self.network(batch["image"].float() * 1e-4)
        return self.loss(logits, batch["mask"].squeeze(1).long())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("null", "resnet34"))
    parser.add_argument("scene", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--patches", type=int, default=128)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--folder", type=Path, required=True, help="for its checkpoints")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    network: nn.Module = nn.Conv2d(4, CLASSES, 1)
    if given.network == "resnet34":
        import segmentation_models_pytorch as smp  # noqa: PLC0415

        network = smp.Unet("resnet34", encoder_weights=None, in_channels=4, classes=CLASSES)

    class Images(RasterDataset):  # type: ignore[misc]
        filename_glob = given.scene.name
        is_image = True

    class Masks(RasterDataset):  # type: ignore[misc]
        filename_glob = given.labels.name
        is_image = False

    began = time.perf_counter()
    dataset = Images([str(given.scene)]) & Masks([str(given.labels)])
    sampler = RandomGeoSampler(dataset, size=given.size, length=given.patches)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=given.batch, sampler=sampler, collate_fn=stack_samples
    )
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        trainer = lightning.Trainer(
            max_epochs=given.epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(Task(network), loader)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
