"""From patches on disk to batches on a device, some batches ahead of the network."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import DatasetError
from geoseg.patches.augment import Augmentation, augment
from geoseg.patches.augment.crop import Area, Crop
from geoseg.patches.dataset import ArrayLike, PatchArrays, PatchDataset
from geoseg.patches.presence import UNKNOWN, presence_of_mask
from geoseg.patches.sampling import Order, Pool, generator
from geoseg.training.losses.base import IGNORE
from geoseg.training.prefetch import Prefetch
from geoseg.training.trust import Trust


@dataclass(frozen=True)
class LabelledPatches:
    """Patches that can be learned from or scored on: a split, or some of it."""

    images: ArrayLike
    """(patches of the split, bands, rows, cols), raw readings."""
    labels: ArrayLike | None
    """(patches of the split, rows, cols) uint8 class index, 255 where there is none; None where
    labels are of whole patches.
    """
    class_pixels: NDArray[np.int64]
    """(patches, classes); 0 where labels are of whole patches."""
    fill: float = 0.0
    """What invalid pixels hold in all bands."""
    chosen: NDArray[np.int64] | None = None
    """(patches,) place of each patch in the split; None for all of them."""
    presence: NDArray[np.uint8] | None = None
    """(patches, classes) 1 there, 0 not there, 255 unknown, where labels are of whole patches; None
    where they are of pixels.
    """
    confidence: ArrayLike | None = None
    """(patches of the split, rows, cols) uint8, 255ths; None where labels have no confidence."""

    def __len__(self) -> int:
        return len(self.class_pixels)

    @classmethod
    def of(
        cls,
        dataset: PatchDataset,
        split: str,
        chosen: NDArray[np.int64] | None = None,
        *,
        once: bool = False,
    ) -> LabelledPatches:
        """Open a split of a data set, or the patches of it that are chosen.

        With `once` a pixel of a scene that several patches have is labelled in the first alone.

        Raises
        ------
        DatasetError
            The set has no labels; or, with `once`, no index of where its patches lie.
        """
        arrays: PatchArrays = dataset.split(split)
        if once:
            from geoseg.patches.once import each_once  # noqa: PLC0415 — few runs need it

            arrays = each_once(dataset, arrays)
        counts, presence = arrays.class_pixels, None
        if dataset.labelling == "patches" and arrays.presence is not None:
            presence = arrays.presence if chosen is None else arrays.presence[chosen]
            if not np.isin(presence, (0, 1, UNKNOWN)).all():
                raise DatasetError(
                    f"{dataset.folder / split / 'presence.npy'} holds other values than 0, 1 and"
                    f" {UNKNOWN}: tile the scenes again"
                )
            counts = np.zeros(presence.shape, np.int64)
        elif arrays.labels is None or counts is None:
            raise DatasetError(
                f"{dataset.folder} holds no labels to learn from: tile again with --labels"
                " or --label-table"
            )
        elif chosen is not None:
            counts = counts[chosen]
        return cls(
            arrays.images,
            arrays.labels,
            counts,
            float(dataset.fill),
            chosen,
            presence,
            arrays.confidence,
        )

    def pool(self, ids: Sequence[int]) -> Pool:
        """Return what a sampler chooses from; `ids` are those of the classes in order."""
        rows, cols = self.images.shape[-2:]
        if self.presence is None:
            return Pool(class_pixels=self.class_pixels, ids=tuple(ids), pixels=rows * cols)
        return Pool(
            class_pixels=(self.presence == 1).astype(np.int64),
            ids=tuple(ids),
            pixels=rows * cols,
            known=(self.presence != UNKNOWN).any(axis=1),
        )

    def place(self, number: int) -> int:
        """Return the place of a patch in its split."""
        return int(number if self.chosen is None else self.chosen[number])


class BatchMaker:
    """Gathers, normalises and augments batches with numpy.

    Not with torch: its operations would bring up a second team of threads beside the network's.
    The normalisation is, to the bit, that of `geoseg.models.normalise`, and the reduction that of
    prediction at a reduced scale.

    Every patch is augmented by itself, from its place in the batch. So a batch is the same however
    many processes share it.

    Parameters
    ----------
    patches
        Where the pixels are.
    mean, std
        Per band, in units of the readings.
    transforms
        Done to each patch.
    downscale
        n to reduce patches n times along both axes before all else, see `geoseg.patches.reduce`.
    share
        For networks of image-level labels: a class is in a patch, as the network sees it, where it
        covers more than this share. None for networks of pixels.
    trust
        Which labels count; None for all.
    """

    def __init__(
        self,
        patches: LabelledPatches,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        transforms: Sequence[Augmentation] = (),
        downscale: int = 1,
        share: float | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._patches = patches
        self._share, self._trust = share, trust
        self._mean = np.asarray(mean, dtype=np.float32)[:, None, None]
        self._std = np.asarray(std, dtype=np.float32)[:, None, None]
        self._downscale = downscale
        # A crop that comes first is done while reading: what it leaves out is never touched.
        first = transforms[0] if transforms else None
        self._crop = first if isinstance(first, Crop) else None
        self._transforms = tuple(transforms[1:] if self._crop else transforms)

    def make(
        self, chosen: Order, seed: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Make the batch of the chosen patches.

        Parameters
        ----------
        chosen
            Which patches, in order, how turned, and their places in the batch.
        seed
            The run's seed, the epoch and the batch; with a patch's place the only source of chance.

        Returns
        -------
        images
            (patches, bands, rows, cols) float32, normalised and augmented.
        labels
            (patches, rows, cols) uint8 class index; of image-level labels (patches, classes) uint8,
            1 there, 0 not there. 255 where nobody knows.

        Raises
        ------
        DatasetError
            A label is beyond the classes, or a patch cannot be turned.
        OptionError
            The patches are too small for a crop.
        """
        images = np.empty((0, 0, 0, 0), np.float32)
        labels = np.empty((0, 0, 0), np.uint8)
        for at in range(len(chosen)):
            place = int(chosen.places[at])
            random = generator(*seed, 0, 0, place)
            number = int(chosen.patches[at])
            # Of their own stream, so that augmentation is the same however far labels are trusted.
            drawing = generator(*seed, 0, 1, place)
            image, mask = self._read(number, int(chosen.turns[at]), random, drawing)
            made = augment(self._transforms, image[None], mask[None], random)
            label = self._label(number, made[1][0])
            if at == 0:
                images = np.empty((len(chosen), *made[0].shape[1:]), np.float32)
                labels = np.empty((len(chosen), *label.shape), np.uint8)
            images[at], labels[at] = made[0][0], label
        return images, labels

    def _label(self, number: int, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what a network shall say of a patch whose pixels have become `mask`."""
        if self._patches.presence is not None:
            stored: NDArray[np.uint8] = self._patches.presence[number]
            return stored
        if self._share is not None:
            return presence_of_mask(mask, self._patches.class_pixels.shape[1], self._share)
        return mask

    def _read(
        self, number: int, turns: int, random: np.random.Generator, drawing: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read one patch, or the area of it that a crop draws: turned, reduced, normalised."""
        patches, place = self._patches, self._patches.place(number)
        raw = patches.images[place]
        rows, cols = raw.shape[-2:]
        layers = [raw]
        if patches.labels is None:
            # A mask of nothing goes through all that is done to one.
            layers.append(np.full((rows, cols), IGNORE, np.uint8))
        else:
            layers.append(patches.labels[place])
        if self._trust is not None and patches.confidence is not None:
            layers.append(patches.confidence[place])
        if turns:
            if turns % 2 and rows != cols:
                raise DatasetError(
                    f"patches of {rows} × {cols} pixels cannot be turned by 90 degrees: choose"
                    " another --sampler"
                )
            layers = [np.rot90(layer, turns, axes=(-2, -1)) for layer in layers]
        factor = self._downscale
        if self._crop is not None:
            rows, cols = (-(-length // factor) for length in layers[0].shape[-2:])
            area = self._crop.draw(rows, cols, random)
            layers = [_cut(layer, area, factor) for layer in layers]
            factor *= area.factor
        raw, labels = layers[0], layers[1]
        if self._trust is not None and len(layers) > 2:
            labels = self._trust.kept(labels, layers[2], drawing)
        if factor == 1:
            image = np.empty(raw.shape, np.float32)
            np.copyto(image, raw, casting="unsafe")
            mask = np.array(labels)
        else:
            # Compiled loops take a while to load, and most runs need none.
            from geoseg.patches.reduce import majority, mean_of_valid  # noqa: PLC0415

            image = mean_of_valid(raw, self._patches.fill, factor)
            mask = majority(labels, factor)
        classes = self._patches.class_pixels.shape[1]
        if bool(((mask >= classes) & (mask != IGNORE)).any()):
            raise DatasetError(
                f"a patch is labelled with a class beyond the {classes} of its data set: tile the"
                " scenes again"
            )
        image -= self._mean
        image /= self._std
        return image, mask


def _cut(array: NDArray[Any], area: Area, factor: int) -> NDArray[Any]:
    """Cut an area of reduced pixels out of (…, rows, cols), without a copy."""
    side = area.side * area.factor
    rows, cols = (slice(at * factor, (at + side) * factor) for at in (area.row, area.col))
    return array[..., rows, cols]


def batches_on(
    device: torch.device,
    maker: BatchMaker,
    chosen: Sequence[Order],
    seed: tuple[int, ...],
    start: int = 0,
    *,
    workers: int = 2,
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Yield batches on a device, channels-last, made while the ones before are used.

    Close the generator when leaving it early, so that its threads end.

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
    workers
        Threads that make batches; they come in order whatever the number.

    Yields
    ------
    images
        (N, bands, rows, cols) float32.
    labels
        (N, rows, cols) or, of image-level labels, (N, classes) int64.
    """
    pinned = device.type == "cuda"

    def job(number: int, patches: Order) -> Callable[[], tuple[Tensor, Tensor]]:
        def run() -> tuple[Tensor, Tensor]:
            images, labels = map(torch.from_numpy, maker.make(patches, (*seed, number)))
            return (images.pin_memory(), labels.pin_memory()) if pinned else (images, labels)

        return run

    jobs = [job(start + n, patches) for n, patches in enumerate(chosen)]
    with closing(Prefetch(jobs, workers=workers)) as made:
        for images, labels in made:
            yield (
                images.to(device, non_blocking=pinned).contiguous(
                    memory_format=torch.channels_last
                ),
                labels.to(device, non_blocking=pinned).long(),
            )
