"""Models and a scene, made once for many tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.registry import build
from geoseg.testing.scenes import made_scene

sys.path.append(str(Path(__file__).parent))

from exporting import BANDS, card


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with invalid pixels, a U-Net with random weights, and models of other kinds."""
    made = tmp_path_factory.mktemp("export")
    made_scene(made / "scene.tif", height=150, width=170, bands=BANDS, seed=1, workers=1)
    torch.manual_seed(3)
    net = build("unet-small", in_channels=3, classes=3).eval()
    save_bundle(ModelBundle(net, card("unet", "unet-small")), made / "unet.safetensors")
    torch.save(net.state_dict(), made / "weights.pt")
    cam = build("shallow-cnn", in_channels=3, classes=3, widths=(3, 4, 5, 6)).eval()
    arguments = {"widths": (3, 4, 5, 6)}
    save_bundle(
        ModelBundle(cam, card("cam", "shallow-cnn", arguments=arguments)), made / "cam.safetensors"
    )
    pooled = build("smp:pspnet/resnet18", in_channels=3, classes=3).eval()
    save_bundle(
        ModelBundle(pooled, card("pooled", "smp:pspnet/resnet18")), made / "pooled.safetensors"
    )
    return made


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of our own from which those files are linked."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
