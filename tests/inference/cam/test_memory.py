"""Activation maps where memory does not hold a batch."""

from __future__ import annotations

import numpy as np
import torch

from geoseg.inference.cam import run
from geoseg.inference.cam.activation import Activations


def test_maps_are_computed_with_fewer_tiles_and_the_user_is_told(
    write_scene, presence_bundle, run_cam, read, tmp_path, monkeypatch
) -> None:
    rng = np.random.default_rng(2)
    scene = write_scene(rng.integers(1, 300, (2, 60, 80), dtype=np.uint16))
    model = presence_bundle()
    maps = {"batch": 5}
    plain = run_cam(scene, tmp_path / "plain.tif", model, maps=maps)
    assert not any("at once" in note for note in plain.notes)

    class Full(Activations):
        def maps(self, inputs, /):
            if len(inputs[0]) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().maps(inputs)

    monkeypatch.setattr("geoseg.inference.cam.activation.Activations", Full)
    full = run_cam(scene, tmp_path / "full.tif", model, maps=maps)
    assert sum("does not hold 5 tiles at once" in note for note in full.notes) == 1
    assert run.make_activations(model, device=torch.device("cpu")).__class__ is Full
    np.testing.assert_allclose(
        read(tmp_path / "full.tif"), read(tmp_path / "plain.tif"), rtol=1e-5, atol=2e-5
    )
