"""The one normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.models.normalise import normalise


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_readings_of_any_type_become_deviations_from_the_mean(dtype: str) -> None:
    raw = np.array([[[10, 20]], [[100, 50]]], dtype=dtype)
    found = normalise(torch.from_numpy(raw), (10, 50), (5, 25))
    assert found.dtype == torch.float32
    assert found.tolist() == [[[0, 2]], [[2, 0]]]


def test_the_readings_given_are_not_changed() -> None:
    raw = torch.full((1, 2, 2), 7.0)
    normalise(raw, (3,), (2,))
    assert bool((raw == 7).all())
