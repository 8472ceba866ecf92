"""Models whose answer can be worked out by hand. Imports torch when called, not before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geoseg.raster.legend import Legend
from geoseg.testing.spectra import BANDS

if TYPE_CHECKING:
    from geoseg.models.bundle import ModelBundle


def pointwise_bundle(
    weights: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    bands: Sequence[str] | None = None,
    legend: Legend | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fill: float = 0.0,
    path: str | Path | None = None,
    **card: Any,
) -> ModelBundle:
    """Make a model that classifies each pixel by its own bands, with the weights given.

    The logit of class c is ``bias[c] + Σ weights[c, b] · (reading[b] − mean[b]) / std[b]``.

    Parameters
    ----------
    weights
        (classes, bands).
    bias
        (classes,); None for zeros, so that weights of zero make all classes alike.
    bands
        Names of the bands; None for as many of blue, green, red, nir, or band 1, band 2 … where
        there are more.
    legend
        Classes; None for ids 1, 2 … of made names.
    mean, std
        A number a band; None for 0 and 1, which leaves readings as they are.
    fill
        Reading in place of invalid ones.
    path
        Where to save it as well; None for nowhere.
    card
        Further entries of `geoseg.models.card.ModelCard`, as ``resolution=30.0``.

    Returns
    -------
    the model, in evaluation mode; with `path`, its card has the file's hash.
    """
    import torch  # noqa: PLC0415 — a scene can be made without

    from geoseg.models.bundle import ModelBundle, save_bundle  # noqa: PLC0415
    from geoseg.models.card import ModelCard  # noqa: PLC0415
    from geoseg.models.registry import build  # noqa: PLC0415

    kernel = np.atleast_2d(np.asarray(weights, np.float32))
    classes, count = kernel.shape
    offsets = np.zeros(classes, np.float32) if bias is None else np.asarray(bias, np.float32)
    if bands is None:
        bands = BANDS[:count] if count <= len(BANDS) else [f"band {i + 1}" for i in range(count)]
    network = build("pointwise", in_channels=count, classes=classes)
    network.load_state_dict(
        {
            "head.weight": torch.from_numpy(kernel[:, :, np.newaxis, np.newaxis].copy()),
            "head.bias": torch.from_numpy(offsets.copy()),
        }
    )
    entries: dict[str, Any] = {"name": "made by hand", "tile": 64, **card}
    bundle = ModelBundle(
        network.eval(),
        ModelCard(
            network="pointwise",
            arguments={},
            bands=tuple(bands),
            mean=tuple(mean) if mean is not None else (0.0,) * count,
            std=tuple(std) if std is not None else (1.0,) * count,
            fill=fill,
            legend=legend or Legend.of_values(range(1, classes + 1)),
            **entries,
        ),
    )
    if path is not None:
        bundle.card = save_bundle(bundle, path)
    return bundle
