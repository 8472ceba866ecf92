"""From patches to batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from geoseg.errors import DatasetError, OptionError
from geoseg.inference.members import InputSpec
from geoseg.inference.source import InputRows
from geoseg.models.normalise import normalise
from geoseg.patches.augment import make_augmentations
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.reduce import majority, mean_of_valid
from geoseg.patches.sampling import Order, batches, part
from geoseg.raster.scene import Scene
from geoseg.training.data import BatchMaker, LabelledPatches, batches_on

MEAN, STD = (155.25, 1e4 / 3), (87.1, 0.7)
CPU = torch.device("cpu")


def patches(dtype: str = "uint16", number: int = 5, size: int = 8) -> LabelledPatches:
    random = np.random.default_rng(0)
    images = (random.random((number, 2, size, size)) * 250).astype(dtype)
    labels = random.integers(0, 3, (number, size, size)).astype(np.uint8)
    return LabelledPatches(images, labels, np.full((number, 3), 1, np.int64))


def maker_of(held: LabelledPatches, text: str = "none", downscale: int = 1) -> BatchMaker:
    transforms = make_augmentations(text)
    return BatchMaker(held, mean=MEAN, std=STD, transforms=transforms, downscale=downscale)


def order(*chosen: int) -> Order:
    return Order.of(np.array(chosen, np.int64))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_batches_are_normalised_to_the_bit_as_in_prediction(dtype: str) -> None:
    held = patches(dtype)
    images, labels = maker_of(held).make(order(3, 0), (0, 0, 0))
    wanted = normalise(torch.from_numpy(held.images[[3, 0]]), MEAN, STD)
    assert images.tobytes() == wanted.numpy().tobytes()
    assert (labels == held.labels[[3, 0]]).all()


def test_a_batch_depends_on_its_place_and_on_nothing_before_it() -> None:
    maker = maker_of(patches(), "flips,rot90,noise")
    chosen = order(0, 1, 2, 3)
    first, again = maker.make(chosen, (7, 2, 1)), maker.make(chosen, (7, 2, 1))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    for other in ((7, 2, 2), (7, 3, 1), (8, 2, 1)):
        assert (maker.make(chosen, other)[0] != first[0]).any()


def test_a_patch_drawn_twice_in_a_batch_is_augmented_anew() -> None:
    images, _ = maker_of(patches(), "noise").make(order(1, 1), (0, 0, 0))
    assert (images[0] != images[1]).any()


@pytest.mark.parametrize("text", ["none", "flips, rotate, noise", "crop(size=4), noise"])
def test_processes_that_share_a_batch_make_what_one_would_make(text: str) -> None:
    maker = maker_of(patches(), text)
    (whole,) = batches(Order(np.array([4, 2, 0, 2, 1]), np.array([0, 3, 1, 2, 0], np.uint8)), 9)
    images, labels = maker.make(whole, (3, 1, 4))
    for rank in range(2):
        own = maker.make(part(whole, rank, 2), (3, 1, 4))
        assert own[0].tobytes() == images[rank::2].tobytes()
        assert own[1].tobytes() == labels[rank::2].tobytes()


def test_patches_are_turned_against_the_clock_before_augmentation() -> None:
    held = patches()
    chosen = Order(np.array([2, 2, 2, 2]), np.arange(4, dtype=np.uint8))
    images, labels = maker_of(held).make(chosen, (0, 0, 0))
    for turns in range(4):
        assert (labels[turns] == np.rot90(held.labels[2], turns)).all()
        assert (images[turns] == np.rot90(images[0], turns, axes=(1, 2))).all()


def test_a_patch_that_is_not_square_is_not_turned_on_its_side() -> None:
    held = LabelledPatches(
        np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 3), np.uint8), np.ones((1, 3), np.int64)
    )
    maker = maker_of(held)
    maker.make(Order(np.array([0]), np.array([2], np.uint8)), (0, 0, 0))
    with pytest.raises(DatasetError, match="of 2 × 3 pixels cannot be turned by 90 degrees"):
        maker.make(Order(np.array([0]), np.array([1], np.uint8)), (0, 0, 0))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_come_in_order_channels_last_and_from_where_a_run_stopped(workers: int) -> None:
    maker = maker_of(patches(), "noise, rotate")
    chosen = [order(0, 1), order(2, 3), order(4, 0)]
    whole = list(batches_on(CPU, maker, chosen, (0, 5), workers=workers))
    assert [len(images) for images, _ in whole] == [2, 2, 2]
    assert all(i.is_contiguous(memory_format=torch.channels_last) for i, _ in whole)
    assert all(labels.dtype == torch.int64 for _, labels in whole)
    rest = list(batches_on(CPU, maker, chosen[1:], (0, 5), 1))
    for (a, b), (c, d) in zip(whole[1:], rest, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


# -- crops and reduction -------------------------------------------------------------------------


class Refusing:
    """Patches of which only some pixels may be touched."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> np.ndarray:
        assert isinstance(index, int), "patches are read one by one, as views"
        return self.array[index]


@pytest.mark.parametrize("downscale", [1, 2, 3])
@pytest.mark.parametrize("text", ["crop(size=3)", "crop(size=2, downscale=[1, 2])"])
def test_a_first_crop_is_cut_out_of_the_turned_and_reduced_patch(text: str, downscale: int) -> None:
    held = patches("float32", size=13)
    found = LabelledPatches(Refusing(held.images), Refusing(held.labels), held.class_pixels)
    chosen = Order(np.arange(5), np.array([0, 1, 2, 3, 0], np.uint8))
    cut, labels = maker_of(found, text, downscale).make(chosen, (0, 0, 0))
    for place in range(5):
        turned = np.rot90(held.images[place], chosen.turns[place], axes=(1, 2))
        mask = np.rot90(held.labels[place], chosen.turns[place])
        candidates = []
        for factor in (1, 2) if "[" in text else (1,):
            side = cut.shape[-1] * factor * downscale
            for row in range(0, 13, downscale):
                for col in range(0, 13, downscale):
                    part_of = turned[:, row : row + side, col : col + side]
                    label = mask[row : row + side, col : col + side]
                    by = factor * downscale
                    candidates.append((mean_of_valid(part_of, 0, by), majority(label, by)))
        wanted = [
            (normalise(torch.from_numpy(image), MEAN, STD).numpy(), label)
            for image, label in candidates
        ]
        assert any(
            image.shape == cut[place].shape
            and np.allclose(image, cut[place])
            and (label == labels[place]).all()
            for image, label in wanted
        )


def test_a_crop_that_does_not_fit_reaches_whoever_trains_as_one_line() -> None:
    maker = maker_of(patches(), "crop(size=288)")
    with (
        closing(batches_on(CPU, maker, [order(0)], (0, 0))) as made,
        pytest.raises(OptionError, match="needs patches of 288 pixels, and these are of 8 × 8"),
    ):
        next(made)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_reduced_patches_are_to_the_bit_what_prediction_sees(
    tmp_path: Path, dtype: str, factor: int
) -> None:
    random = np.random.default_rng(factor)
    pixels = (1 + random.random((2, 13, 13)) * 250).astype(dtype)
    invalid = random.random((13, 13)) < 0.3
    invalid[:6, :6] = True
    scene_path = tmp_path / "scene.tif"
    with rasterio.open(
        scene_path,
        "w",
        driver="GTiff",
        count=2,
        height=13,
        width=13,
        dtype=dtype,
        nodata=0,
        crs="EPSG:32633",
        transform=from_origin(5e5, 5.6e6, 10, 10),
    ) as file:
        file.write(np.where(invalid, 0, pixels).astype(dtype))
        file.descriptions = ("red", "nir")
    fill = 7.0
    side = -(-13 // factor)
    with Scene.open(scene_path) as scene:
        spec = InputSpec(("red", "nir"), MEAN, STD, fill=fill)
        source = InputRows(scene, [spec], area=None, scale=factor, workers=1, device=CPU)
        source.load(side)
        (wanted,) = source.tiles(0, side, [0], side)
        source.close()
    held = LabelledPatches(
        np.where(invalid, 7, pixels).astype(dtype)[None],
        np.zeros((1, 13, 13), np.uint8),
        np.array([[169, 0, 0]], np.int64),
        fill,
    )
    images, labels = maker_of(held, downscale=factor).make(order(0), (0, 0, 0))
    assert images.tobytes() == wanted.numpy().tobytes()
    assert labels.shape == (1, side, side)


# -- data sets -----------------------------------------------------------------------------------


def test_a_label_beyond_the_classes_is_refused() -> None:
    held = patches()
    held.labels[2][0, 0] = 3
    with pytest.raises(DatasetError, match="beyond the 3 of its data set"):
        maker_of(held).make(order(2), (0, 0, 0))


def waiting_threads() -> int:
    return sum(t.name == "geoseg-batches" for t in threading.enumerate())


def test_leaving_early_ends_the_threads() -> None:
    with closing(batches_on(CPU, maker_of(patches()), [order(0)] * 50, (0, 0))) as made:
        next(made)
    assert waiting_threads() == 0


def test_a_set_without_labels_is_refused(patch_folder: Callable[..., Path]) -> None:
    dataset = PatchDataset.open(patch_folder(labelled=False))
    with pytest.raises(DatasetError, match="holds no labels to learn from"):
        LabelledPatches.of(dataset, "train")


def test_chosen_patches_are_numbered_anew(patch_folder: Callable[..., Path]) -> None:
    dataset = PatchDataset.open(patch_folder(train=6))
    every = LabelledPatches.of(dataset, "train")
    some = LabelledPatches.of(dataset, "train", np.array([5, 1]))
    assert len(every) == 6
    assert len(some) == 2
    assert (some.class_pixels == every.class_pixels[[5, 1]]).all()
    a, b = (maker_of(p).make(o, (0, 0, 0)) for p, o in ((every, order(1, 5)), (some, order(1, 0))))
    assert (a[0] == b[0]).all()
    assert (a[1] == b[1]).all()


@pytest.mark.parametrize("text", ["flips, rotate, noise", "crop(size=4, downscale=[1, 2])"])
@pytest.mark.parametrize("downscale", [1, 2])
def test_patches_mapped_from_a_file_can_be_reduced_and_augmented(
    patch_folder: Callable[..., Path], text: str, downscale: int
) -> None:
    held = LabelledPatches.of(PatchDataset.open(patch_folder()), "train")
    images, labels = maker_of(held, text, downscale).make(order(*range(6)), (0, 0, 0))
    side = 4 if "crop" in text else 16 // downscale
    assert images.shape == (6, 2, side, side)
    assert labels.shape == (6, side, side)
    assert np.isfinite(images).all()


def test_a_pool_is_of_the_patches_that_are_there(patch_folder: Callable[..., Path]) -> None:
    dataset = PatchDataset.open(patch_folder(train=6, size=16))
    pool = LabelledPatches.of(dataset, "train", np.array([5, 1])).pool((10, 11, 12))
    assert pool.pixels == 256
    assert pool.ids == (10, 11, 12)
    assert len(pool.class_pixels) == 2
