"""What coverage costs: a class raster by cell and by 1,000 polygons, beside its peers.

    python benchmarks/coverage_peers.py FOLDER [--size 16384] [--peers PYTHON]

FOLDER holds the rasters and polygons that are made. ``--peers`` is a Python that has exactextract
and rasterstats. Every run is a process of its own, timed with its start; the result is a table in
Markdown on standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.windows import Window

WIDTH = 16384
LEGEND = "1=water,2=forest,3=shrub,4=grass,5=crop,6=built"

EXACT = """
import sys, geopandas
from exactextract import exact_extract
zones = geopandas.read_file(sys.argv[2])
r = exact_extract(sys.argv[1], zones, ["unique", "frac"], output="pandas",
                  strategy="raster-sequential", max_cells_in_memory=100_000_000)
share = [float(sum(f for u, f in zip(us, fs) if u == 2)) for us, fs in zip(r["unique"], r["frac"])]
print(__import__("json").dumps(share))
"""
BY_CENTRE = """
import sys, json
from rasterstats import zonal_stats
r = zonal_stats(sys.argv[2], sys.argv[1], categorical=True)
print(json.dumps([z.get(2, 0) / max(1, sum(z.values())) for z in r]))
"""


def make_raster(path: Path, height: int) -> None:
    profile = {
        "driver": "GTiff", "height": height, "width": WIDTH, "count": 1, "dtype": "uint8",
        "crs": "EPSG:32633", "transform": Affine(10, 0, 400000, 0, -10, 5600000), "nodata": 255,
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
    }  # fmt: skip
    rng = np.random.default_rng(0)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, height, 512):
            coarse = rng.integers(1, 7, (128, WIDTH // 4), dtype=np.uint8)
            coarse[rng.random(coarse.shape) < 0.02] = 255
            window = Window(0, row, WIDTH, 512)
            file.write(coarse.repeat(4, 0).repeat(4, 1), 1, window=window)


def make_zones(path: Path, height: int) -> None:
    rng = np.random.default_rng(1)
    down, across = 25, 40
    shapes = []
    for i in range(down):
        for j in range(across):
            angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
            radius = (
                0.5 + 0.18 * np.sin(5 * angle + rng.uniform(0, 6)) + rng.uniform(-0.03, 0.03, 200)
            )
            x = 400000 + 10 * WIDTH / across * (j + 0.5 + radius * np.cos(angle))
            y = 5600000 - 10 * height / down * (i + 0.5 + radius * np.sin(angle))
            shapes.append(shapely.Polygon(np.column_stack([x, y])))
    frame = geopandas.GeoDataFrame(
        {"number": range(len(shapes))}, geometry=shapes, crs="EPSG:32633"
    )
    frame.to_file(path)


def measured(words: list[str]) -> tuple[float, float, str]:
    """Seconds, peak megabytes and standard output of a process."""
    start = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=16384)
    parser.add_argument("--peers")
    given = parser.parse_args()
    print("| run | rows | s | peak MB |\n|---|---|---|---|")
    found: dict[str, list[float]] = {}
    for height in (given.size // 4, given.size // 2, given.size):
        raster, zones = given.folder / f"c{height}.tif", given.folder / f"z{height}.gpkg"
        if not raster.exists():
            make_raster(raster, height)
            make_zones(zones, height)
        geoseg = [sys.executable, "-m", "geoseg", "coverage", str(raster), "--overwrite", "--json"]
        geoseg += ["--target", "forest", "--classes", LEGEND, "--workers", "4"]
        out = given.folder / "out"
        runs = {
            "cells of 300 m": [*geoseg, "--cell", "300m", "-o", f"{out}.tif"],
            "cells of 295 m": [*geoseg, "--cell", "295m", "-o", f"{out}.tif"],
            "1,000 zones": [*geoseg, "--zones", str(zones), "-o", f"{out}.gpkg"],
        }
        if given.peers and height == given.size:
            runs["exactextract, 1,000 zones"] = [given.peers, "-c", EXACT, str(raster), str(zones)]
            runs["rasterstats, 1,000 zones"] = [
                given.peers,
                "-c",
                BY_CENTRE,
                str(raster),
                str(zones),
            ]
        for name, words in runs.items():
            seconds, peak, said = measured(words)
            print(f"| {name} | {height:,} | {seconds:.1f} | {peak:.0f} |", flush=True)
            if height == given.size:
                told = json.loads(said)
                if isinstance(told, dict):
                    told = [zone["coverage"] / 100 for zone in told["zones"]]
                found[name] = told
    own = np.array(found["1,000 zones"])
    for name, other in found.items():
        if "," in name and name != "1,000 zones":
            print(f"\n{name}: largest difference {100 * np.abs(own - other).max():.2g} points")


if __name__ == "__main__":
    main()
