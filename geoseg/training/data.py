"""From patches on disk to batches on a device, one batch ahead of the network."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import DatasetError
from geoseg.patches.augment import Augmentation, augment
from geoseg.patches.dataset import ArrayLike, PatchArrays, PatchDataset
from geoseg.patches.sampling import generator
from geoseg.training.losses.base import IGNORE

T = TypeVar("T")


@dataclass(frozen=True)
class LabelledPatches:
    """A split that can be learned from or scored on."""

    images: ArrayLike
    """(patches, bands, rows, cols), raw readings."""
    labels: ArrayLike
    """(patches, rows, cols) uint8 class index, 255 where there is none."""
    class_pixels: NDArray[np.int64]
    """(patches, classes)."""

    def __len__(self) -> int:
        return len(self.class_pixels)

    @classmethod
    def of(cls, dataset: PatchDataset, split: str) -> LabelledPatches:
        """Open a split of a data set.

        Raises
        ------
        DatasetError
            The set has no labels.
        """
        arrays: PatchArrays = dataset.split(split)
        if arrays.labels is None or arrays.class_pixels is None:
            raise DatasetError(
                f"{dataset.folder} holds no labels to learn from: tile again with --labels"
            )
        return cls(arrays.images, arrays.labels, arrays.class_pixels)


class BatchMaker:
    """Gathers, normalises and augments batches with numpy.

    Not with torch: its operations would bring up a second team of threads beside the network's.
    The normalisation is, to the bit, that of `geoseg.models.normalise`.

    Parameters
    ----------
    patches
        Where the pixels are.
    mean, std
        Per band, in units of the readings.
    transforms
        Done to each batch.
    """

    def __init__(
        self,
        patches: LabelledPatches,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        transforms: Sequence[Augmentation] = (),
    ) -> None:
        self._patches = patches
        self._mean = np.asarray(mean, dtype=np.float32)[:, None, None]
        self._std = np.asarray(std, dtype=np.float32)[:, None, None]
        self._transforms = tuple(transforms)

    def make(
        self, chosen: NDArray[np.int64], seed: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Make the batch of the chosen patches.

        Parameters
        ----------
        chosen
            Which patches, in order.
        seed
            The run's seed and the batch's place in it; the only source of chance.

        Returns
        -------
        images
            (patches, bands, rows, cols) float32, normalised and augmented.
        labels
            (patches, rows, cols) uint8.

        Raises
        ------
        DatasetError
            A label is beyond the classes.
        """
        shape = (len(chosen), *self._patches.images.shape[1:])
        images = np.empty(shape, dtype=np.float32)
        labels = np.empty((len(chosen), *shape[2:]), dtype=np.uint8)
        for place, patch in enumerate(chosen):
            np.copyto(images[place], self._patches.images[int(patch)], casting="unsafe")
            labels[place] = self._patches.labels[int(patch)]
        classes = self._patches.class_pixels.shape[1]
        if bool(((labels >= classes) & (labels != IGNORE)).any()):
            raise DatasetError(
                f"a patch is labelled with a class beyond the {classes} of its data set: tile the"
                " scenes again"
            )
        images -= self._mean
        images /= self._std
        augment(self._transforms, images, labels, generator(*seed))
        return images, labels


class Prefetch(Generic[T]):
    """Runs jobs in a thread, in order, a few ahead of whoever iterates.

    An exception of a job reaches the iterating thread. `close` stops the thread; leaving the
    iteration early without it would leave a thread waiting.
    """

    def __init__(self, jobs: Sequence[Callable[[], T]], *, ahead: int = 2) -> None:
        self._jobs = jobs
        self._done: queue.Queue[T | BaseException] = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="geoseg-batches", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        for job in self._jobs:
            try:
                result: T | BaseException = job()
            except BaseException as error:
                result = error
            while not self._stop.is_set():
                try:
                    self._done.put(result, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if self._stop.is_set() or isinstance(result, BaseException):
                return

    def __iter__(self) -> Iterator[T]:
        for _ in self._jobs:
            result = self._done.get()
            if isinstance(result, BaseException):
                raise result
            yield result

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        self._thread.join()


def batches_on(
    device: torch.device,
    maker: BatchMaker,
    chosen: Sequence[NDArray[np.int64]],
    seed: tuple[int, ...],
    start: int = 0,
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Yield batches on a device, channels-last, each made while the one before is used.

    Close the generator when leaving it early, so that its thread ends.

    Parameters
    ----------
    device
        Where the network is; for CUDA through page-locked memory and without waiting.
    maker
        Makes the batches.
    chosen
        The patches of each batch.
    seed
        The run's seed and the epoch; the batch's number is added.
    start
        Number of the first of `chosen` within its epoch.

    Yields
    ------
    images
        (N, bands, rows, cols) float32.
    labels
        (N, rows, cols) int64.
    """
    pinned = device.type == "cuda"

    def job(number: int, patches: NDArray[np.int64]) -> Callable[[], tuple[Tensor, Tensor]]:
        def run() -> tuple[Tensor, Tensor]:
            images, labels = map(torch.from_numpy, maker.make(patches, (*seed, number)))
            return (images.pin_memory(), labels.pin_memory()) if pinned else (images, labels)

        return run

    with closing(Prefetch([job(start + n, p) for n, p in enumerate(chosen)])) as made:
        for images, labels in made:
            yield (
                images.to(device, non_blocking=pinned).contiguous(
                    memory_format=torch.channels_last
                ),
                labels.to(device, non_blocking=pinned).long(),
            )
