"""Removing small components: geoseg's stream beside the sieves of rasterio and GDAL, in one run.

    python benchmarks/small_components.py --size 16384
    python benchmarks/small_components.py --size 8192 --map salt checkerboard --skip rasterio gdal

Every method runs in a process of its own that reads the map from a file and writes the result to
one, all of it timed; so is the memory of that process. The map: blobs of seven classes with 2 % of
single pixels of any class (`blobs`), the same with 50 % (`salt`), and worst cases. `gdal` is
``gdal_sieve.py``, if the system has it. A sieve is one pass: `left` counts the components below the
threshold that a method left standing (GDAL and rasterio: also those in the way of each other), and
needs scipy and memory for the whole map (``--count``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NODATA = 255
CLASSES = 7
ROWS = 512
MAPS = ("blobs", "salt", "noise", "checkerboard", "comb", "one", "nodata")
METHODS = ("geoseg", "geoseg-1", "rasterio", "gdal")


class Blobs:
    """Seven smooth random fields; a pixel's class is the field that is highest there."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.layers = [
            (cell, scale * rng.standard_normal((CLASSES, size // cell + 2, size // cell + 2)))
            for cell, scale in ((640, 1.0), (160, 0.5), (40, 0.25))
        ]
        self.columns = np.arange(size)

    def rows(self, row: int, count: int) -> NDArray[np.uint8]:
        """Return `count` rows from `row` on."""
        total = np.zeros((CLASSES, count, self.columns.size), np.float32)
        for cell, nodes in self.layers:
            y, x = np.arange(row, row + count) / cell, self.columns / cell
            low, left = y.astype(int), x.astype(int)
            down, right = (y - low)[:, None], (x - left)[None, :]
            lines = nodes[:, low] * (1 - down) + nodes[:, low + 1] * down
            total += (lines[:, :, left] * (1 - right) + lines[:, :, left + 1] * right).astype("f4")
        highest: NDArray[np.intp] = np.argmax(total, axis=0)
        return highest.astype(np.uint8)


def make_map(kind: str, size: int, path: Path) -> None:
    rng = np.random.default_rng(7)
    blobs = Blobs(size, rng) if kind in ("blobs", "salt") else None
    with path.open("wb") as file:
        for row in range(0, size, ROWS):
            count = min(ROWS, size - row)
            y, x = np.arange(row, row + count)[:, None], np.arange(size)[None, :]
            if blobs is not None:
                rows = blobs.rows(row, count)
                salt = rng.random(rows.shape, dtype=np.float32) < (0.02 if kind == "blobs" else 0.5)
                rows[salt] = rng.integers(0, CLASSES, int(salt.sum()), dtype=np.uint8)
                # Slanted borders without data, as most scenes have them.
                rows[(x * 8 < size - y) | (x * 8 > 8 * size - y)] = NODATA
            elif kind == "noise":
                rows = rng.integers(0, CLASSES, (count, size), dtype=np.uint8)
            elif kind == "checkerboard":
                rows = ((x + y) % 2).astype(np.uint8)
            elif kind == "comb":
                rows = np.where(y == size - 1, 0, x % 2).astype(np.uint8)
            else:
                rows = np.full((count, size), 0 if kind == "one" else NODATA, np.uint8)
            file.write(rows.tobytes())


def geoseg(source: Path, target: Path, size: int, min_area: int, workers: int) -> None:
    from geoseg.inference.cleanup import SmallComponents  # noqa: PLC0415

    buffer = np.empty((ROWS, size), np.uint8)
    with (
        source.open("rb") as reader,
        target.open("wb") as writer,
        SmallComponents(
            size, min_area, classes=CLASSES, folder=target.parent, workers=workers
        ) as stream,
    ):
        while count := reader.readinto(buffer.data):
            stream.add_rows(buffer[: count // size])
        for rows in stream.finish():
            writer.write(rows.data)


def rasterio(source: Path, target: Path, size: int, min_area: int) -> None:
    from rasterio.features import sieve  # noqa: PLC0415

    class_map = np.fromfile(source, np.uint8).reshape(size, size)
    sieve(class_map, min_area, connectivity=4, mask=class_map != NODATA).tofile(target)


def gdal(source: Path, target: Path, size: int, min_area: int) -> None:
    # The raw bytes as a raster, and back: a VRT in front, ENVI (raw as well) behind.
    vrt = source.with_suffix(".vrt")
    vrt.write_text(
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><VRTRasterBand dataType="Byte" '
        f'band="1" subClass="VRTRawRasterBand"><NoDataValue>{NODATA}</NoDataValue>'
        f'<SourceFilename relativeToVRT="1">{source.name}</SourceFilename><PixelOffset>1'
        f"</PixelOffset><LineOffset>{size}</LineOffset></VRTRasterBand></VRTDataset>"
    )
    command = ["gdal_sieve.py", "-q", "-st", str(min_area), "-4", str(vrt), "-of", "ENVI"]
    subprocess.run([*command, str(target)], check=True, stdout=subprocess.DEVNULL)


def run_one(args: argparse.Namespace) -> None:
    """In the process of its own: warm up on a small map, then time the large one."""
    source, target = Path(args.source), Path(args.target)
    if args.one in ("rasterio", "gdal"):
        method = rasterio if args.one == "rasterio" else gdal
        begin = time.perf_counter()
        method(source, target, args.size[0], args.min_area)
    else:
        small = target.with_name("small")
        np.zeros((4, 4), np.uint8).tofile(small)
        geoseg(small, target, 4, 1, 1)
        workers = 1 if args.one == "geoseg-1" else args.workers
        begin = time.perf_counter()
        geoseg(source, target, args.size[0], args.min_area, workers)
    seconds = time.perf_counter() - begin
    mine, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime
    memory = others.ru_maxrss if args.one == "gdal" else own_peak()
    print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": memory / 2**20}))


def own_peak() -> int:
    """Return this process's peak memory in KiB, pages of mapped files included."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in ru_maxrss what the parent held when it started this process.
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0])


def count_small(path: Path, size: int, min_area: int) -> int:
    from scipy import ndimage  # noqa: PLC0415

    class_map = np.fromfile(path, np.uint8).reshape(size, size)
    left = 0
    for value in range(CLASSES):
        labels, _ = ndimage.label(class_map == value)
        left += int((np.bincount(labels.ravel())[1:] < min_area).sum())
    return left


def first_use(folder: Path) -> tuple[float, float]:
    """Return the seconds that loading the compiled loops takes without and with their cache."""
    program = (
        "import time, numpy; begin = time.perf_counter(); "
        "import geoseg.inference._tables; print(time.perf_counter() - begin)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "numba")}
    cold, warm = (
        float(subprocess.check_output([sys.executable, "-c", program], env=environment, text=True))
        for _ in range(2)
    )
    return cold, warm


def compare(args: argparse.Namespace, folder: Path) -> None:
    methods = [name for name in METHODS if name not in args.skip]
    if "gdal" in methods and shutil.which("gdal_sieve.py") is None:
        methods.remove("gdal")
    cold, warm = first_use(folder)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores (load before: {os.getloadavg()[0]:.1f}), "
        f"Python {platform.python_version()}, numpy {np.__version__}, numba {version('numba')}, "
        f"rasterio {version('rasterio')}"
    )
    print(f"threshold {args.min_area} px, {args.workers} workers, best of {args.runs}")
    print(f"loading the compiled loops: {cold:.1f} s without their cache, {warm:.2f} s with it\n")
    print("| map | size | method | Mpx/s | seconds | CPU s | peak GiB | left |")
    print("|---|---|---|---|---|---|---|---|")
    for size in args.size:
        for kind in args.map:
            source, target = folder / "map.raw", folder / "result.raw"
            make_map(kind, size, source)
            for method in methods:
                command = [sys.executable, __file__, "--one", method, "--size", str(size)]
                command += ["--source", str(source), "--target", str(target)]
                command += ["--workers", str(args.workers), "--min-area", str(args.min_area)]
                results = [
                    json.loads(subprocess.check_output(command, text=True))
                    for _ in range(args.runs)
                ]
                best = min(results, key=lambda result: float(result["seconds"]))
                left = count_small(target, size, args.min_area) if args.count else "–"
                print(
                    f"| {kind} | {size}² | {method} | {size * size / best['seconds'] / 1e6:.1f} "
                    f"| {best['seconds']:.2f} | {best['cpu']:.2f} | {best['memory']:.2f} "
                    f"| {left} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the removal of small components.")
    parser.add_argument("--size", type=int, nargs="+", default=[8192], help="rows and columns")
    parser.add_argument("--map", choices=MAPS, nargs="+", default=["blobs"])
    parser.add_argument("--min-area", type=int, default=3500)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--skip", choices=METHODS, nargs="*", default=[])
    parser.add_argument("--count", action="store_true", help="count what is left below it")
    parser.add_argument("--folder", type=Path, help="where to put the maps (else: a temporary one)")
    for internal in ("--one", "--source", "--target"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(args)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        compare(args, Path(folder))


if __name__ == "__main__":
    main()
