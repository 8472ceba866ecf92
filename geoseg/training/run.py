"""The epochs of a run. Knows no output but its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geoseg.errors import DatasetError, ModelError, OptionError
from geoseg.models.network import channels_last
from geoseg.models.registry import build
from geoseg.patches.augment import make_augmentations
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.sampling import batches, generator, make_sampler
from geoseg.raster.legend import Legend
from geoseg.training.checkpoint import Progress, load_checkpoint, read_identity, save_checkpoint
from geoseg.training.data import BatchMaker, LabelledPatches, batches_on
from geoseg.training.interrupt import StopRequest
from geoseg.training.loop import DivergedError, Learner, Tally, evaluate
from geoseg.training.losses import LossContext, make_loss
from geoseg.training.optim import default_decay, default_rate, make_optimizer
from geoseg.training.precision import resolve_precision
from geoseg.training.records import EpochRecord
from geoseg.training.schedule import make_schedule
from geoseg.training.settings import Settings

SECONDS_BETWEEN_CHECKPOINTS = 60.0

Counter = Callable[[int], None]
"""Told of so many more patches done."""


class Run:
    """A network, its data and where it is in learning from them.

    Parameters
    ----------
    dataset
        Patches with labels; the splits ``train`` and, where there is one, ``val`` are used.
    settings
        How to train.
    device
        Where.

    Raises
    ------
    DatasetError
        There are no labelled training patches, or a band has no statistics.
    OptionError, ModelError
        The settings name what is not there or do not go together.
    """

    def __init__(self, dataset: PatchDataset, settings: Settings, device: torch.device) -> None:
        self.dataset, self.settings, self.device = dataset, settings, device
        self.legend: Legend = _legend(dataset)
        self.train = LabelledPatches.of(dataset, "train")
        self.val = LabelledPatches.of(dataset, "val") if dataset.splits.get("val") else None
        self.mean, self.std = _normalisation(dataset)
        self.rate = default_rate(settings.optimizer) if settings.lr is None else settings.lr
        self.decay = (
            default_decay(settings.optimizer)
            if settings.weight_decay is None
            else settings.weight_decay
        )
        self.precision = resolve_precision(settings.precision, device)
        self.progress = Progress()
        self.checkpoint_seconds = SECONDS_BETWEEN_CHECKPOINTS
        self._schedule = make_schedule(settings.schedule)
        self._sampler = make_sampler(settings.sampler, self.train.class_pixels, settings.seed)
        self._learning = BatchMaker(
            self.train,
            mean=self.mean,
            std=self.std,
            transforms=make_augmentations(settings.augment),
        )
        self.learner = self._make_learner()
        self._check_batch_norm()

    def _make_learner(self) -> Learner:
        settings = self.settings
        torch.manual_seed(settings.seed)
        network = build(
            settings.model,
            in_channels=len(self.dataset.bands),
            classes=len(self.legend),
            **settings.model_options,
        )
        network = channels_last(network.to(self.device))
        counts = tuple(int(n) for n in self.train.class_pixels.sum(axis=0))
        return Learner(
            network=network,
            loss=make_loss(
                settings.loss, LossContext(classes=len(self.legend), class_pixels=counts)
            ),
            optimizer=make_optimizer(
                settings.optimizer,
                network,
                rate=self.rate,
                decay=self.decay,
                momentum=settings.momentum,
            ),
            device=self.device,
            precision=self.precision,
        )

    def _check_batch_norm(self) -> None:
        stride = getattr(self.learner.network, "stride", 1)
        smallest = min(len(b) for b in self._batches(0))
        has_norm = any(isinstance(m, torch.nn.BatchNorm2d) for m in self.learner.network.modules())
        if has_norm and smallest * math.ceil(self.dataset.size / stride) ** 2 < 2:
            raise OptionError(
                f"batch norm needs more than one value, and {self.settings.model!r} shrinks a patch"
                f" of {self.dataset.size} pixels to one: use --batch-size 2 or more, or larger"
                " patches"
            )

    def _batches(self, epoch: int) -> list[Any]:
        return batches(self._sampler.order(epoch), self.settings.batch_size)

    @property
    def identity(self) -> dict[str, Any]:
        """What must agree for a checkpoint to be of this run."""
        return {"settings": self.settings.to_json(), "data": self.dataset.hash()}

    @property
    def history(self) -> list[EpochRecord]:
        """One record an epoch done."""
        return [EpochRecord.from_json(obj) for obj in self.progress.history]

    def resume(self, path: Path) -> None:
        """Go to where a checkpoint was written.

        Raises
        ------
        OptionError
            It is of a run with other settings or other data.
        ModelError
            It is damaged.
        """
        identity = read_identity(path)
        if identity.get("data") != self.dataset.hash():
            raise OptionError(f"{path} is of a run on other data: start anew with --overwrite")
        settings = identity.get("settings")
        if not isinstance(settings, dict):
            raise ModelError(f"{path} is damaged: it does not say which settings it is of")
        others = self.settings.differences(settings)
        if others:
            raise OptionError(
                f"{path} is of a run with other settings: {'; '.join(others)}; give the same, or"
                " start anew with --overwrite"
            )
        self.progress = load_checkpoint(path, self.learner.network, self.learner.optimizer)

    def epochs(
        self,
        checkpoint: Path,
        stop: StopRequest,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        progress: Counter | None = None,
    ) -> None:
        """Train from where the run is to its end.

        Parameters
        ----------
        checkpoint
            Written every minute at most, and when the run is asked to stop.
        stop
            Looked at after every batch.
        on_epoch
            Called with the record of each epoch done.
        progress
            Called with the number of patches of each batch done, learned from or scored.

        Raises
        ------
        KeyboardInterrupt
            `stop` was requested; the checkpoint is written.
        DivergedError
            The loss became NaN or infinite.
        OutputError
            The checkpoint cannot be written.
        """
        state = self.progress
        keeper = _Keeper(self, checkpoint, stop)
        while state.epoch < self.settings.epochs and not self._patience_is_over():
            tally = self._learn(keeper, progress)
            scored = self._score(keeper, progress)
            record = self._record(tally, scored, keeper.seconds())
            self._judge(record, scored or tally)
            state.history.append(record.to_json())
            state.last = (scored or tally).to_json()
            state.epoch, state.batch, state.tally = state.epoch + 1, 0, None
            if on_epoch is not None:
                on_epoch(record)
            keeper.after_epoch()

    def _learn(self, keeper: _Keeper, progress: Counter | None) -> Tally:
        state, seed = self.progress, self.settings.seed
        chosen = self._batches(state.epoch)
        tally = Tally.from_json(state.tally) if state.tally else Tally.of(len(self.legend))
        self.learner.network.train()
        made = batches_on(
            self.device, self._learning, chosen[state.batch :], (seed, state.epoch), state.batch
        )
        with closing(made), _named(state.epoch):
            for images, labels in made:
                place = (state.epoch, state.batch)
                # Dropout and its like draw from torch's own generator.
                torch.manual_seed(int(generator(seed, *place, 0).integers(2**63)))
                self.learner.optimizer.rate = self._rate_at(state.batch, len(chosen))
                tally.add(*self.learner.step(images, labels), labels)
                state.batch += 1
                if progress is not None:
                    progress(len(images))
                keeper.after_batch(tally)
            state.tally = tally.to_json()
        return tally

    def _rate_at(self, batch: int, batches_of_epoch: int) -> float:
        """Learning rate of a batch of the present epoch."""
        done = self.progress.epoch + batch / batches_of_epoch
        return self.rate * self._schedule(done, self.settings.epochs)

    def _score(self, keeper: _Keeper, progress: Counter | None) -> Tally | None:
        if self.val is None:
            return None
        maker = BatchMaker(self.val, mean=self.mean, std=self.std)
        chosen = batches(np.arange(len(self.val), dtype=np.int64), self.settings.batch_size)
        with closing(batches_on(self.device, maker, chosen, (0, 0))) as made:
            return evaluate(self.learner, keeper.watch(made), len(self.legend), progress=progress)

    def _record(self, tally: Tally, scored: Tally | None, seconds: float) -> EpochRecord:
        train = tally.scores
        val = None if scored is None else scored.scores
        return EpochRecord(
            epoch=self.progress.epoch + 1,
            rate=self._rate_at(self.progress.batch - 1, self.progress.batch),
            train_loss=tally.mean_loss,
            train_accuracy=train.accuracy,
            train_miou=train.mean_iou,
            val_loss=math.nan if scored is None else scored.mean_loss,
            val_accuracy=math.nan if val is None else val.accuracy,
            val_miou=math.nan if val is None else val.mean_iou,
            seconds=seconds,
        )

    def _judge(self, record: EpochRecord, tally: Tally) -> None:
        """Keep the weights if this epoch is the best so far on the validation patches."""
        state, by = self.progress, self.settings.best_by
        value = {
            "loss": -record.val_loss,
            "accuracy": record.val_accuracy,
            "miou": record.val_miou,
        }[by]
        if self.settings.keep == "last" or math.isnan(value):
            return
        if state.best is None or value > state.best["value"]:
            state.best = {"epoch": record.epoch, "value": value, "tally": tally.to_json()}
            state.best_weights = {
                key: tensor.detach().cpu().clone()
                for key, tensor in self.learner.network.state_dict().items()
            }

    def _patience_is_over(self) -> bool:
        state, patience = self.progress, self.settings.patience
        if patience is None or state.best is None:
            return False
        return state.epoch - int(state.best["epoch"]) >= patience

    def finish(self) -> tuple[int, Tally]:
        """Give the network the weights that the model shall have.

        Returns
        -------
        epoch
            From 1; the best one, or the last where none is better than another.
        tally
            What was counted for it: on the validation patches, without any on the training
            patches while it learned.
        """
        state = self.progress
        if state.best is None:
            return state.epoch, Tally.from_json(state.last or Tally.of(len(self.legend)).to_json())
        self.learner.network.load_state_dict(state.best_weights)
        return int(state.best["epoch"]), Tally.from_json(state.best["tally"])


class _Keeper:
    """Writes the checkpoint in time, and when the run is asked to stop."""

    def __init__(self, run: Run, path: Path, stop: StopRequest) -> None:
        self._run, self._path, self._stop = run, path, stop
        self._before = run.progress.seconds
        self._began = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Time spent on the run, interruptions left out."""
        return self._before + time.monotonic() - self._began

    def after_batch(self, tally: Tally) -> None:
        if self._stop.made or self._is_due():
            self._run.progress.tally = tally.to_json()
            self._save()

    def after_epoch(self) -> None:
        if self._stop.made or self._is_due():
            self._save()

    def watch(self, made: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in made:
            yield batch
            if self._stop.made:
                self._save()

    def _is_due(self) -> bool:
        return time.monotonic() - self._saved >= self._run.checkpoint_seconds

    def _save(self) -> None:
        run = self._run
        run.progress.seconds = self.seconds()
        save_checkpoint(
            self._path, run.learner.network, run.learner.optimizer, run.progress, run.identity
        )
        self._saved = time.monotonic()
        if self._stop.made:
            raise KeyboardInterrupt


@contextmanager
def _named(epoch: int) -> Iterator[None]:
    try:
        yield
    except DivergedError as error:
        raise DivergedError(f"epoch {epoch + 1}: {error}") from error


def _legend(dataset: PatchDataset) -> Legend:
    if dataset.legend is None:
        raise DatasetError(
            f"{dataset.folder} holds no labels to learn from: tile again with --labels"
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
