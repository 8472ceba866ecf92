"""Colours to bring images to, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geoseg.compositing.homogenise.standard import (
    SHARES,
    BandTarget,
    ImageLine,
    Method,
    Standard,
)


def even_standard(
    targets: Mapping[str, tuple[float, float]],
    *,
    method: Method = "moments",
    images: Sequence[ImageLine] = (),
) -> Standard:
    """Make a colour whose readings are spread evenly around their means.

    Parameters
    ----------
    targets
        Mean and deviation of each band, by its name.
    method, images
        As in `Standard`.
    """
    reach = 3**0.5  # of what is spread evenly, in deviations
    return Standard(
        method=method,
        bands=tuple(
            BandTarget(
                name=name,
                mean=mean,
                deviation=deviation,
                quantiles=tuple(mean + deviation * reach * (2 * share - 1) for share in SHARES),
            )
            for name, (mean, deviation) in targets.items()
        ),
        images=tuple(images),
    )
