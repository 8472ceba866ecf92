"""The compiled loop of `geoseg.models.elu`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_LOWEST = np.float32(-30)  # far beyond where the answer is −1
_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts: whole multiples of the first are exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_P0, _P1, _P2 = (
    np.float32(1.9875691500e-4),
    np.float32(1.3981999507e-3),
    np.float32(8.3334519073e-3),
)
_P3, _P4, _P5 = (
    np.float32(4.1665795894e-2),
    np.float32(1.6666665459e-1),
    np.float32(5.0000001201e-1),
)


@compiled("void(float32[:, ::1], float32[::1], float32[::1])")
def activate(
    x: NDArray[np.float32], scale: NDArray[np.float32], shift: NDArray[np.float32]
) -> None:
    """Replace x, (pixels, channels), by its ELU, scaled and shifted by channel.

    The exponential's polynomial is that of Cephes (expf). 1 is taken off before numbers are added
    up, so that those near 0 keep their digits. Every step rounds by itself, so bits depend neither
    on the processor nor on the place in a loop.
    """
    pixels, channels = x.shape
    for i in range(pixels):
        row = x[i]
        for k in range(channels):
            low = min(max(row[k], _LOWEST), _ZERO)
            whole = np.int32(low * _LOG2_E - _HALF)  # towards zero, so the nearest
            n = np.float32(whole)
            r = low - n * _LN2_HIGH - n * _LN2_LOW
            p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
            power = np.int32((whole + 127) << 23).view(np.float32)
            below = power * (p * r * r + r) + (power - _ONE)
            row[k] = (below if row[k] < _ZERO else row[k]) * scale[k] + shift[k]
