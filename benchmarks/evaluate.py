"""What an evaluation costs beyond counting, and whether its memory is flat.

    python benchmarks/evaluate.py FOLDER [--heights 4096,16384]

FOLDER holds the rasters that are made. Every run is a process of its own, timed with its start;
the result is a table in Markdown on standard output. The last row reads both rasters whole and
asks scikit-learn for the confusion and kappa, at the least height alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

WIDTH = 16384
CLASSES = "1=water,2=forest,3=shrub,4=grass,5=crop,6=built"
SKLEARN = """
import sys, rasterio
from sklearn import metrics
a, b = (rasterio.open(path).read(1).ravel() for path in sys.argv[1:3])
kept = (a != 255) & (b != 255)
print(metrics.confusion_matrix(a[kept], b[kept]).trace())
print(metrics.cohen_kappa_score(a[kept], b[kept]))
"""


def make(path: Path, height: int, *, wrong: float) -> None:
    """Write classes in blocks of 8 × 8, of which a share is of another class."""
    profile = {
        "driver": "GTiff", "height": height, "width": WIDTH, "count": 1, "dtype": "uint8",
        "crs": "EPSG:32633", "transform": Affine(10, 0, 400000, 0, -10, 5600000), "nodata": 255,
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
    }  # fmt: skip
    classes, noise = np.random.default_rng(0), np.random.default_rng(1)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, height, 512):
            coarse = classes.integers(1, 7, (64, WIDTH // 8), dtype=np.uint8)
            coarse[classes.random(coarse.shape) < 0.02] = 255
            pixels = coarse.repeat(8, 0).repeat(8, 1)
            if wrong:
                change = noise.random(pixels.shape, dtype=np.float32) < wrong
                other = noise.integers(1, 7, pixels.shape, dtype=np.uint8)
                pixels = np.where(change, other, pixels)
            file.write(pixels, 1, window=Window(0, row, WIDTH, 512))


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak resident megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heights", default="4096,16384")
    parser.add_argument("--workers", default="4")
    asked = parser.parse_args()
    heights = [int(text) for text in asked.heights.split(",")]
    asked.folder.mkdir(parents=True, exist_ok=True)
    runs = {
        "scores": [],
        "--bootstrap 1000 --block 64px": ["--bootstrap", "1000", "--block", "64px"],
        "--boundary 2px": ["--boundary", "2px"],
        "--boundary 10px": ["--boundary", "10px"],
        "--seams 256": ["--seams", "256"],
        "--stages agde --cell 300m": [
            *("--stages", "agde", "--target", "forest", "--exclude", "water", "--cell", "300m")
        ],
        "--errors": ["--errors", str(asked.folder / "errors.tif")],
        "-o FOLDER (page)": ["-o", str(asked.folder / "out")],
    }
    print("| run | rows | s | peak MB |\n|---|---|---|---|")
    for height in heights:
        pair = [asked.folder / f"{name}{height}.tif" for name in ("map", "labels")]
        for path, wrong in zip(pair, (0.2, 0.0), strict=True):
            if not path.exists():
                make(path, height, wrong=wrong)
        paths = [str(path) for path in pair]
        geoseg = [sys.executable, "-m", "geoseg", "evaluate", *paths, "--classes", CLASSES]
        geoseg += ["--overwrite", "--quiet", "--workers", asked.workers]
        for name, options in runs.items():
            seconds, peak = run([*geoseg, *options])
            print(f"| {name} | {height:,} | {seconds:.1f} | {peak:.0f} |", flush=True)
        if height == min(heights):
            seconds, peak = run([sys.executable, "-c", SKLEARN, *paths])
            print(f"| scikit-learn | {height:,} | {seconds:.1f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
