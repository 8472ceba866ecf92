"""What the network of a finished run makes of patches, for the report to show."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.models.precision import autocast
from geoseg.patches.sampling import Order
from geoseg.training.report.gallery import Sample, choose_samples
from geoseg.training.setup import Setup


def samples_of(setup: Setup) -> tuple[Sample, ...]:
    """Choose patches to show and predict them.

    Validation patches; without any, training patches as they are. The network is used, and left,
    in evaluation mode.
    """
    network = setup.learner.network
    network.eval()
    mean = np.asarray(setup.mean, np.float32)[:, None, None]
    std = np.asarray(setup.std, np.float32)[:, None, None]

    def look(
        patches: NDArray[np.int64],
    ) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels = setup.scoring.make(Order.of(patches), (0, 0))
        fed = torch.from_numpy(images).to(setup.device, memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(setup.precision, setup.device):
            logits = network(fed)
        said = logits > 0 if setup.of_patches else logits.argmax(dim=1)
        predicted = said.to("cpu", torch.uint8)
        return images * std + mean, labels, predicted.numpy()

    return choose_samples(
        len(setup.train if setup.val is None else setup.val),
        look,
        batch_size=setup.settings.batch_size,
        bands=setup.dataset.bands,
        fill=float(setup.dataset.fill),
    )
