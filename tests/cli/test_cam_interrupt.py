"""``geoseg cam``, stopped in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.scenes import tiny_scene


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path, sent):
    rng = np.random.default_rng(3)
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    outputs.mkdir()
    big = rng.integers(1, 300, (2, 3000, 3000), dtype=np.uint16)
    scene = inputs / "big.tif"
    tiny_scene(scene, big, nodata=0, bands=("red", "nir"), block=(256, 256))
    card = ModelCard(
        name="presence",
        network="shallow-cnn",
        arguments={"widths": (3, 4, 5, 6)},
        bands=("red", "nir"),
        mean=(100.0, 100.0),
        std=(50.0, 50.0),
        fill=0.0,
        legend=parse_legend("3=grass,5=water"),
        tile=20,
    )
    network = build("shallow-cnn", in_channels=2, classes=2, widths=(3, 4, 5, 6))
    save_bundle(ModelBundle(network, card), inputs / "presence.safetensors")
    words = ["cam", str(scene), "-m", str(inputs / "presence.safetensors"), "--stride", "4"]
    words += ["-o", str(outputs / "cam.tif"), "--weak-labels", str(outputs / "w.tif")]
    process = subprocess.Popen(
        [sys.executable, "-m", "geoseg", *words], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(outputs.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(outputs.iterdir())
    time.sleep(1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert list(outputs.iterdir()) == []
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert err.strip() == "Interrupted; nothing half-written was left behind."
    else:
        assert process.returncode == 128 + signal.SIGTERM
