"""Medians of dates: the kernel beside numpy, and from files to file beside reading alone.

Makes dates of Landsat's kind (uint16, deflate, tiles of 512, QA_PIXEL with clouds) and measures, in
processes of their own, how fast and in how much memory they become one::

    python benchmarks/composite.py --work scratch --keep benchmarks/results --name laptop

Rates are millions of pixels times bands of the result a second.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

import geoseg

BANDS = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")
PRODUCT = "LC08_L2SP_190026_2018{:02d}01_20200831_02_T1"
CLEAR, CLOUD, FILL = 21824, 22280, 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--keep", type=Path, help="where results go")
    parser.add_argument("--name", default="here")
    parser.add_argument("--dates", type=int, default=12)
    parser.add_argument("--sizes", default="2048x2048,4096x2048,2048x4096", help="rows x columns")
    parser.add_argument("--shift", type=int, default=0, help="pixels from each date to the next")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_dates(folder: Path, dates: int, rows: int, cols: int, shift: int) -> list[Path]:
    """Products with smooth ground, noise and round clouds; what is there is kept."""
    made = [folder / PRODUCT.format(date + 1) for date in range(dates)]
    for date, product in enumerate(made):
        if (product / "done").exists():
            continue
        product.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(date)
        small = rng.random((rows // 64 + 2, cols // 64 + 2)) < 0.3
        cloud = np.kron(small, np.ones((64, 64), bool))[:rows, :cols]
        quality = np.where(cloud, CLOUD, CLEAR).astype(np.uint16)
        quality[:, : cols // 20] = FILL
        for number, name in enumerate(("QA_PIXEL", *BANDS)):
            ground = 9000 + 500 * number + 800 * np.sin(np.arange(cols) / 300 + number)
            data = rng.normal(ground, 120, (rows, cols))
            data = np.where(cloud, data + 20000, data).astype(np.uint16)
            data[:, : cols // 20] = 0
            with rasterio.open(
                product / f"{product.name}_{name}.TIF",
                "w",
                driver="GTiff",
                width=cols,
                height=rows,
                count=1,
                dtype="uint16",
                crs="EPSG:32633",
                transform=Affine(30, 0, 500010 + 30 * shift * date, 0, -30, 5500010),
                tiled=True,
                blockxsize=512,
                blockysize=512,
                compress="deflate",
                zlevel=1,
                predictor=2,
            ) as dataset:
                dataset.write(quality if name == "QA_PIXEL" else data, 1)
        (product / "done").touch()
    return made


def kernel(dates: int) -> dict[str, float]:
    from geoseg.compositing.reduce import Reduction, reduce_dates  # noqa: PLC0415 — compiles

    rng = np.random.default_rng(0)
    found: dict[str, float] = {}
    for kind in ("float32", "uint16"):
        data = rng.integers(0, 60000, (dates, 7, 1024, 1024)).astype(kind)
        valid = rng.random((dates, 1024, 1024)) > 0.3
        for workers in (1, 4):
            for method in ("median", "mean", "medoid"):
                reduction = Reduction(method=method)  # type: ignore[arg-type]
                best = min(_timed(reduce_dates, data, valid, reduction, workers) for _ in range(3))
                found[f"{method}, {kind}, {workers} threads"] = 7 * 1024**2 / best / 1e6
    part = np.where(valid[:, None, :128], data[:, :, :128].astype(np.float32), np.nan)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(part, axis=0)
    found["numpy.nanmedian"] = expected.size / (time.perf_counter() - began) / 1e6
    got, _ = reduce_dates(
        np.ascontiguousarray(data[:, :, :128]), valid[:, :128].copy(), Reduction()
    )
    if not np.array_equal(got, expected, equal_nan=True):
        raise SystemExit("the kernel's median is not numpy's")
    return found


def _timed(function: Any, data: NDArray[Any], valid: NDArray[Any], how: Any, workers: int) -> float:
    began = time.perf_counter()
    function(data, valid, how, workers=workers)
    return time.perf_counter() - began


def read_all(products: list[Path], workers: int) -> None:
    """Decode every block of every file once, in threads, and do nothing with it."""

    def read(path: Path) -> None:
        with rasterio.open(path) as dataset:
            for row in range(0, dataset.height, 512):
                dataset.read(
                    1, window=Window(0, row, dataset.width, min(512, dataset.height - row))
                )

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(read, sorted(path for p in products for path in p.glob("*.TIF"))))


def step(given: argparse.Namespace) -> None:
    """Do one thing in this process and say how long it took and how large the process became."""
    what, _, size = given.step.partition(" ")
    if what == "kernel":
        print(json.dumps(kernel(given.dates)))
        return
    rows, _, cols = size.partition("x")
    folder = given.work / f"{given.dates}-{size}-{given.shift}"
    products = make_dates(folder, given.dates, int(rows), int(cols), given.shift)
    began = time.perf_counter()
    if what == "read":
        read_all(products, given.workers)
    elif what == "composite":
        from geoseg.cli import _run  # noqa: PLC0415

        words = ["composite", *map(str, products), "-o", str(folder / "out.tif"), "--overwrite"]
        if _run([*words, "--extent", "union", "--workers", str(given.workers), "-q"]):
            raise SystemExit("failed")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": peak}))


def in_a_process(given: argparse.Namespace, what: str) -> dict[str, Any]:
    """Do a step in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--work", str(given.work), "--step", what]
    command += ["--dates", str(given.dates), "--shift", str(given.shift)]
    command += ["--workers", str(given.workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    given = parse_arguments()
    if given.step:
        step(given)
        return
    given.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "geoseg": geoseg.__version__,
        "machine": platform.processor() or platform.machine(),
        "dates": given.dates,
        "shift": given.shift,
        "workers": given.workers,
        "kernel_mpx_bands_per_second": in_a_process(given, "kernel"),
        "files": {},
    }
    print(json.dumps(found["kernel_mpx_bands_per_second"], indent=1), flush=True)
    for size in given.sizes.split(","):
        rows, cols = map(int, size.split("x"))
        for what in ("make", "read", "composite"):
            told = in_a_process(given, f"{what} {size}")
            if what == "make":
                continue
            told["mpx_bands_per_second"] = rows * cols * len(BANDS) / told["seconds"] / 1e6
            found["files"][f"{what} {size}"] = told
            print(what, size, told, flush=True)
    if given.keep is not None:
        (given.keep / f"composite-{given.name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
