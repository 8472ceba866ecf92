"""Multinomial logistic regression from the activations of a pixel to its class (cropland-cam)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.inference.cam.combine import Combination

MOST_PIXELS = 200_000
"""Pixels that are looked at, at most, spread evenly over the patches."""


def fit_logistic(activations: NDArray[np.float32], labels: NDArray[np.uint8]) -> Combination:
    """Fit the regression.

    The activations are standardised for the fit (so that its small ridge, scikit-learn's default,
    means the same to all of them), and the coefficients given back are those of the activations
    themselves.

    Parameters
    ----------
    activations
        (classes, pixels).
    labels
        (pixels,) class index.

    Raises
    ------
    LabelError
        The labels are not of two classes at least.
    """
    # Imported here: the other ways need no scikit-learn.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    there = np.unique(labels)
    if len(there) < 2:
        raise LabelError(
            "the labelled pixels that the regression shall be fitted on are of one class: give"
            " --reference more labels, or more --patches"
        )
    wide = activations.astype(np.float64)
    mean, std = wide.mean(axis=1), wide.std(axis=1)
    factors = np.divide(1.0, std, out=np.zeros_like(std), where=std > 0)
    with threadpool_limits(1):  # sums in one order: same pixels, same coefficients
        fitted = LogisticRegression(max_iter=1000).fit(
            ((wide - mean[:, None]) * factors[:, None]).T, labels
        )
    weights, offsets = np.asarray(fitted.coef_), np.asarray(fitted.intercept_)
    if len(there) == 2:  # one row, of the second class against the first
        weights = np.concatenate([np.zeros_like(weights), weights])
        offsets = np.concatenate([np.zeros_like(offsets), offsets])
    weights = weights * factors
    return Combination(
        method="logistic",
        weights=weights.astype(np.float32),
        offsets=(offsets - weights @ mean).astype(np.float32),
        classes=tuple(int(c) for c in there),
    )
