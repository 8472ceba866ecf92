"""Tiles in, activation maps out: upsampling, symmetries, sizes, bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError, OptionError
from geoseg.inference.cam.activation import Activations, make_activations
from geoseg.models.network import PresenceNetwork

CPU = torch.device("cpu")


class Identity(PresenceNetwork):
    """The only band is the only feature, and the only map."""

    def __init__(self, *, smallest: int = 1) -> None:
        super().__init__(stride=1, smallest=smallest)
        self.dense = nn.Linear(1, 1)
        with torch.no_grad():
            self.dense.weight.fill_(1)
            self.dense.bias.fill_(7)

    def features(self, x: Tensor) -> Tensor:
        return x


class Diagonal(Identity):
    """Answers with a pixel and twice the one to its lower right: knows up from down."""

    def features(self, x: Tensor) -> Tensor:
        return x + 2 * torch.roll(x, (-1, -1), (2, 3))


def maps(network: PresenceNetwork, image: np.ndarray, **more: object) -> np.ndarray:
    made = Activations(network=network, classes=1, device=CPU, **more)  # type: ignore[arg-type]
    return made.maps([torch.from_numpy(image.astype(np.float32))[None, None]])[0, 0].numpy()


def readings(pixels: np.ndarray) -> Tensor:
    """As the network wants them: the card's mean is 100, its deviation 50."""
    return torch.from_numpy((pixels.astype(np.float32) - 100) / 50)[None]


@pytest.mark.parametrize("shape", [(50, 50), (24, 36), (7, 33), (3, 2), (1, 1)])
@pytest.mark.parametrize("upsampling", ["bilinear", "repeat"])
@pytest.mark.parametrize("bias", [False, True])
def test_maps_of_a_tile_are_those_of_the_network_at_the_places_that_it_sees(
    presence_bundle, maps_of, shape, upsampling, bias
):
    model = presence_bundle()
    pixels = np.random.default_rng(1).integers(1, 300, (2, *shape))
    made = make_activations(
        model, device=CPU, precision="float32", upsampling=upsampling, bias=bias
    )
    got = made.maps([readings(pixels)])
    assert got.dtype == torch.float32
    assert got.shape == (1, 3, *shape)
    expected = maps_of(model, pixels, upsampling=upsampling, bias=bias)
    np.testing.assert_allclose(got[0], expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [(24, 24), (20, 33), (9, 40)])
def test_symmetries_are_averaged_each_turned_back(presence_bundle, maps_of, shape):
    model = presence_bundle()
    pixels = np.random.default_rng(2).integers(1, 300, (2, *shape))
    eight = []
    for turns in range(4):
        for mirrored in (False, True):
            seen = pixels[:, :, ::-1] if mirrored else pixels
            found = maps_of(model, np.rot90(seen, turns, (1, 2)))
            found = np.rot90(found, -turns, (1, 2))
            eight.append(found[:, :, ::-1] if mirrored else found)
    made = make_activations(model, device=CPU, precision="float32", tta=True)
    got = made.maps([readings(pixels)])[0].numpy()
    np.testing.assert_allclose(got, np.mean(eight, axis=0), atol=2e-5, rtol=1e-4)
    assert np.abs(np.mean(eight, axis=0) - eight[0]).max() > 0.01  # they do differ


def test_symmetries_of_a_network_that_knows_up_from_down_point_everywhere():
    image = np.zeros((7, 9))
    image[3, 4] = 8
    expected = np.zeros((7, 9))
    expected[3, 4] = 8
    for row, col in ((2, 3), (2, 5), (4, 3), (4, 5)):
        expected[row, col] = 4  # twice 8, by two of the eight
    np.testing.assert_allclose(maps(Diagonal(), image, tta=True), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.0, 4.0, 1.3])
@pytest.mark.parametrize("shape", [(40, 60), (37, 51)])
def test_maps_of_a_resized_tile_come_back_to_their_places(scale, shape):
    """A slope is still the same slope: whatever moved it would change its height."""
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(float)
    slope = rows + 3 * cols
    got = maps(Identity(), slope, scales=(scale,))
    inside = np.s_[6:-6, 6:-6]
    # To the digit if enlarged; the filter before reducing leaves a ripple.
    np.testing.assert_allclose(got[inside], slope[inside], atol=1e-3 if scale > 1 else 0.15)


@pytest.mark.parametrize(("shape", "scale"), [((50, 51), 0.5), ((41, 43), 0.25), ((33, 40), 1.3)])
def test_a_tile_that_is_turned_and_resized_comes_back_to_its_place(shape, scale):
    """Also one that is square only when resized."""
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(float)
    slope = rows + 3 * cols
    got = maps(Identity(), slope, scales=(scale,), tta=True)
    inside = np.s_[9:-9, 9:-9]
    np.testing.assert_allclose(got[inside], slope[inside], atol=1e-3 if scale > 1 else 0.15)


@pytest.mark.parametrize("shape", [(1, 1), (2, 30), (5, 5)])
def test_tiles_of_a_few_pixels_are_resized_as_well(shape):
    got = maps(Identity(smallest=4), np.full(shape, 3.0), scales=(0.25, 1, 1.5))
    np.testing.assert_allclose(got, np.full(shape, 3.0), atol=1e-5)


def test_maps_at_several_sizes_are_averaged(presence_bundle):
    model = presence_bundle()
    tile = readings(np.random.default_rng(3).integers(1, 300, (2, 24, 30)))
    one, two, both = (
        make_activations(model, device=CPU, precision="float32", scales=scales).maps([tile])
        for scales in ((1.0,), (1.5,), (1.0, 1.5))
    )
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)
    assert (one - two).abs().max() > 0.01


def test_the_bias_shifts_every_map_everywhere():
    image = np.random.default_rng(4).random((6, 5))
    for more in ({}, {"tta": True}, {"scales": (1.0, 1.5)}):
        without, with_bias = (maps(Identity(), image, bias=b, **more) for b in (False, True))
        np.testing.assert_allclose(with_bias - without, 7, atol=1e-5)


def test_tiles_are_left_as_they_were(presence_bundle):
    made = make_activations(presence_bundle(), device=CPU, precision="float32", tta=True)
    tile = readings(np.random.default_rng(5).integers(1, 300, (2, 16, 16)))
    before = tile.clone()
    made.maps([tile])
    assert torch.equal(tile, before)


def test_a_tile_does_not_depend_on_its_batch(presence_bundle):
    made = make_activations(presence_bundle(), device=CPU, precision="float32")
    pixels = np.random.default_rng(6).integers(1, 300, (3, 2, 20, 20))
    batch = torch.cat([readings(one) for one in pixels])
    for number, one in enumerate(made.maps([batch])):
        np.testing.assert_allclose(one, made.maps([batch[number : number + 1]])[0], atol=1e-5)


def test_a_network_of_pixels_has_no_maps(make_bundle):
    with pytest.raises(ModelError, match=r"'tiny' \(pointwise\) gives a class to every pixel"):
        make_activations(make_bundle(), device=CPU)


def test_an_unknown_precision_is_refused(presence_bundle):
    with pytest.raises(OptionError, match="float8"):
        make_activations(presence_bundle(), device=CPU, precision="float8")
