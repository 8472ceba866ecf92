"""Made images of Landsat."""

from __future__ import annotations

import numpy as np
from earthengine_interpreter import Made

LC08, LC09 = "LANDSAT/LC08/C02/T1_L2", "LANDSAT/LC09/C02/T1_L2"
CLEAR, CLOUD, SNOW, DILATED = 21824, 22280, 30048, 21826


def landsat_image(
    seed: int,
    day: str,
    *,
    shape: tuple[int, int] = (70, 90),
    corner: tuple[float, float] = (500_010.0, 5_500_020.0),
) -> Made:
    """A date of readings, clouds in squares, fill at one side, and some readings missing."""
    rng = np.random.default_rng(seed)
    bands = {f"SR_B{n}": rng.integers(7273, 43636, shape).astype(np.uint16) for n in range(1, 8)}
    bands["ST_B10"] = rng.integers(30_000, 50_000, shape).astype(np.uint16)
    quality = rng.choice([CLEAR, CLEAR, CLEAR, 21952, SNOW, DILATED], shape).astype(np.uint16)
    row, col = rng.integers(0, 40, 2)
    quality[row : row + 20, col : col + 25] = CLOUD
    bands["QA_PIXEL"] = quality
    bands["QA_RADSAT"] = rng.choice([0, 0, 0, 0, 4, 512, 2048], shape).astype(np.uint16)
    fill = np.zeros(shape, bool)
    fill[:, : 3 + seed] = True
    masked = dict.fromkeys(bands, fill)
    masked["SR_B4"] = fill | (rng.random(shape) < 0.02)
    start = int(np.datetime64(day, "ms").astype(np.int64))
    return Made(f"LC08_190026_{day.replace('-', '')}", start, bands, corner, masked=masked)
