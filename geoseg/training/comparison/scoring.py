"""A finished model on the labelled patches of a data set: counts and scores.

What a comparison of models takes; the scores of a map come from `geoseg.assessment`.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoseg.errors import DatasetError
from geoseg.models.bundle import load_bundle
from geoseg.models.card import ModelCard
from geoseg.models.network import PresenceNetwork, channels_last
from geoseg.models.precision import autocast, resolve_precision
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.presence import PRESENT
from geoseg.patches.sampling import Order, batches
from geoseg.training.data import BatchMaker, LabelledPatches, batches_on
from geoseg.training.metrics import PixelTask, PresenceTask, Task
from geoseg.training.records import scores_json
from geoseg.training.setup import check_kind


def score_model(
    model: str | Path,
    dataset: PatchDataset,
    split: str,
    *,
    device: torch.device,
    batch_size: int = 8,
    workers: int = 2,
    once: bool = False,
) -> dict[str, Any]:
    """Score a model on a split, in evaluation mode, each patch alone and as it is.

    All labels count, whatever their confidence: a score on chosen labels would not compare.
    Readings are normalised as the model's card says, whatever the statistics of the data set; the
    resolution is the one that the model learned at.

    Parameters
    ----------
    model
        The model's file.
    dataset
        With labels, the model's classes and at least its bands.
    split
        Which patches.
    device
        Where the network runs.
    batch_size, workers
        Patches computed together, and threads that read them; neither changes what is counted but
        for rounding.
    once
        Whether a pixel of a scene that several patches have counts once, in the first of them.

    Returns
    -------
    scores
        As `geoseg.training.records.scores_json` lays them out.

    Raises
    ------
    ModelError
        The file is no model.
    DatasetError
        Classes or bands differ, or the set has no labels that the network could be scored on.
    """
    bundle = load_bundle(model, device)
    card, network = bundle.card, channels_last(bundle.network)
    settings = card.training.get("settings", {})
    patches = LabelledPatches.of(_fitting(dataset, card), split, once=once)
    downscale, rest = divmod(card.scale, dataset.scale)
    if rest:
        raise DatasetError(
            f"{dataset.folder} holds patches at 1:{dataset.scale} and the model learned at"
            f" 1:{card.scale}: tile again without --fit-labels"
        )
    of_patches = isinstance(network, PresenceNetwork)
    check_kind(dataset, of_patches=of_patches)
    task: Task = (PresenceTask if of_patches else PixelTask)(card.classes)
    maker = BatchMaker(
        patches,
        mean=card.mean,
        std=card.std,
        downscale=downscale,
        share=float(settings.get("present", PRESENT)) if of_patches else None,
    )
    everything = Order.of(np.arange(len(patches), dtype=np.int64))
    precision = resolve_precision("auto", device)  # as prediction does
    counts = task.empty()
    network.eval()
    made = batches_on(device, maker, batches(everything, batch_size), (0, 0), workers=workers)
    with closing(made), torch.inference_mode():
        for images, labels in made:
            with autocast(precision, device):
                logits = network(images)
            counts += task.count(logits, labels).cpu().numpy()
    return scores_json(task.scores(counts), card.legend)


def check_fits(dataset: PatchDataset, bands: tuple[str, ...], ids: tuple[int, ...]) -> None:
    """Check that models of some bands and classes can be scored on a data set.

    Raises
    ------
    DatasetError
        It has no labels, other classes, or other bands.
    """
    if dataset.legend is None:
        raise DatasetError(
            f"{dataset.folder} holds no labels to score on: tile again with --labels"
        )
    if tuple(dataset.legend.ids) != ids:
        raise DatasetError(
            f"{dataset.folder} has the classes {', '.join(map(str, dataset.legend.ids))} and the"
            f" models {', '.join(map(str, ids))}: tile again with the same --classes"
        )
    if dataset.bands != bands:
        raise DatasetError(
            f"{dataset.folder} has the bands {', '.join(dataset.bands)} and the models"
            f" {', '.join(bands)}: tile again with --bands {','.join(bands)}"
        )


def _fitting(dataset: PatchDataset, card: ModelCard) -> PatchDataset:
    check_fits(dataset, card.bands, tuple(card.legend.ids))
    return dataset
