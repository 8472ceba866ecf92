"""The epochs of a run. Knows no output but its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geoseg.errors import ModelError, OptionError
from geoseg.models.precision import autocast
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.sampling import Order, batches, generator, part
from geoseg.training.averaging import add_to_mean, averaged, renew_batch_norm
from geoseg.training.checkpoint import Progress, load_checkpoint, read_identity, save_checkpoint
from geoseg.training.data import BatchMaker, batches_on
from geoseg.training.distributed import Processes
from geoseg.training.interrupt import StopRequest
from geoseg.training.keeper import SECONDS_BETWEEN_CHECKPOINTS, Keeper
from geoseg.training.loop import DivergedError, Learner, Tally, evaluate
from geoseg.training.records import EpochRecord
from geoseg.training.schedule import Place, make_schedule
from geoseg.training.settings import Settings
from geoseg.training.setup import Setup

Counter = Callable[[int], None]
"""Told of so many more patches done."""

_ALONE = Processes()


class Run:
    """A network, its data and where it is in learning from them.

    Parameters
    ----------
    dataset, settings, device, processes
        See `geoseg.training.setup.Setup`.
    workers
        Threads that make batches.

    Raises
    ------
    DatasetError, OptionError, ModelError
        As `Setup` does.
    """

    def __init__(
        self,
        dataset: PatchDataset,
        settings: Settings,
        device: torch.device,
        processes: Processes = _ALONE,
        *,
        workers: int = 2,
    ) -> None:
        self.dataset, self.settings, self.device = dataset, settings, device
        self.setup = Setup(dataset, settings, device, processes)
        self.learner: Learner = self.setup.learner
        self.progress = Progress()
        self.checkpoint_seconds = SECONDS_BETWEEN_CHECKPOINTS
        self._processes, self._workers = processes, workers
        self._schedule = make_schedule(settings.schedule)
        self.setup.check_batches(
            min(len(part(b, processes.count - 1, processes.count)) for b in self._batches(0))
        )

    def _batches(self, epoch: int) -> list[Order]:
        return batches(self.setup.sampler.order(epoch), self.settings.batch_size)

    @property
    def identity(self) -> dict[str, Any]:
        """What must agree for a checkpoint to be of this run."""
        return {"settings": self.settings.to_json(), "data": self.dataset.hash()}

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self._processes.is_first

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

    def save(self, path: Path) -> None:
        """Write the state of the run to a checkpoint; of several processes, the first does."""
        if self._processes.is_first:
            save_checkpoint(
                path, self.learner.network, self.learner.optimizer, self.progress, self.identity
            )

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
        keeper = Keeper(self, checkpoint, stop, self.checkpoint_seconds, self._processes)
        while state.epoch < self.settings.all_epochs and not self._patience_is_over():
            tally = self._learn(keeper, progress).over(self._processes)
            scored = None if self.setup.val is None else self._score(self.learner, keeper, progress)
            record = self._record(tally, scored, keeper.seconds())
            if not self._collect(record, keeper):
                self._judge(record, scored or tally)
            state.history.append(record.to_json())
            state.last = (scored or tally).to_json()
            state.epoch, state.batch, state.tally = state.epoch + 1, 0, None
            if on_epoch is not None:
                on_epoch(record)
            keeper.after_epoch()

    def _learn(self, keeper: Keeper, progress: Counter | None) -> Tally:
        state, seed, processes = self.progress, self.settings.seed, self._processes
        whole = self._batches(state.epoch)
        own = [part(batch, processes.rank, processes.count) for batch in whole]
        task = self.setup.task
        # What other processes had counted of an epoch cut short is lost with them.
        known = state.tally if processes.is_first else None
        tally = Tally.from_json(task, known) if known else Tally.of(task)
        self.learner.network.train()
        self.learner.optimizer.zero_grad()
        made = self._made(self.setup.learning, own, state.epoch, state.batch)
        with closing(made), _named(state.epoch):
            for images, labels in made:
                batch = state.batch
                # Dropout and its like draw from torch's own generator.
                place = (state.epoch, batch, *((processes.rank,) if processes.rank else ()), 0)
                torch.manual_seed(int(generator(seed, *place).integers(2**63)))
                self.learner.optimizer.rate = self._rate_at(batch, len(whole))
                share, last = self._share(batch, len(whole))
                share *= len(images) * processes.count / len(whole[batch])
                tally.add(*self.learner.step(images, labels, share=share, last=last), labels)
                state.batch += 1
                if progress is not None:
                    progress(len(images))
                if last:
                    keeper.after_step(tally)
            state.tally = tally.to_json()
        # Batch norms of different processes have seen different parts.
        processes.share(self.learner.network.buffers())
        return tally

    def _made(
        self, maker: BatchMaker, orders: Sequence[Order], epoch: int, start: int = 0
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        # The same seed in every process: an order knows the places of its patches in the whole
        # batch, and by these each patch is augmented.
        seed = (self.settings.seed, epoch)
        return batches_on(self.device, maker, orders[start:], seed, start, workers=self._workers)

    def _share(self, batch: int, count: int) -> tuple[float, bool]:
        """Weight of a batch in its step, and whether the step is made after it."""
        every = self.settings.accumulate
        first = batch - batch % every
        return 1 / min(every, count - first), (batch + 1) % every == 0 or batch + 1 == count

    def _rate_at(self, batch: int, batches_of_epoch: int) -> float:
        """Learning rate of a batch of the present epoch."""
        settings = self.settings
        done = self.progress.epoch + batch / batches_of_epoch
        averaging = settings.averaging
        if averaging is not None and done >= settings.epochs:
            return settings.rate * averaging.factor(done - settings.epochs)
        losses = tuple(r.train_loss if math.isnan(r.val_loss) else r.val_loss for r in self.history)
        return settings.rate * self._schedule(Place(done, settings.epochs, losses))

    def _score(self, learner: Learner, keeper: Keeper, progress: Counter | None) -> Tally:
        """Score on the validation patches; without any, on the training patches."""
        count = len(self.setup.train if self.setup.val is None else self.setup.val)
        everything = Order.of(np.arange(count, dtype=np.int64))
        own = part(everything, self._processes.rank, self._processes.count)
        made = self._made(self.setup.scoring, batches(own, self.settings.batch_size), 0)
        with closing(made):
            tally = evaluate(learner, keeper.watch(made), self.setup.task, progress=progress)
        return tally.over(self._processes)

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
        if self.settings.averaging is not None or math.isnan(value):
            return
        if state.best is None or value > state.best["value"]:
            state.best = {"epoch": record.epoch, "value": value, "tally": tally.to_json()}
            state.best_weights = _copied(self.learner.network.state_dict())

    def _collect(self, record: EpochRecord, keeper: Keeper) -> bool:
        """At the end of a cycle of weight averaging, take its weights into the mean.

        All of it is worked out on a copy and kept only when it is done, so that a run stopped
        meanwhile does it again.
        """
        state, averaging = self.progress, self.settings.averaging
        if averaging is None or not averaging.ends_cycle(record.epoch - self.settings.epochs):
            return False
        network = self.learner.network
        mean = add_to_mean(state.mean_weights, len(state.averages), network.state_dict())
        made = averaged(network, mean)
        self._renew(made, keeper)
        tally = self._score(replace(self.learner, network=made, spread=None), keeper, None)
        state.averages.append(
            {
                "cycle": len(state.averages) + 1,
                "epoch": record.epoch,
                "last": {
                    "loss": _known(record.val_loss),
                    "accuracy": _known(record.val_accuracy),
                    "miou": _known(record.val_miou),
                },
                "average": {
                    "loss": _known(tally.mean_loss),
                    "accuracy": _known(tally.scores.accuracy),
                    "miou": _known(tally.scores.mean_iou),
                },
            }
        )
        state.mean_weights, state.best_weights = mean, _copied(made.state_dict())
        state.best = {"epoch": record.epoch, "value": 0.0, "tally": tally.to_json()}
        return True

    def _renew(self, network: torch.nn.Module, keeper: Keeper) -> None:
        """Take a network's batch-norm statistics anew, over the batches of the present epoch."""
        processes = self._processes
        orders = [
            part(b, processes.rank, processes.count) for b in self._batches(self.progress.epoch)
        ]
        made = self._made(self.setup.learning, orders, self.progress.epoch)
        with closing(made), autocast(self.learner.precision, self.device):
            renew_batch_norm(network, (images for images, _ in keeper.watch(made)))
        processes.average(network.buffers())

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
            From 1; the best one, or the last where none is better than another or where weights
            are averaged.
        tally
            What was counted for it: on the validation patches, without any on the training
            patches, while it learned or, of averaged weights, in the end.
        """
        state, task = self.progress, self.setup.task
        last = self.settings.keep == "last" and self.settings.averaging is None
        if state.best is None or last:
            return state.epoch, Tally.from_json(task, state.last or Tally.of(task).to_json())
        self.learner.network.load_state_dict(state.best_weights)
        return int(state.best["epoch"]), Tally.from_json(task, state.best["tally"])


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.detach().to("cpu", copy=True) for key, tensor in state.items()}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


@contextmanager
def _named(epoch: int) -> Iterator[None]:
    try:
        yield
    except DivergedError as error:
        raise DivergedError(f"epoch {epoch + 1}: {error}") from error
