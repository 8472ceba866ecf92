"""Medians of dates: the kernel beside numpy, and from files to file beside reading alone and peers.

Makes dates of Landsat's kind (uint16, deflate, tiles of 512, QA_PIXEL with clouds) and measures, in
processes of their own and in turn, how fast, in how much memory and on how much disk they become
one::

    python benchmarks/composite.py --work scratch --peers PYTHON --keep benchmarks/results

`PYTHON` is one that has rasterio, rioxarray, dask, odc-stac and stackstac; see
`benchmarks/composite_peers.py`. Rates are millions of pixels times bands of the result a second.
"Reading alone" decodes every block of the same files once, with as many threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from composite_peers import BANDS, peak_mb
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

import geoseg

PRODUCT = "LC08_L2SP_190026_2018{:02d}01_20200831_02_T1"
CLEAR, CLOUD, FILL = 21824, 22280, 1


PEERS = ("windows", "xarray", "odc", "stackstac")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--keep", type=Path, help="where results go")
    parser.add_argument("--name", default="here")
    parser.add_argument("--peers", help="a Python that has the peers; without, none are run")
    parser.add_argument("--parts", default="kernel,ratios,grids,sizes")
    parser.add_argument("--dates", type=int, default=12)
    parser.add_argument("--size", default="2048x2048", help="rows x columns of ratios and grids")
    parser.add_argument("--sizes", default="1024x2048,2048x2048,4096x2048,512x16384")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--shift", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--options", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


PART = 2048
"""Rows that are made; taller files repeat them."""


def make_dates(folder: Path, dates: int, rows: int, cols: int, shift: int) -> list[Path]:
    """Products with smooth ground, noise and round clouds; what is there is kept."""
    made = [folder / PRODUCT.format(date + 1) for date in range(dates)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda date: make_date(made[date], date, rows, cols, shift), range(dates)))
    return made


def make_date(product: Path, date: int, rows: int, cols: int, shift: int) -> None:
    if (product / "done").exists():
        return
    product.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(date)
    part = min(rows, PART)
    small = rng.random((part // 64 + 2, cols // 64 + 2)) < 0.3
    cloud = np.kron(small, np.ones((64, 64), bool))[:part, :cols]
    quality = np.where(cloud, CLOUD, CLEAR).astype(np.uint16)
    quality[:, : cols // 20] = FILL
    for number, name in enumerate(("QA_PIXEL", *BANDS)):
        ground = 9000 + 500 * number + 800 * np.sin(np.arange(cols) / 300 + number)
        data = rng.normal(ground, 120, (part, cols))
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
            for top in range(0, rows, part):
                height = min(part, rows - top)
                stored = quality if name == "QA_PIXEL" else data
                dataset.write(stored[:height], 1, window=Window(0, top, cols, height))
    (product / "done").touch()


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


def folder_of(given: argparse.Namespace, size: str, shift: int) -> Path:
    path: Path = given.work / f"{given.dates}-{size}-{shift}"
    return path


def step(given: argparse.Namespace) -> None:
    """Do one thing in this process; say how long it took and how large the process became."""
    what, _, size = given.step.partition(" ")
    if what == "kernel":
        print(json.dumps(kernel(given.dates)))
        return
    rows, _, cols = size.partition("x")
    folder = folder_of(given, size, given.shift)
    products = make_dates(folder, given.dates, int(rows), int(cols), given.shift)
    disk = Disk(folder / "out")
    if what == "composite":
        (disk.folder / "out.tif").unlink(missing_ok=True)
    began = time.perf_counter()
    if what == "read":
        read_all(products, given.workers)
    elif what == "composite":
        from geoseg.cli import _run  # noqa: PLC0415

        words = ["composite", *map(str, products), "-o", str(disk.folder / "out.tif")]
        words += ["--overwrite", "--workers", str(given.workers), "-q", *given.options.split()]
        if _run(words):
            raise SystemExit("failed")
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": peak_mb(),
        "disk_mb": disk.most() / 1e6,
    }
    print(json.dumps(told))


class Disk:
    """How much of the disk a folder takes at most, looked at now and then."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            total = 0
            for path in self.folder.rglob("*"):
                try:
                    total += path.lstat().st_blocks * 512
                except OSError:
                    continue
            self._most = max(self._most, total)

    def most(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._most


def in_a_process(
    given: argparse.Namespace, what: str, *, shift: int = 0, options: str = ""
) -> dict[str, Any]:
    """Do a step in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--work", str(given.work), "--step", what]
    command += ["--dates", str(given.dates), "--shift", str(shift)]
    command += ["--workers", str(given.workers), f"--options={options}"]
    return _told(command)


def peer(given: argparse.Namespace, name: str) -> dict[str, Any]:
    """Run a peer, and see that its medians are ours."""
    folder = folder_of(given, given.size, 0)
    out = folder / "out" / f"{name}.tif"
    products = sorted(path for path in folder.iterdir() if (path / "done").exists())
    script = Path(__file__).with_name("composite_peers.py")
    told = _told(
        [given.peers, str(script), name, str(out), str(given.workers), *map(str, products)]
    )
    with rasterio.open(out) as theirs, rasterio.open(folder / "out" / "out.tif") as ours:
        for band in range(1, len(BANDS) + 1):
            one, other = theirs.read(band), ours.read(band)
            if not np.allclose(one, other, rtol=0, atol=1e-6, equal_nan=True):
                raise SystemExit(f"{name} finds other medians in band {band}")
    out.unlink()
    return told


def _told(command: list[str]) -> dict[str, Any]:
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def spread(runs: list[dict[str, Any]], beside: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, least and most of each figure; and of its time beside another's, run by run."""
    figures = {
        key: [round(f(run[key] for run in runs), 3) for f in (statistics.median, min, max)]
        for key in runs[0]
    }
    times = [one["seconds"] / other["seconds"] for one, other in zip(runs, beside, strict=True)]
    cpu = [
        one["cpu_seconds"] / other["cpu_seconds"] for one, other in zip(runs, beside, strict=True)
    ]
    figures["of_reading"] = [round(f(times), 2) for f in (statistics.median, min, max)]
    figures["of_reading_cpu"] = [round(f(cpu), 2) for f in (statistics.median, min, max)]
    return figures


def ratios(given: argparse.Namespace) -> dict[str, Any]:
    """Time reading, the composite and the peers in turn, again and again."""
    kinds = ["read", "composite", *(PEERS if given.peers else ())]
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    in_a_process(given, f"make {given.size}")
    for _ in range(given.repeats):
        for kind, told in runs.items():
            if kind in PEERS:
                told.append(peer(given, kind))
            else:
                told.append(in_a_process(given, f"{kind} {given.size}"))
    return {kind: spread(told, runs["read"]) for kind, told in runs.items()}


GRIDS = {
    "one grid": (0, ""),
    "one grid, clouds grown by 3": (0, "--dilate 3"),
    "medoid": (0, "--method medoid"),
    "uint16": (0, "--dtype uint16"),
    "shifted by 37 pixels a date": (37, "--extent union"),
    "another coordinate system": (0, "--crs EPSG:32634"),
}


def grids(given: argparse.Namespace) -> dict[str, Any]:
    """Time composites of other kinds, each beside reading."""
    found: dict[str, Any] = {}
    runs: dict[str, Any] = {name: ([], []) for name in GRIDS}
    for _ in range(given.repeats):
        for name, (shift, options) in GRIDS.items():
            in_a_process(given, f"make {given.size}", shift=shift)
            runs[name][1].append(in_a_process(given, f"read {given.size}", shift=shift))
            step_ = f"composite {given.size}"
            runs[name][0].append(in_a_process(given, step_, shift=shift, options=options))
    for name, (told, beside) in runs.items():
        found[name] = spread(told, beside)
    return found


def sizes(given: argparse.Namespace) -> dict[str, Any]:
    """Time, memory and disk against height, and of a wide scene."""
    found: dict[str, Any] = {}
    for size in given.sizes.split(","):
        in_a_process(given, f"make {size}")
        runs: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
        for _ in range(min(3, given.repeats)):
            runs[1].append(in_a_process(given, f"read {size}"))
            runs[0].append(in_a_process(given, f"composite {size}"))
        found[size] = spread(*runs) | {"read": spread(runs[1], runs[1])}
    return found


def main() -> None:
    given = parse_arguments()
    if given.step:
        step(given)
        return
    given.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "geoseg": geoseg.__version__,
        "gdal": rasterio.__gdal_version__,
        "numpy": np.__version__,
        "dates": given.dates,
        "bands": len(BANDS),
        "workers": given.workers,
    }
    parts = {
        "kernel": lambda _: in_a_process(given, "kernel"),
        "ratios": ratios,
        "grids": grids,
        "sizes": sizes,
    }
    for part in given.parts.split(","):
        found[part] = parts[part](given)
        print(part)
        for name, figures in found[part].items():
            print(f"  {name}: {figures}", flush=True)
    if given.keep is not None:
        (given.keep / f"composite_{given.name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
