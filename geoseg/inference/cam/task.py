"""How well a network does what it was trained for: telling which classes patches hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, eq=False)
class _Batch:
    """Patches and what they hold."""

    raw: NDArray[Any]
    """(N, bands, rows, cols) readings."""
    valid: NDArray[np.bool_]
    """(N, rows, cols)."""
    present: NDArray[np.uint8]
    """(N, classes): 1 there, 0 not there."""


def count_presence(
    scene: Scene,
    reference: Reference,
    activations: Activations,
    spec: InputSpec,
    *,
    side: int,
    present: float,
    workers: int,
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
    workers
        Threads that compute.

    Returns
    -------
    (classes, 2, 2): patches by class, by whether it is there, and by whether that is said.
    """
    task = PresenceTask(activations.classes)
    counts = task.empty()

    def count(batch: _Batch) -> NDArray[np.int64]:
        known = torch.from_numpy(batch.present).long()
        counted: NDArray[np.int64] = task.count(_logits(batch, activations, spec), known).numpy()
        return counted

    with (
        one_thread_per_operation(activations.device),
        ThreadPoolExecutor(workers, "geoseg-task") as pool,
    ):
        for row in range(0, scene.grid.height - side + 1, side):
            window = Window(row, 0, side, scene.grid.width)
            batches = _batches(scene.select(spec.bands), reference, window, task.classes, present)
            for counted in pool.map(count, batches):
                counts += counted
    return counts


def _batches(
    scene: Scene, reference: Reference, window: Window, classes: int, present: float
) -> Iterator[_Batch]:
    """Cut a row of patches, as high as they are wide."""
    side = window.height
    pixels = scene.read(window)
    truth = reference.truth(window)
    truth[~pixels.valid] = NODATA
    usable = [
        slice(col, col + side)
        for col in range(0, window.width - side + 1, side)
        if 2 * np.count_nonzero(truth[:, col : col + side] != NODATA) > side * side
    ]
    for first in range(0, len(usable), _BATCH):
        chosen = usable[first : first + _BATCH]
        yield _Batch(
            np.stack([pixels.data[:, :, cols] for cols in chosen]),
            np.stack([pixels.valid[:, cols] for cols in chosen]),
            np.stack([presence_of_mask(truth[:, cols], classes, present) for cols in chosen]),
        )


def _logits(batch: _Batch, activations: Activations, spec: InputSpec) -> torch.Tensor:
    """Answer of the network, (N, classes) float32, on the processor."""
    device = activations.device
    x = normalise(torch.from_numpy(batch.raw.astype(np.float32)), spec.mean, spec.std)
    fill = normalise(torch.full((len(spec.mean), 1, 1), spec.fill), spec.mean, spec.std)
    x = torch.where(torch.from_numpy(batch.valid)[:, None], x, fill).to(device)
    with torch.inference_mode(), autocast(activations.precision, device):
        said: torch.Tensor = activations.network(x)
    return said.float().cpu()
