"""Reading a scene over HTTP beside the same file on the disk: requests, bytes, seconds.

    python benchmarks/remote.py --size 4096 --latency 0.02
    python benchmarks/remote.py --files scene.tif --latency 0.05

A server on this machine answers each request after `latency` seconds, and counts. Each way reads
all pixels in a process of its own, from top to bottom with four threads; GDAL as it comes is beside
geoseg's settings. `plain` is rasterio alone, block row by block row in one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geoseg.testing.webserver import web_server

_CHILD = """
import json, sys, time
address, way = sys.argv[1:3]
start = time.perf_counter()
total = 0
if way == "plain":
    import rasterio
    from rasterio.windows import Window
    with rasterio.open(address) as file:
        for row in range(0, file.height, 512):
            rows = min(512, file.height - row)
            total += int(file.read(window=Window(0, row, file.width, rows)).sum(dtype="int64"))
else:
    from geoseg.raster import strips
    from geoseg.raster.opening import remote
    from geoseg.raster.scene import Scene
    if way == "gdal":
        remote.settings = lambda path: {}
        strips.is_remote = lambda path: False
    with Scene.open(address) as scene:
        for strip in strips.read_strips([scene], workers=4, prefetch=2):
            total += int(strip.arrays[0].sum(dtype="int64"))
print(json.dumps([time.perf_counter() - start, total]))
"""


def make(folder: Path, size: int) -> list[Path]:
    """Three files of the same readings: tiles of all bands, tiles of each band, strips."""
    rng = np.random.default_rng(0)
    slope = (np.add.outer(np.arange(size), np.arange(size)) // 16).astype("uint16")
    bands = np.stack([slope + rng.integers(1, 200, slope.shape, dtype="uint16") for _ in range(4)])
    ways = {
        "tiles-together.tif": {
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "interleave": "pixel",
        },
        "tiles-by-band.tif": {
            "tiled": True,
            "blockxsize": 256,
            "blockysize": 256,
            "interleave": "band",
        },
        "strips.tif": {"interleave": "pixel"},
    }
    for name, how in ways.items():
        with rasterio.open(
            folder / name,
            "w",
            driver="GTiff",
            height=size,
            width=size,
            count=4,
            dtype="uint16",
            crs="EPSG:32612",
            transform=Affine(1, 0, 5e5, 0, -1, 4e6),
            compress="deflate",
            predictor=2,
            num_threads=4,
            nodata=0,
            **how,
        ) as file:
            file.write(bands)
    return [folder / name for name in ways]


def timed(address: str, way: str) -> tuple[float, int]:
    words = [sys.executable, "-c", _CHILD, address, way]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    seconds, total = json.loads(done.stdout)
    return seconds, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--files", nargs="*", type=Path, help="files to read, in place of made ones"
    )
    given = parser.parse_args()
    print(
        f"{given.latency * 1000:g} ms a request, {os.cpu_count()} cores, best of {given.repeat}\n"
    )
    print("| file | MB | way | requests | of them 404 | MB read | seconds | spread |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for file in given.files or make(folder, given.size):
            if file.parent != folder:
                shutil.copy(file, folder)
            name = file.name
            with web_server(folder) as server:
                totals = set()
                for label, way, far in (
                    ("geoseg, on the disk", "geoseg", False),
                    ("geoseg", "geoseg", True),
                    ("geoseg, settings of GDAL", "gdal", True),
                    ("rasterio alone", "plain", True),
                ):
                    times = []
                    for _ in range(given.repeat):
                        server.set(latency=given.latency)
                        where = server.url(name) if far else str(folder / name)
                        seconds, total = timed(where, way)
                        times.append(seconds)
                        totals.add(total)
                    asked = server.asked()
                    missing = sum(one.status == 404 for one in asked)
                    read = sum(one.sent for one in asked) / 1e6
                    print(
                        f"| {name} | {(folder / name).stat().st_size / 1e6:.0f} | {label} |"
                        f" {len(asked)} | {missing} | {read:.0f} | {min(times):.2f} |"
                        f" {statistics.pstdev(times):.2f} |",
                        flush=True,
                    )
                if len(totals) > 1:
                    raise SystemExit(f"{name}: not all ways read the same pixels")


if __name__ == "__main__":
    main()
