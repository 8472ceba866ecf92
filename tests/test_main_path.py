"""From a real scene to scores, by the command line alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

from geoseg.cli import _run

CLASSES = "1=water,2=developed,3=barren,4=forest,5=open land"


def geoseg(capsys, *words):
    """Run a command and return its summary."""
    status = _run([*map(str, words), "--json"])
    streams = capsys.readouterr()
    assert status == 0, streams.err
    return json.loads(streams.out)


@pytest.mark.realdata
@pytest.mark.slow
def test_a_real_scene_becomes_a_map_better_than_the_commonest_class(real_data, tmp_path, capsys):
    scene = real_data / "zion" / "zion512_landsat8_b2345.tif"
    labels = real_data / "zion" / "zion512_lc5.tif"
    with rasterio.open(scene) as dataset:
        left, bottom, right, top = dataset.bounds
        shape, transform, crs = dataset.shape, dataset.transform, dataset.crs
    middle = (left + right) / 2
    west, east = f"{left},{bottom},{middle},{top}", f"{middle},{bottom},{right},{top}"

    patches, model, out = tmp_path / "patches", tmp_path / "m.safetensors", tmp_path / "map.tif"
    cut = geoseg(
        *(capsys, "tile", scene, "--labels", labels, "--classes", CLASSES, "--region", west),
        *("--size", 64, "--stride", 32, "--split", "0.8,0.2,0", "-o", patches),
    )
    assert cut["patches"]["train"] > cut["patches"]["val"] > 0
    geoseg(
        *(capsys, "train", patches, "-o", model, "--model-option", "widths=16,32,64"),
        *("--epochs", 12, "--seed", 1, "--threads", 2),
    )
    made = geoseg(
        *(capsys, "predict", scene, "-m", model, "--region", east, "--tile", 128, "-o", out),
    )
    assert made["nodata"] == 512 * 256
    scored = geoseg(capsys, "evaluate", out, labels, "--region", east)
    # The commonest class of the whole is 0.386 of it, a random forest on pixels gets 0.639.
    assert scored["scores"]["pixel_accuracy"] > 0.6
    with rasterio.open(out) as dataset:
        assert (dataset.shape, dataset.transform, dataset.crs) == (shape, transform, crs)
        classes = dataset.read(1)
    assert set(np.unique(classes)) <= {1, 2, 3, 4, 5, 255}
    assert (classes[:, :256] == 255).all()
