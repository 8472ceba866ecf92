"""From settings and data to a network with everything that it learns by. Runs no epoch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from geoseg.errors import DatasetError, OptionError
from geoseg.models.network import PresenceNetwork, channels_last
from geoseg.models.precision import resolve_precision
from geoseg.models.registry import build
from geoseg.patches.augment import Augmentation, make_augmentations
from geoseg.patches.augment.crop import Crop
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.sampling import Order, Sampler, make_sampler, restrict
from geoseg.raster.legend import Legend
from geoseg.terms import parse_sum
from geoseg.training.data import BatchMaker, LabelledPatches
from geoseg.training.distributed import Processes
from geoseg.training.loop import Learner
from geoseg.training.losses import LossContext, make_loss
from geoseg.training.losses.registry import PRESENCE_LOSSES, default_loss
from geoseg.training.metrics import PixelTask, PresenceTask, Task
from geoseg.training.optim import make_optimizer
from geoseg.training.settings import Confidence, Settings
from geoseg.training.trust import Trust

LEAST_TILE = 8
"""Side in pixels below which a patch that is made smaller shows nothing any more."""


class Setup:
    """What a run works with; none of it changes but the learner's weights.

    Parameters
    ----------
    dataset
        Patches with labels; the splits ``train`` and, where there is one, ``val`` are used.
    settings
        How to train.
    device
        Where.
    processes
        Who else trains the same network.

    Raises
    ------
    DatasetError
        There are no labelled training patches, or a band has no statistics.
    OptionError, ModelError
        The settings name what is not there or do not go together.
    """

    def __init__(
        self,
        dataset: PatchDataset,
        settings: Settings,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.dataset, self.settings = dataset, settings
        self.device, self.processes = device, processes
        self.legend: Legend = _legend(dataset)
        _check_labelling(dataset, settings)
        if dataset.size < LEAST_TILE * settings.downscale and settings.downscale > 1:
            raise OptionError(
                f"--downscale {settings.downscale} leaves less than {LEAST_TILE} pixels of a patch"
                f" of {dataset.size}: use a smaller one, or tile larger patches"
            )
        self.train, self.sampler = self._training_patches()
        self.val = LabelledPatches.of(dataset, "val") if dataset.splits.get("val") else None
        self.mean, self.std = _normalisation(dataset)
        self.precision = resolve_precision(settings.precision, device, learning=True)
        self.weights_taken: str | None = None
        """What was taken of ``settings.weights``, in words."""
        network = self._make_network()
        self.of_patches = isinstance(network, PresenceNetwork)
        """Whether which classes patches hold is learned, and not a class for every pixel."""
        check_kind(dataset, of_patches=self.of_patches)
        self.task: Task = (PresenceTask if self.of_patches else PixelTask)(len(self.legend))
        self.loss_text = _loss_of(network, settings)
        self.learner = self._make_learner(network)
        confidence = self._confidence()
        share = settings.share(dataset) if self.of_patches else None
        self.learning = BatchMaker(
            self.train,
            mean=self.mean,
            std=self.std,
            transforms=_transforms(dataset, settings),
            downscale=settings.downscale,
            share=share,
            trust=Trust.of(confidence, learning=True),
        )
        self.scoring = BatchMaker(
            self.train if self.val is None else self.val,
            mean=self.mean,
            std=self.std,
            downscale=settings.downscale,
            share=share,
            trust=Trust.of(confidence, learning=False),
        )
        """Validation patches as they are; without any, the training patches as they are."""
        self.tile = self._tile()
        """Side in pixels of what the network learns from, augmentation done."""

    def _training_patches(self) -> tuple[LabelledPatches, Sampler]:
        settings, dataset = self.settings, self.dataset
        patches = LabelledPatches.of(dataset, "train")
        pool = patches.pool(self.legend.ids)
        if settings.max_class_share is not None:
            chosen = restrict(pool, settings.max_class_share)
            patches = LabelledPatches.of(dataset, "train", chosen.nonzero()[0])
            pool = patches.pool(self.legend.ids)
        return patches, make_sampler(settings.sampler, pool, settings.seed)

    def _confidence(self) -> Confidence | float | None:
        if self.settings.confidence == "weight" and self.of_patches:
            raise OptionError(
                f"--confidence weight is of labels of pixels, and {self.settings.model!r} learns"
                " which classes a patch holds: use --confidence none or a share"
            )
        return self.settings.trusting(self.dataset, of_patches=self.of_patches)

    def noted_settings(self) -> dict[str, Any]:
        """Return the settings with what stood for their defaults, plain JSON objects."""
        return self.settings.noted(self.loss_text, self.dataset, of_patches=self.of_patches)

    def _make_network(self) -> nn.Module:
        settings = self.settings
        torch.manual_seed(settings.seed)
        network = build(
            settings.model,
            in_channels=len(self.dataset.bands),
            classes=len(self.legend),
            **settings.model_options,
        )
        if settings.weights is not None:
            # Imported here: fresh weights need no other library.
            from geoseg.models.pretrained import initialise  # noqa: PLC0415

            self.weights_taken = initialise(
                network, settings.model, settings.weights, bands=self.dataset.bands
            )
        return channels_last(self.processes.prepared(network, self.device).to(self.device))

    def _make_learner(self, network: nn.Module) -> Learner:
        settings = self.settings
        counts = tuple(int(n) for n in self.train.class_pixels.sum(axis=0))
        context = LossContext(classes=len(self.legend), class_pixels=counts)
        return Learner(
            network=network,
            loss=make_loss(self.loss_text, context),
            optimizer=make_optimizer(
                settings.optimizer,
                network,
                rate=settings.rate,
                decay=settings.decay,
                momentum=settings.momentum,
            ),
            device=self.device,
            precision=self.precision,
            spread=None
            if self.processes.count == 1
            else self.processes.spread(network, self.device),
        )

    def _tile(self) -> int:
        first = self.sampler.order(0)
        images, _ = self.learning.make(Order.of(first.patches[:1]), (0, 0, 0))
        return int(max(images.shape[-2:]))

    def check_batches(self, smallest: int) -> None:
        """Check that the least part of a batch can be learned from.

        Parameters
        ----------
        smallest
            Patches in the least part of a batch that a process gets.

        Raises
        ------
        OptionError
            A process would get nothing, or a batch norm a single value.
        """
        if smallest < 1:
            raise OptionError(
                f"{self.processes.count} processes cannot share batches of {smallest} patches: use"
                " a larger --batch-size or fewer processes"
            )
        network = self.learner.network
        least = getattr(network, "smallest_batch", 1)
        if smallest < least:
            raise OptionError(
                f"{self.settings.model!r} needs batches of at least {least} patches, and the least"
                f" part of one has {smallest}: use another --batch-size"
            )
        stride = getattr(network, "stride", 1)
        has_norm = any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        if has_norm and smallest * math.ceil(self.tile / stride) ** 2 < 2:
            raise OptionError(
                f"batch norm needs more than one value, and {self.settings.model!r} shrinks a patch"
                f" of {self.tile} pixels to one: use --batch-size 2 or more, or larger patches"
            )


def _transforms(dataset: PatchDataset, settings: Settings) -> tuple[Augmentation, ...]:
    """Make the augmentations; a reduction that all patches undergo is no augmentation."""
    made = make_augmentations(settings.augment, dataset.statistics)
    for transform in made:
        if isinstance(transform, Crop) and dataset.labelling == "patches":
            raise OptionError(
                "augmentation 'crop' would cut away what the label of a whole patch speaks of:"
                " leave it out of --augment"
            )
        factors = set(transform.factors) if isinstance(transform, Crop) else {1}
        if len(factors) == 1 and factors != {1}:
            raise OptionError(
                f"crop's downscale={factors.pop()} would be done in training alone: use"
                " --downscale, which validation and prediction follow, or a list such as"
                " downscale=[1,2,4]"
            )
    return made


def check_kind(dataset: PatchDataset, *, of_patches: bool) -> None:
    """Check that a network can learn from, or be scored on, the labels of a data set.

    Parameters
    ----------
    dataset
        With labels.
    of_patches
        Whether the network says which classes patches hold, and not a class for every pixel.

    Raises
    ------
    DatasetError
        It gives a class to every pixel, and the labels are of whole patches.
    """
    if dataset.labelling == "patches" and not of_patches:
        raise DatasetError(
            f"{dataset.folder} holds labels of whole patches: use --model shallow-cnn or"
            " resnet50-cam, or make weak labels with geoseg cam"
        )


def _check_labelling(dataset: PatchDataset, settings: Settings) -> None:
    """Check that the settings ask for nothing that the labels of a data set cannot give."""
    if dataset.labelling == "patches" and settings.present is not None:
        raise OptionError(
            f"--present is of labels of pixels, and those of {dataset.folder} are of whole patches"
            " already: leave it out"
        )
    if settings.confidence is not None and not dataset.has_confidence:
        raise OptionError(
            f"--confidence: the labels of {dataset.folder} have none; leave it out, or tile again"
            " with --confidence"
        )


def _loss_of(network: nn.Module, settings: Settings) -> str:
    """Return the text of the loss, which must be one of the network's kind of labels."""
    of_patches = isinstance(network, PresenceNetwork)
    if settings.loss is None:
        return default_loss(of_patches=of_patches)
    for term in parse_sum(settings.loss, option="--loss"):
        if of_patches and term.call.name not in PRESENCE_LOSSES:
            raise OptionError(
                f"{settings.model!r} learns which classes a patch holds, and the loss"
                f" {term.call.name!r} wants a class for every pixel: use --loss presence"
            )
        if not of_patches and term.call.name in PRESENCE_LOSSES:
            raise OptionError(
                f"the loss {term.call.name!r} is of which classes a patch holds, and"
                f" {settings.model!r} gives a class to every pixel: use --model shallow-cnn or"
                " resnet50-cam, or another loss"
            )
    return settings.loss


def _legend(dataset: PatchDataset) -> Legend:
    if dataset.legend is None:
        raise DatasetError(
            f"{dataset.folder} holds no labels to learn from: tile again with --labels"
            " or --label-table"
        )
    if not dataset.splits.get("train"):
        raise DatasetError(f"{dataset.folder} has no training patches: tile again with --split")
    return dataset.legend


def _normalisation(dataset: PatchDataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation a band; a band that never varies is only shifted."""
    for band, mean, std in zip(dataset.bands, dataset.mean, dataset.std, strict=True):
        if not (math.isfinite(mean) and math.isfinite(std)):
            raise DatasetError(f"{dataset.folder} has no statistics of the band {band!r}")
    return dataset.mean, tuple(std if std > 0 else 1.0 for std in dataset.std)
