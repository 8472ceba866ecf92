"""Scenes, maps and models for `benchmarks/run.py`, and whether two maps are the same.

    python benchmarks/inputs.py scene OUT.tif ROWS COLS [LABELS.tif]
    python benchmarks/inputs.py model tiny OUT.safetensors OUT.pt
    python benchmarks/inputs.py same ONE.tif OTHER.tif [SCENE.tif]

Run as processes of their own, so that the process that measures stays small.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import rasterio

NODATA = 0
NETWORKS = {
    "null": ("pointwise", {}),
    "tiny": ("unet", {"widths": (16, 32, 64)}),
    "resnet34": ("unet-resnet34", {}),
}


def scene(out: str, rows: str, cols: str, labels: str | None = None) -> None:
    """Make a scene with a slanted footprint, 21 % of it without data, which is 0 in all bands."""
    from geoseg.testing.scenes import NODATA as MADE  # noqa: PLC0415
    from geoseg.testing.scenes import made_scene  # noqa: PLC0415

    made = Path(out).with_suffix(".made.tif")
    made_scene(
        made, height=int(rows), width=int(cols), nodata_share=0.21, bad_pixels=0.0, labels=labels,
        resolution=0.8, overwrite=True,
    )  # fmt: skip
    # Networks of ours see 0 where there are no data, after scaling; now so do those of the others.
    with rasterio.open(made) as source:
        profile = dict(source.profile) | {"nodata": NODATA, "predictor": 2, "bigtiff": "if_safer"}
        with rasterio.open(out, "w", **profile) as target:
            for _, window in source.block_windows(1):
                pixels = source.read(window=window)
                pixels[pixels == MADE] = NODATA
                target.write(pixels, window=window)
            for band, name in enumerate(source.descriptions, 1):
                target.set_band_description(band, name)
    made.unlink()


def model(name: str, bundle: str, script: str) -> None:
    """Save one network twice: for geoseg, and as a TorchScript for its peers."""
    import torch  # noqa: PLC0415

    from geoseg.models.bundle import ModelBundle, save_bundle  # noqa: PLC0415
    from geoseg.models.card import ModelCard  # noqa: PLC0415
    from geoseg.models.registry import build  # noqa: PLC0415
    from geoseg.raster.legend import Legend  # noqa: PLC0415

    torch.manual_seed(3)
    network, arguments = NETWORKS[name]
    built = build(network, in_channels=4, classes=7, **arguments).eval()
    card = ModelCard(
        name=name, network=network, arguments=arguments, bands=("blue", "green", "red", "nir"),
        mean=(0.0,) * 4, std=(10000.0,) * 4, fill=0.0, legend=Legend.of_values(range(7)), tile=288,
    )  # fmt: skip
    save_bundle(ModelBundle(built, card), Path(bundle))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(built, torch.rand(2, 4, 64, 64), check_trace=False).save(script)


def same(one: str, other: str, valid: str | None = None) -> None:
    """Say which share of the pixels with data has the same value in two rasters."""
    total = equal = 0
    with rasterio.open(one) as first, rasterio.open(other) as second:
        for row in range(0, first.height, 512):
            window = ((row, min(row + 512, first.height)), (0, first.width))
            a, b = first.read(1, window=window), second.read(1, window=window)
            counts = np.ones(a.shape, bool)
            if valid is not None:
                with rasterio.open(valid) as source:
                    counts = source.read(1, window=window) != NODATA
            close = (a == b) | (np.abs(a.astype(np.float64) - b) <= 1e-6)
            close |= (a != a) & (b != b)  # noqa: PLR0124 — NaN in both
            total += int(counts.sum())
            equal += int((close & counts).sum())
    print(json.dumps({"same": equal / max(total, 1)}))


if __name__ == "__main__":
    {"scene": scene, "model": model, "same": same}[sys.argv[1]](*sys.argv[2:])
