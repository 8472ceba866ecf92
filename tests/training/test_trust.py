"""How far labels with a confidence count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import OptionError
from geoseg.models.card import read_card
from geoseg.patches.augment import make_augmentations
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.sampling import Order, batches, generator, part
from geoseg.training.comparison.grid import setting_value
from geoseg.training.data import BatchMaker, LabelledPatches, batches_on
from geoseg.training.fit import fit
from geoseg.training.settings import Settings
from geoseg.training.trust import Trust, least_stored

FolderMaker = Callable[..., Path]
WEIGHT = Trust(drawn=True)


def maker(held: LabelledPatches, trust: Trust | None, text: str = "none") -> BatchMaker:
    return BatchMaker(
        held, mean=(0.0, 0.0), std=(1.0, 1.0), transforms=make_augmentations(text), trust=trust
    )


def confident(folder: FolderMaker, **more: Any) -> LabelledPatches:
    dataset = PatchDataset.open(folder(confident=True, **more))
    return LabelledPatches.of(dataset, "train")


# -- a share -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "least"), [(0, 0), (1, 255), (0.6, 153), (0.5, 127), (0.7, 178)])
def test_no_label_that_reaches_the_share_is_left_out(share: float, least: int) -> None:
    assert least_stored(share) == least
    assert least <= round(255 * share)
    # One stored below the least was more than half a step, so truly, below the share.
    assert least == 0 or (least - 1 + 0.5) / 255 <= share


def test_labels_below_the_share_are_ignored_and_those_on_it_stay() -> None:
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    confidence = np.array([[152, 153, 255, 255]], np.uint8)
    kept = Trust.of(0.6, learning=True).kept(labels, confidence, generator(0))  # type: ignore[union-attr]
    assert kept.tolist() == [[255, 1, 2, 255]]
    assert labels.tolist() == [[0, 1, 2, 255]]


def test_a_share_holds_for_scores_too_and_weights_do_not() -> None:
    assert Trust.of(0.6, learning=False) == Trust.of(0.6, learning=True) == Trust(least=153)
    assert Trust.of("weight", learning=True) == WEIGHT
    assert Trust.of("weight", learning=False) is None
    assert Trust.of("none", learning=True) is None
    assert Trust.of(None, learning=True) is None


# -- by weight -----------------------------------------------------------------------------------


def test_a_label_is_kept_as_often_as_its_confidence_says() -> None:
    confidence = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4000, axis=1)
    kept = WEIGHT.kept(np.zeros_like(confidence), confidence, generator(3)) == 0
    share, wanted = kept.mean(axis=1), np.arange(256) / 255
    assert share[0] == 0
    assert share[255] == 1
    # Five standard deviations of a binomial: less than once in a million, times 256.
    deviation = np.sqrt(wanted * (1 - wanted) / 4000)
    assert (np.abs(share - wanted) <= 5 * deviation).all()
    assert abs(share.mean() - 0.5) < 5 * np.sqrt((wanted * (1 - wanted)).sum() / 4000) / 256


def test_expected_losses_are_those_of_weights() -> None:
    random = np.random.default_rng(0)
    confidence = random.integers(0, 256, (1, 30)).astype(np.uint8)
    loss = random.random((1, 30))
    draws = [
        loss[WEIGHT.kept(np.zeros((1, 30), np.uint8), confidence, generator(n)) == 0].sum()
        for n in range(3000)
    ]
    p = confidence / 255
    deviation = np.sqrt((loss**2 * p * (1 - p)).sum() / 3000)
    assert abs(np.mean(draws) - (loss * p).sum()) < 5 * deviation


def test_each_showing_draws_anew_and_moves_no_augmentation(patch_folder: FolderMaker) -> None:
    held, chosen = confident(patch_folder), Order.of(np.array([3, 3]))
    text = "flips, rotate, noise"
    images, labels = maker(held, WEIGHT, text).make(chosen, (0, 0, 0))
    plain, whole = maker(held, None, text).make(chosen, (0, 0, 0))
    assert images.tobytes() == plain.tobytes()
    assert ((labels == whole) | (labels == 255)).all()
    assert 0.3 < ((labels == whole) & (whole != 255)).sum() / (whole != 255).sum() < 0.7
    still = maker(held, WEIGHT).make(chosen, (0, 0, 0))[1]
    assert (still[0] != still[1]).any()
    for other in ((0, 0, 1), (0, 1, 0), (1, 0, 0)):
        assert (maker(held, WEIGHT).make(chosen, other)[1] != still).any()


@pytest.mark.parametrize("text", ["none", "crop(size=8), flips"])
def test_confidences_are_turned_and_cut_with_their_labels(
    patch_folder: FolderMaker, text: str
) -> None:
    held = confident(patch_folder, unlabelled_share=0.0)
    chosen = Order(np.array([2, 2, 2, 2]), np.arange(4, dtype=np.uint8))
    confidence = np.asarray(held.confidence)[2]
    found = maker(held, Trust(least=100), text).make(chosen, (0, 0, 0))[1]
    left_out = np.where(confidence >= 100, np.asarray(held.labels)[2], 255).astype(np.uint8)
    stored = np.array(held.labels)
    stored[2] = left_out
    done = LabelledPatches(held.images, stored, held.class_pixels)
    assert found.tobytes() == maker(done, None, text).make(chosen, (0, 0, 0))[1].tobytes()
    assert 0 < (found == 255).mean() < 1


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_the_same_bytes_whatever_the_workers(
    patch_folder: FolderMaker, workers: int
) -> None:
    made = maker(confident(patch_folder), WEIGHT, "flips, noise")
    chosen = [Order.of(np.array(c)) for c in ([0, 1], [2, 3], [4, 5])]
    one = [made.make(order, (0, 5, n)) for n, order in enumerate(chosen)]
    found = list(batches_on(torch.device("cpu"), made, chosen, (0, 5), workers=workers))
    for (images, labels), (wanted, masks) in zip(found, one, strict=True):
        assert images.numpy().tobytes() == np.ascontiguousarray(wanted).tobytes()
        assert (labels.numpy() == masks).all()


def test_processes_that_share_a_batch_draw_what_one_would(patch_folder: FolderMaker) -> None:
    made = maker(confident(patch_folder), WEIGHT, "rotate")
    (whole,) = batches(Order.of(np.array([4, 2, 0, 2, 1])), 9)
    labels = made.make(whole, (3, 1, 4))[1]
    for rank in range(2):
        assert made.make(part(whole, rank, 2), (3, 1, 4))[1].tolist() == labels[rank::2].tolist()


# -- the setting ---------------------------------------------------------------------------------


def tiny(**more: Any) -> Settings:
    return Settings(**{"model_options": {"widths": (4, 8)}, "epochs": 1, "batch_size": 3, **more})


def test_weight_is_the_default_and_noted_and_of_another_result_than_none(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder(confident=True)
    scores = {}
    for name, value in (("a", None), ("b", "weight"), ("c", "none"), ("d", 0.5)):
        path = tmp_path / f"{name}.safetensors"
        report = fit(folder, path, tiny(confidence=value), device="cpu", description="d").report
        assert report["settings"]["confidence"] == (value or "weight")
        assert read_card(path).training["settings"]["confidence"] == (value or "weight")
        scores[name] = (report["loss"], sum(c["pixels"] for c in report["classes"]))
    assert scores["a"] == scores["b"] != scores["c"]
    # Scores are of all validation labels, but with a share.
    assert scores["a"][1] == scores["c"][1]
    confidence, labels = (np.load(folder / "val" / f"{n}.npy") for n in ("confidence", "labels"))
    assert scores["d"][1] == ((confidence >= 127) & (labels != 255)).sum()


def test_networks_of_image_level_labels_use_a_share_or_nothing(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, path = patch_folder(confident=True, size=16), tmp_path / "m.safetensors"
    shallow = {"model": "shallow-cnn", "model_options": {"widths": (2, 2, 2, 2)}}
    with pytest.raises(OptionError, match="use --confidence none or a share"):
        fit(folder, path, tiny(**shallow, confidence="weight"), device="cpu")
    report = fit(folder, path, tiny(**shallow), device="cpu").report
    assert report["settings"]["confidence"] == "none"


def test_a_confidence_of_labels_without_any_is_refused(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"--confidence: the labels of .* have none"):
        fit(patch_folder(), tmp_path / "m.safetensors", tiny(confidence="none"), device="cpu")


@pytest.mark.parametrize("value", ["heavy", 1.5, -0.1, float("nan"), True])
def test_a_confidence_without_meaning_is_refused(value: Any) -> None:
    with pytest.raises(OptionError, match="--confidence"):
        Settings(confidence=value)


@pytest.mark.parametrize(("text", "value"), [("none", "none"), ("0.5", 0.5), ("weight", "weight")])
def test_a_comparison_reads_none_as_the_word(text: str, value: Any) -> None:
    assert setting_value("confidence", text) == value


@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0])
def test_a_share_that_no_class_can_exceed_is_refused(value: float) -> None:
    with pytest.raises(OptionError, match="--present must be"):
        Settings(present=value)
