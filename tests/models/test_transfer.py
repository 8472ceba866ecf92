"""Weights of one network laid into another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.registry import build
from geoseg.models.transfer import adapt_bands, transfer

WIDTHS = (4, 6, 8)


def unet(
    *,
    seed: int = 0,
    bands: int = 3,
    classes: int = 5,
    widths: tuple[int, ...] = WIDTHS,
    **more: Any,
) -> nn.Module:
    torch.manual_seed(seed)
    return build("unet", in_channels=bands, classes=classes, widths=widths, **more)


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}


# -- which tensor goes where ----------------------------------------------------------------------


def test_the_same_network_is_taken_whole() -> None:
    network, other = unet(), unet(seed=1)
    done = transfer(network, weights(other), source="w")
    assert not changed(network, weights(other))
    assert done.taken == done.total == len([k for k in weights(other) if "batches" not in k])
    assert (done.bands, done.by_name, done.head, done.fresh) == (None, 0, (), ())


@pytest.mark.parametrize("heading", ["module.", "model.network.", "_orig_mod."])
def test_a_wrapped_network_is_recognised(heading: str) -> None:
    network, other = unet(), unet(seed=1)
    wrapped = {f"{heading}{key}": value for key, value in weights(other).items()}
    wrapped["optimizer.momentum"] = torch.zeros(3)
    transfer(network, wrapped, source="w")
    assert not changed(network, weights(other))


def test_a_network_may_stand_deeper_than_the_weights() -> None:
    network, other = nn.ModuleDict({"network": unet()}), unet(seed=1)
    network.forward = network["network"].forward
    transfer(network, weights(other), source="w")
    assert not changed(network["network"], weights(other))


@pytest.mark.parametrize("heading", ["encoder.", ""])
def test_an_encoder_alone_leaves_the_rest_fresh(heading: str) -> None:
    network, other = unet(), unet(seed=1)
    before = weights(network)
    encoder = {
        heading + key.removeprefix("encoder."): value
        for key, value in weights(other).items()
        if key.startswith("encoder.")
    }
    encoder["classifier.weight"] = torch.zeros(1000, 8)
    done = transfer(network, encoder, source="w")
    assert done.fresh == ("up", "decoder", "head")
    touched = changed(network, before)
    assert touched
    assert all(key.startswith("encoder.") for key in touched)


def test_a_head_for_other_classes_stays_fresh() -> None:
    network, other = unet(classes=5), unet(seed=1, classes=7)
    before = weights(network)
    done = transfer(network, weights(other), source="w")
    assert done.head == ("head",)
    assert done.fresh == ()
    assert changed(network, weights(other) | {k: before[k] for k in before if "head" in k}) == set()


def test_other_bands_and_other_classes_at_once() -> None:
    network, other = unet(bands=6), unet(seed=1, bands=2, classes=3)
    done = transfer(network, weights(other), source="w")
    assert (done.bands, done.head) == ((2, 6), ("head",))
    found = network.state_dict()["encoder.0.0.weight"]
    wanted = weights(other)["encoder.0.0.weight"].mean(1, keepdim=True) / 3
    torch.testing.assert_close(found, wanted.expand_as(found))


def test_half_precision_is_widened() -> None:
    network, other = unet(), unet(seed=1)
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights(other).items()}
    transfer(network, half, source="w")
    assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize(
    ("network", "other", "complaint"),
    [
        ({}, {"widths": (4, 6, 9)}, "has the shape"),
        ({}, {"widths": (4, 6)}, "has the shape"),
        ({"widths": (4, 6)}, {}, "has the shape"),
        ({}, {"batch_norm": False}, "tensors"),
        ({"batch_norm": False}, {}, "tensors"),
        ({"widths": (5, 6, 8)}, {}, "has the shape"),  # as wide as there are classes
    ],
)
def test_weights_of_another_network_are_refused_and_change_nothing(
    network: dict[str, Any], other: dict[str, Any], complaint: str
) -> None:
    made = unet(**network)
    before = weights(made)
    with pytest.raises(ModelError, match="is of another network: ") as caught:
        transfer(made, weights(unet(seed=1, **other)), source="some file")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("some file")
    assert "\n" not in str(caught.value)
    assert not changed(made, before)


def test_a_part_that_is_there_by_half_is_of_another_network() -> None:
    held = weights(unet(seed=1))
    del held["decoder.1.0.weight"]
    with pytest.raises(ModelError, match=r"of 'decoder' here, and 'decoder.1.0.weight' is missing"):
        transfer(unet(), held, source="w")


@pytest.mark.parametrize(
    "held",
    [
        {"a": torch.zeros(3)},
        {"head.weight": torch.zeros(5, 4, 1, 1), "head.bias": torch.zeros(5)},
        {f"layer{i}.weight": torch.zeros(4, 4, 3, 3) for i in range(9)},
    ],
)
def test_weights_of_something_else_are_refused(held: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match="is of another network"):
        transfer(unet(), held, source="w")


def test_networks_that_say_what_is_there_take_weights_too() -> None:
    def made(seed: int, bands: int, classes: int) -> nn.Module:
        torch.manual_seed(seed)
        return build("shallow-cnn", in_channels=bands, classes=classes, widths=(4, 6, 8, 9))

    done = transfer(made(0, 7, 5), weights(made(1, 3, 2)), source="w")
    assert (done.bands, done.head, done.fresh) == ((3, 7), ("dense",), ())


def test_the_modes_of_modules_are_left_alone() -> None:
    network = unet().train()
    frozen = network.get_submodule("encoder.0").eval()
    transfer(network, weights(unet(seed=1)), source="w")
    assert network.training
    assert network.get_submodule("up").training
    assert not frozen.training
    # Nothing was learned from the image that was shown.
    assert not changed(network, weights(unet(seed=1)))


# -- bands ----------------------------------------------------------------------------------------


def kernels(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)


def test_other_bands_take_the_mean_scaled_to_their_number() -> None:
    made, by_name = adapt_bands(kernels(1, 2, 6), 2)
    assert made.flatten().tolist() == pytest.approx([4.5, 4.5])  # 3 · 3/2
    assert by_name == 0
    assert adapt_bands(kernels(8, 4), 4)[0].flatten().tolist() == pytest.approx([3] * 4)
    assert adapt_bands(kernels(1, 2, 6), 1)[0].flatten().tolist() == pytest.approx([9])


def test_bands_known_by_name_take_their_own() -> None:
    made, by_name = adapt_bands(
        kernels(1, 2, 6),
        4,
        weight_bands=("red", "green", "blue"),
        bands=("Blue B2", "SR_B5", "red_edge", "Red"),
    )
    assert made.flatten().tolist() == pytest.approx([4.5, 2.25, 2.25, 0.75])
    assert by_name == 2


def test_the_same_bands_in_another_order_are_put_in_order() -> None:
    made, by_name = adapt_bands(
        kernels(1, 2, 6), 3, weight_bands=("red", "green", "blue"), bands=("blue", "red", "green")
    )
    assert made.flatten().tolist() == [6, 1, 2]
    assert by_name == 3


@pytest.mark.parametrize("bands", [("nir", "red", "green"), ("1", "2", "3"), None])
def test_as_many_other_bands_keep_their_places(bands: tuple[str, ...] | None) -> None:
    held = kernels(1, 2, 6)
    made, by_name = adapt_bands(held, 3, weight_bands=("red", "green", "blue"), bands=bands)
    assert torch.equal(made, held)
    assert by_name == 0


@settings(max_examples=50, deadline=None)
@given(
    before=st.integers(1, 7),
    now=st.integers(1, 7),
    seed=st.integers(0, 2**31),
)
def test_a_grey_image_gives_what_it_gave_before(before: int, now: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    held = random.normal(size=(3, before, 2, 2))
    image = random.normal(size=(2, 2))
    made = adapt_bands(torch.from_numpy(held), now)[0].numpy()
    assert made.shape == (3, now, 2, 2)
    for output in range(3):
        wanted = sum((held[output, b] * image).sum() for b in range(before))
        found = sum((made[output, b] * image).sum() for b in range(now))
        assert found == pytest.approx(wanted, abs=1e-9)


def test_only_what_sees_the_image_is_put_in_order() -> None:
    # As many channels inside as there are bands: these are no bands.
    network, other = unet(widths=(3, 4)), unet(seed=1, widths=(3, 4))
    done = transfer(
        network,
        weights(other),
        source="w",
        weight_bands=("red", "green", "blue"),
        bands=("blue", "green", "red"),
    )
    assert done.by_name == 3
    assert changed(network, weights(other)) == {"encoder.0.0.weight"}
    x = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(x.flip(1)), other.eval()(x))
