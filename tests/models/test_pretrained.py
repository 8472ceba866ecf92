"""A network that starts from weights that were trained before."""

from __future__ import annotations

import json
import logging
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.pretrained import initialise
from geoseg.models.registry import build
from geoseg.raster.legend import Legend, LegendClass

WIDTHS = (4, 8)


def made(name: str, *, seed: int = 0, bands: int = 3, classes: int = 5, **more: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build(name, in_channels=bands, classes=classes, **more)


def weights(network: nn.Module, heading: str = "") -> dict[str, Tensor]:
    return {
        key.removeprefix(heading): value.clone()
        for key, value in network.state_dict().items()
        if key.startswith(heading)
    }


def refusal(network: nn.Module, name: str, source: str | Path) -> str:
    before = weights(network)
    with pytest.raises(ModelError) as caught:
        initialise(network, name, source)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    message = str(caught.value)
    assert "\n" not in message
    return message


# -- files ----------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model for the bands red and nir and three classes."""
    card = ModelCard(
        name="a model",
        network="unet-small",
        arguments={"widths": list(WIDTHS)},
        bands=("red", "nir"),
        mean=(0.0, 0.0),
        std=(1.0, 1.0),
        fill=0.0,
        legend=Legend(tuple(LegendClass(i, f"c{i}", (i, 0, 0)) for i in range(3))),
        tile=64,
    )
    network = made("unet-small", seed=1, bands=2, classes=3, widths=WIDTHS)
    path = tmp_path / "model.safetensors"
    save_bundle(ModelBundle(network, card), path)
    return path


def test_a_model_of_geoseg_gives_its_bands_by_name(model: Path) -> None:
    network = made("unet-small", bands=4, widths=WIDTHS)
    held = safetensors.torch.load_file(model)["encoder.0.0.weight"]
    said = initialise(network, "unet-small", model, bands=("blue", "green", "red", "NIR"))
    assert said == (
        f"32 of 34 tensors from {model} (unet-small); first convolution adapted from 2 to 4 bands,"
        " 2 of them by name; fresh for its number of classes: head"
    )
    found = network.state_dict()["encoder.0.0.weight"]
    torch.testing.assert_close(found[:, 2:], held / 2)
    torch.testing.assert_close(found[:, 0], held.mean(1) / 2)


def test_a_state_dict_of_the_same_network_is_taken_whole(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    other = made("unet-small", seed=1, widths=WIDTHS)
    torch.save(other.state_dict(), path)
    network = made("unet-small", widths=WIDTHS)
    assert initialise(network, "unet-small", str(path)) == f"34 of 34 tensors from {path}"
    assert all(torch.equal(v, weights(other)[k]) for k, v in network.state_dict().items())


def test_a_model_of_another_network_is_refused(model: Path) -> None:
    message = refusal(made("unet", widths=(4, 6, 8)), "unet", model)
    assert f"{model} (unet-small) is of another network" in message
    assert "(network 'unet')" in message


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    network = made("unet-small", widths=WIDTHS)
    assert "is not there" in refusal(network, "unet-small", tmp_path / "no.safetensors")
    assert "are not there" in refusal(network, "unet-small", "no/such/weights.pt")


def test_a_file_of_another_kind_is_said(tmp_path: Path) -> None:
    path = tmp_path / "imagenet"
    path.write_text("no weights")
    network = made("unet-small", widths=WIDTHS)
    assert "ends in none of .safetensors" in refusal(network, "unet-small", path)


@pytest.mark.parametrize(
    ("name", "more", "heading", "fresh"),
    [
        ("deeplabv3", {"backbone": "resnet50"}, "backbone.", "classifier"),
        ("resnet50-cam", {}, "backbone.", "dense"),
        ("smp:unet/resnet18", {}, "network.encoder.", "network.decoder, network.segmentation_head"),
    ],
)
def test_the_file_of_a_backbone_is_taken(
    name: str, more: dict[str, Any], heading: str, fresh: str, tmp_path: Path
) -> None:
    path = tmp_path / "backbone.safetensors"
    other = weights(made(name, seed=1, **more), heading)
    classifier = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    safetensors.torch.save_file({**other, **classifier}, path)
    network = made(name, **more)
    said = initialise(network, name, path)
    assert said.endswith(f"; fresh: {fresh}")
    assert all(torch.equal(v, other[k]) for k, v in weights(network, heading).items())


def test_the_backbone_of_a_smaller_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.safetensors"
    held = weights(made("deeplabv3", backbone="resnet50"), "backbone.")
    safetensors.torch.save_file(held, path)
    message = refusal(made("deeplabv3", backbone="resnet101"), "deeplabv3", path)
    assert "of 'backbone.layer3' here, and 'backbone.layer3.6.conv1.weight' is missing" in message


def test_an_encoder_serves_another_architecture(tmp_path: Path) -> None:
    path = tmp_path / "unet.safetensors"
    other = made("smp:unet/resnet18", seed=1)
    safetensors.torch.save_file(weights(other), path)
    # The decoders share names with other shapes.
    held = {k: v for k, v in weights(other).items() if "encoder" in k}
    safetensors.torch.save_file(held, path)
    network = made("smp:fpn/resnet18", bands=6)
    said = initialise(network, "smp:fpn/resnet18", path)
    assert "adapted from 3 to 6 bands; fresh: network.decoder, network.segmentation_head" in said


# -- names ----------------------------------------------------------------------------------------


@pytest.fixture
def torchvision_gives(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], list[str]]:
    """Have torchvision's loader give (or raise) something; what it was asked for comes back."""
    from torchvision.models import _api  # noqa: PLC0415

    asked: list[str] = []

    def give(what: object) -> list[str]:
        def load(url: str, **_: object) -> object:
            asked.append(url)
            if isinstance(what, Exception):
                raise what
            return what

        monkeypatch.setattr(_api, "load_state_dict_from_url", load)
        return asked

    return give


def test_deeplabv3_takes_coco_without_head_and_auxiliary(
    torchvision_gives: Callable[[object], list[str]],
) -> None:
    other = weights(made("deeplabv3", seed=1, classes=21, backbone="resnet50"))
    other["aux_classifier.4.weight"] = torch.zeros(21, 256, 1, 1)
    asked = torchvision_gives(other)
    network = made("deeplabv3", bands=4, backbone="resnet50")
    said = initialise(network, "deeplabv3", "coco")
    assert said.endswith(
        "tensors from coco; first convolution adapted from 3 to 4 bands; fresh for its number of"
        " classes: classifier.4"
    )
    assert len(asked) == 1
    assert "deeplabv3_resnet50_coco" in asked[0]
    found = weights(network)
    same = {
        k for k in found if found[k].shape == other[k].shape and torch.equal(found[k], other[k])
    }
    assert found.keys() - same == {
        "backbone.conv1.weight",
        "classifier.4.weight",
        "classifier.4.bias",
    }


def test_resnet50_cam_takes_imagenet_by_band(
    torchvision_gives: Callable[[object], list[str]],
) -> None:
    other = weights(made("resnet50-cam", seed=1), "backbone.")
    asked = torchvision_gives({**other, "fc.weight": torch.zeros(1000, 2048)})
    network = made("resnet50-cam")
    said = initialise(network, "resnet50-cam", "imagenet", bands=("blue", "green", "red"))
    assert said.endswith("tensors from imagenet; bands matched by name; fresh: dense")
    assert "resnet50-0676ba61" in asked[0]
    assert torch.equal(weights(network)["backbone.conv1.weight"], other["conv1.weight"].flip(1))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_fcn_takes_the_features_of_vgg16(
    batch_norm: bool, torchvision_gives: Callable[[object], list[str]]
) -> None:
    widths = (2, 3, 4, 5, 6)
    other = made("fcn32s", seed=1, widths=widths, dense=7, batch_norm=batch_norm)
    features = {k: v for k, v in weights(other).items() if k.startswith("features.")}
    dense = {
        "classifier.0.weight": torch.arange(7.0 * 6 * 49).reshape(7, -1),
        "classifier.0.bias": torch.zeros(7),
        "classifier.3.weight": torch.eye(7),
        "classifier.3.bias": torch.ones(7),
        "classifier.6.weight": torch.zeros(1000, 7),
    }
    asked = torchvision_gives({**features, **dense})
    network = made("fcn8s", bands=4, widths=widths, dense=7, batch_norm=batch_norm)
    said = initialise(network, "fcn8s", "imagenet")
    assert said.endswith("adapted from 3 to 4 bands; fresh: score, skip_scores, up")
    assert ("vgg16_bn" in asked[0]) == batch_norm
    found = weights(network)
    # Rows of a dense layer run over channels, rows, columns.
    assert found["dense.0.weight"][1, 2, 3, 4] == ((1 * 6 + 2) * 7 + 3) * 7 + 4
    assert torch.equal(found["dense.3.weight"][:, :, 0, 0], torch.eye(7))
    assert torch.equal(found["features.0.bias"], features["features.0.bias"])


def test_segnet_takes_no_dense_layers(torchvision_gives: Callable[[object], list[str]]) -> None:
    widths = (2, 3, 4, 5, 6)
    features = weights(made("segnet", seed=1, widths=widths), "features.")
    held = {f"features.{k}": v for k, v in features.items()}
    for layer in "03":
        held[f"classifier.{layer}.weight"] = torch.zeros(7, 6 * 49)
        held[f"classifier.{layer}.bias"] = torch.zeros(7)
    torchvision_gives(held)
    network = made("segnet", widths=widths)
    initialise(network, "segnet", "imagenet")
    assert all(torch.equal(v, features[k]) for k, v in weights(network, "features.").items())


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError("no\nroute"), RuntimeError("invalid hash value"), TimeoutError()],
)
def test_weights_that_cannot_be_fetched_are_said(
    error: Exception, torchvision_gives: Callable[[object], list[str]]
) -> None:
    torchvision_gives(error)
    message = refusal(made("resnet50-cam"), "resnet50-cam", "imagenet")
    assert message.startswith("weights 'imagenet' of network 'resnet50-cam' cannot be fetched: ")
    assert message.endswith("give them as a file")


@pytest.mark.parametrize("name", ["smp:unet/resnet18", "smp:pspnet/resnet18"])
def test_the_encoder_of_smp_is_fetched_by_the_library(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import segmentation_models_pytorch as smp  # noqa: PLC0415

    encoder = smp.encoders.get_encoder("resnet18", weights=None)
    safetensors.torch.save_file(encoder.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({}))

    def fetch(_: str, *, filename: str, revision: str) -> str:
        logging.getLogger("huggingface_hub").warning("retrying")
        return str(tmp_path / filename)

    monkeypatch.setattr(smp.encoders, "hf_hub_download", fetch)
    network = made(name, bands=5)
    said = initialise(network, name, "imagenet")
    assert "from imagenet; first convolution adapted from 3 to 5 bands; fresh: " in said
    found = weights(network, "network.encoder.")["layer1.1.conv2.weight"]
    assert torch.equal(found, encoder.state_dict()["layer1.1.conv2.weight"])


def test_without_a_connection_the_library_is_quiet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import segmentation_models_pytorch as smp  # noqa: PLC0415

    def fetch(*_: object, **__: object) -> str:
        logging.getLogger("huggingface_hub.utils").warning("retrying in 1 s")
        raise FileNotFoundError("check your connection\nand try again")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", fetch)
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)  # where older releases go next
    message = refusal(made("smp:unet/resnet18"), "smp:unet/resnet18", "imagenet")
    assert "cannot be fetched: check your connection; " in message
    assert caplog.records == []


def test_timms_encoders_know_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm.models._builder as builder  # noqa: PLC0415

    other = made("smp:unet/tu-resnet18", seed=1)

    def load(model: nn.Module, **_: object) -> None:
        held = weights(other, "network.encoder.model.")
        model.load_state_dict({k: v for k, v in held.items() if k in model.state_dict()}, False)

    monkeypatch.setattr(builder, "load_pretrained", load)
    network = made("smp:unet/tu-resnet18")
    said = initialise(network, "smp:unet/tu-resnet18", "imagenet")
    assert said.endswith("fresh: network.decoder, network.segmentation_head")
    found, wanted = (weights(n, "network.encoder.model.") for n in (network, other))
    assert all(torch.equal(found[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize(
    ("name", "more", "source", "complaint"),
    [
        ("unet-small", {"widths": WIDTHS}, "imagenet", "it knows none by name; or give a file"),
        ("resnet50-cam", {}, "coco", "it knows imagenet, imagenet1k_v1, imagenet1k_v2"),
        ("resnet50-cam", {}, "imagnet", "did you mean 'imagenet'?"),
        (
            "deeplabv3",
            {"backbone": "resnet50"},
            "ade20k",
            "it knows imagenet, imagenet1k_v1, imagenet1k_v2, coco",
        ),
        ("smp:unet/resnet18", {}, "coco", "it knows imagenet, ssl, swsl"),
        ("smp:unet/tu-mobilenetv2_035", {}, "imagenet", "it knows none by name"),
    ],
)
def test_a_name_that_nobody_knows_is_refused(
    name: str, more: dict[str, Any], source: str, complaint: str
) -> None:
    message = refusal(made(name, **more), name, source)
    assert f"network {name!r} has no weights {source!r}" in message
    assert complaint in message
