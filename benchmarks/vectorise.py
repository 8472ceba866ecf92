"""Class rasters to polygons: geoseg vectorise beside gdal_polygonize, in one run.

    python benchmarks/vectorise.py --size 4096 16384
    python benchmarks/vectorise.py --map smooth --width 4096 --size 4096 16384 65536 --skip gdal

Every method runs in a process of its own that reads a tiled GeoTIFF and writes a GeoPackage, start
of the interpreter included; so is the memory of that process. The maps: smooth blobs of seven
classes (`smooth`), and the same with 2 % of single pixels of any class (`specks`), which are most
of the polygons. With `--width`, `--size` is the height alone. `gdal` is ``gdal_polygonize.py``, if
the system has it: it writes the same polygons, 4-connected.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window
from small_components import CLASSES, NODATA, Blobs

ROWS = 512
MAPS = ("smooth", "specks")
METHODS = {
    "geoseg": ["--workers", "4"],
    "geoseg, 1 worker": ["--workers", "1"],
    "geoseg --simplify 2px": ["--workers", "4", "--simplify", "2px"],
    "gdal_polygonize": [],
}
# Small, so that the peak it reports is that of the command: what a process holds when it starts
# another counts for both.
TIMER = """
import json, resource, subprocess, sys, time
begin = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20]))
"""


def make_map(kind: str, height: int, width: int, path: Path) -> None:
    rng = np.random.default_rng(7)
    blobs = Blobs(max(height, width), rng)
    blobs.columns = np.arange(width)
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "nodata": NODATA,
        "crs": "EPSG:32612",
        "transform": Affine(10, 0, 300_000, 0, -10, 4_000_000),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
    with rasterio.open(path, "w", height=height, width=width, **profile) as file:
        for row in range(0, height, ROWS):
            count = min(ROWS, height - row)
            rows = blobs.rows(row, count)
            if kind == "specks":
                specks = rng.random(rows.shape, dtype=np.float32) < 0.02
                rows[specks] = rng.integers(0, CLASSES, int(specks.sum()), dtype=np.uint8)
            # Slanted borders without data, as most scenes have them.
            y, x = np.arange(row, row + count)[:, None], np.arange(width)[None, :]
            slant = width * (y / height)
            rows[(x * 8 < width - slant) | (x * 8 > 8 * width - slant)] = NODATA
            file.write(rows, 1, window=Window(0, row, width, count))


def compare(args: argparse.Namespace, folder: Path) -> None:
    methods = [name for name in METHODS if not any(s in name for s in args.skip)]
    if shutil.which("gdal_polygonize.py") is None and "gdal_polygonize" in methods:
        methods.remove("gdal_polygonize")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores (load before: {os.getloadavg()[0]:.1f}), "
        f"Python {platform.python_version()}, numba {version('numba')}, pyogrio "
        f"{version('pyogrio')}\n"
    )
    print("| map | size | method | Mpx/s | seconds | CPU s | peak GiB | polygons | GeoPackage MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in args.size:
        for kind in args.map:
            source, target = folder / "map.tif", folder / "result.gpkg"
            width = args.width or size
            make_map(kind, size, width, source)
            for method in methods:
                command = [sys.executable, "-m", "geoseg", "vectorise", str(source)]
                command += ["-q", "-o", str(target), *METHODS[method]]
                if method == "gdal_polygonize":
                    command = ["gdal_polygonize.py", "-q", str(source), "-f", "GPKG", str(target)]
                results = []
                for _ in range(args.runs):
                    target.unlink(missing_ok=True)
                    timer = [sys.executable, "-c", TIMER, *command]
                    results.append(json.loads(subprocess.check_output(timer, text=True)))
                seconds, cpu, memory = min(results)
                with sqlite3.connect(target) as file:
                    (table,) = file.execute(
                        "SELECT table_name FROM gpkg_contents WHERE data_type = 'features'"
                    ).fetchone()
                    (count,) = file.execute(f'SELECT count(*) FROM "{table}"').fetchone()
                print(
                    f"| {kind} | {width} × {size} | {method} "
                    f"| {width * size / seconds / 1e6:.1f} | {seconds:.1f} | {cpu:.1f} "
                    f"| {memory:.2f} | {count:,} | {target.stat().st_size / 1e6:,.0f} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the making of polygons.")
    parser.add_argument("--size", type=int, nargs="+", default=[4096], help="rows and columns")
    parser.add_argument("--width", type=int, help="columns, if not as many as rows")
    parser.add_argument("--map", choices=MAPS, nargs="+", default=list(MAPS))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--skip", nargs="*", default=[], help="parts of names of methods")
    parser.add_argument("--folder", type=Path, help="where to put the maps (else: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        compare(args, Path(folder))


if __name__ == "__main__":
    main()
