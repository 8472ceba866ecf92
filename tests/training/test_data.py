"""From patches to batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import DatasetError
from geoseg.models.normalise import normalise
from geoseg.patches.augment import make_augmentations
from geoseg.patches.dataset import PatchDataset
from geoseg.training.data import BatchMaker, LabelledPatches, Prefetch, batches_on

MEAN, STD = (155.25, 1e4 / 3), (87.1, 0.7)


def patches(dtype: str = "uint16", number: int = 5) -> LabelledPatches:
    random = np.random.default_rng(0)
    images = (random.random((number, 2, 8, 8)) * 250).astype(dtype)
    labels = random.integers(0, 3, (number, 8, 8)).astype(np.uint8)
    return LabelledPatches(images, labels, np.full((number, 3), 1, np.int64))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_batches_are_normalised_to_the_bit_as_in_prediction(dtype: str) -> None:
    held = patches(dtype)
    chosen = np.array([3, 0], np.int64)
    images, labels = BatchMaker(held, mean=MEAN, std=STD).make(chosen, (0, 0, 0))
    wanted = normalise(torch.from_numpy(held.images[chosen]), MEAN, STD)
    assert images.tobytes() == wanted.numpy().tobytes()
    assert (labels == held.labels[chosen]).all()


def test_a_batch_depends_on_its_place_and_on_nothing_before_it() -> None:
    maker = BatchMaker(
        patches(), mean=MEAN, std=STD, transforms=make_augmentations("flips,rot90,noise")
    )
    chosen = np.arange(4)
    first, again = maker.make(chosen, (7, 2, 1)), maker.make(chosen, (7, 2, 1))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    for other in ((7, 2, 2), (7, 3, 1), (8, 2, 1)):
        assert (maker.make(chosen, other)[0] != first[0]).any()


def test_batches_come_in_order_channels_last_and_from_where_a_run_stopped() -> None:
    held = patches()
    maker = BatchMaker(held, mean=MEAN, std=STD, transforms=make_augmentations("noise"))
    chosen = [np.array([0, 1]), np.array([2, 3]), np.array([4, 0])]
    device = torch.device("cpu")
    whole = list(batches_on(device, maker, chosen, (0, 5)))
    assert [len(images) for images, _ in whole] == [2, 2, 2]
    assert all(i.is_contiguous(memory_format=torch.channels_last) for i, _ in whole)
    assert all(labels.dtype == torch.int64 for _, labels in whole)
    rest = list(batches_on(device, maker, chosen[1:], (0, 5), 1))
    for (a, b), (c, d) in zip(whole[1:], rest, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


def test_a_label_beyond_the_classes_is_refused() -> None:
    held = patches()
    held.labels[2][0, 0] = 3
    with pytest.raises(DatasetError, match="beyond the 3 of its data set"):
        BatchMaker(held, mean=MEAN, std=STD).make(np.array([2], np.int64), (0, 0, 0))


def waiting_threads() -> int:
    return sum(t.name == "geoseg-batches" for t in threading.enumerate())


def test_leaving_early_ends_the_thread() -> None:
    maker = BatchMaker(patches(), mean=MEAN, std=STD)
    with closing(batches_on(torch.device("cpu"), maker, [np.array([0])] * 50, (0, 0))) as made:
        next(made)
    assert waiting_threads() == 0


def test_an_error_in_the_thread_reaches_whoever_iterates() -> None:
    def broken() -> int:
        raise DatasetError("the disk is gone")

    with closing(Prefetch([lambda: 1, broken, lambda: 3])) as jobs:
        results = iter(jobs)
        assert next(results) == 1
        with pytest.raises(DatasetError, match="the disk is gone"):
            next(results)
    assert waiting_threads() == 0


def test_a_set_without_labels_is_refused(patch_folder: Callable[..., Path]) -> None:
    dataset = PatchDataset.open(patch_folder(labelled=False))
    with pytest.raises(DatasetError, match="holds no labels to learn from"):
        LabelledPatches.of(dataset, "train")
