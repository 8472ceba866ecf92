"""Pieces of a real scene in colours of their own: what each method makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from geoseg.compositing.homogenise.group import fit_group
from geoseg.compositing.homogenise.seams import overall
from geoseg.compositing.homogenise.settings import HomogeniseSettings
from geoseg.raster.scene import Scene

pytestmark = pytest.mark.realdata

METHODS = ("moments", "histogram", "overlap")
MARGIN = 40


@pytest.fixture(scope="module")
def pieces(real_data, tmp_path_factory):
    """Six overlapping pieces of the scene, with gains, offsets and gammas."""

    def make(*, gain=0.0, gamma=0.0, seed=0):
        rng = np.random.default_rng(seed)
        folder = tmp_path_factory.mktemp("pieces")
        scenes = []
        with rasterio.open(real_data / "zion" / "landsat8_b2345.tif") as dataset:
            height, width = dataset.height, dataset.width
            for number in range(6):
                row, col = divmod(number, 2)
                down, across = height // 3, width // 2
                window = Window(
                    col * across - MARGIN, row * down - MARGIN,
                    across + 2 * MARGIN, down + 2 * MARGIN,
                ).intersection(Window(0, 0, width, height))  # fmt: skip
                pixels = dataset.read(window=window)
                made = pixels * np.exp(rng.normal(0, gain, (4, 1, 1)))
                made += rng.normal(0, 4000 * gain, (4, 1, 1))
                made = 60_000 * (made.clip(1, 60_000) / 60_000) ** np.exp(rng.normal(0, gamma))
                made = np.where(pixels == 65535, 65535, np.rint(made).clip(1, 65534))
                profile = dataset.profile | {
                    "driver": "GTiff", "height": pixels.shape[1], "width": pixels.shape[2],
                    "transform": dataset.window_transform(window),
                }  # fmt: skip
                with rasterio.open(folder / f"{number}.tif", "w", **profile) as out:
                    out.write(made.astype("uint16"))
                scenes.append(Scene.open(folder / f"{number}.tif"))
        return scenes

    return make


def seams(scenes, method):
    fitted = fit_group(scenes, settings=HomogeniseSettings(method=method), workers=2)
    return overall(fitted.seams_before), overall(fitted.seams_after), fitted


def test_gains_and_offsets_are_undone_by_overlaps(pieces):
    before, after, fitted = seams(pieces(gain=0.15), "overlap")
    assert before > 0.5
    assert after < before / 1000
    assert not fitted.kept


@pytest.mark.parametrize("method", METHODS)
def test_pieces_that_agree_stay_as_they_are(pieces, method):
    before, after, fitted = seams(pieces(), method)
    assert (before, after, fitted.kept) == (0, 0, True)
    assert all(colour.is_identity for colour in fitted.colours)


@pytest.mark.parametrize(("method", "times"), [("overlap", 100), ("moments", 3), ("histogram", 3)])
def test_gammas_are_undone_as_far_as_a_method_can(pieces, method, times):
    before, after, _ = seams(pieces(gain=0.15, gamma=0.3), method)
    # Pieces show different ground: what has one mean, or one histogram, differs where they meet.
    assert after < before / times
