"""How well a network does what it was trained for: telling which classes patches hold."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.inference.cam.activation import Activations
from geoseg.inference.cam.reference import Reference
from geoseg.inference.members import InputSpec
from geoseg.inference.outputs import NODATA
from geoseg.inference.stream import one_thread_per_operation
from geoseg.models.normalise import normalise
from geoseg.models.precision import autocast
from geoseg.patches.presence import presence_of_mask
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window
from geoseg.training.metrics import PresenceTask

_BATCH = 32


def count_presence(
    scene: Scene,
    reference: Reference,
    activations: Activations,
    spec: InputSpec,
    *,
    side: int,
    present: float,
) -> NDArray[np.int64]:
    """Count what the network says of patches side by side.

    Patches of which not more than half is valid and labelled are left out, and so is what is left
    of the scene to the right and below.

    Parameters
    ----------
    scene, reference
        Pixels and their labels.
    activations
        Holds the network.
    spec
        What it wants to be fed.
    side
        Of a patch, in pixels.
    present
        A class is there where it covers strictly more than this share of a patch.

    Returns
    -------
    (classes, 2, 2): patches by class, by whether it is there, and by whether that is said.
    """
    task = PresenceTask(activations.classes)
    counts = task.empty()
    scene = scene.select(spec.bands)
    grid = scene.grid
    cols = range(0, grid.width - side + 1, side)
    for row in range(0, grid.height - side + 1, side):
        window = Window(row, 0, side, grid.width)
        pixels = scene.read(window)
        truth = reference.truth(window)
        truth[~pixels.valid] = NODATA
        chosen, labels = [], []
        for col in cols:
            part = np.s_[:, col : col + side]
            if 2 * np.count_nonzero(truth[part] != NODATA) > side * side:
                chosen.append(col)
                labels.append(presence_of_mask(truth[part], activations.classes, present))
        for first in range(0, len(chosen), _BATCH):
            batch = chosen[first : first + _BATCH]
            raw = np.stack([pixels.data[:, :, col : col + side] for col in batch])
            valid = np.stack([pixels.valid[:, col : col + side] for col in batch])
            said = _logits(raw, valid, activations, spec)
            known = torch.from_numpy(np.stack(labels[first : first + _BATCH])).long()
            counts += task.count(said, known).numpy()
    return counts


def _logits(
    raw: NDArray[np.generic],
    valid: NDArray[np.bool_],
    activations: Activations,
    spec: InputSpec,
) -> torch.Tensor:
    """Answer of the network, (N, classes) float32, on the processor."""
    device = activations.device
    x = normalise(torch.from_numpy(raw.astype(np.float32)), spec.mean, spec.std)
    fill = normalise(torch.full((len(spec.mean), 1, 1), spec.fill), spec.mean, spec.std)
    x = torch.where(torch.from_numpy(valid)[:, None], x, fill).to(device)
    with (
        one_thread_per_operation(device),
        torch.inference_mode(),
        autocast(activations.precision, device),
    ):
        said: torch.Tensor = activations.network(x)
    return said.float().cpu()
