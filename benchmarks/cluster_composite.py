"""What a second worker is worth to a composite: by one worker and by two, beside threads.

Each worker has two threads; the workers are of this machine, and have made one before it counts. In
turn in one run; prints and keeps medians, spread, and ratios within a turn; the files are compared
byte for byte::

    python benchmarks/cluster_composite.py --work scratch --keep benchmarks/results
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import resource
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from composite import make_dates

import geoseg
from geoseg.cluster.cluster import Cluster
from geoseg.compositing.composite import composite
from geoseg.compositing.dates import shared_bands
from geoseg.compositing.opening import open_products
from geoseg.compositing.settings import CompositeSettings
from geoseg.compositing.target import target_grid

DATES, THREADS = 12, 2
"""Dates, and threads of each worker."""
ONE = "1 worker, 2 threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--keep", type=Path, help="folder for the table")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dates", type=int, default=DATES)
    given = parser.parse_args()
    folder = given.work / f"dates{given.dates}-{given.size}"
    folder.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    products = open_products(
        [str(path) for path in make_dates(folder, given.dates, given.size, given.size, 0)]
    ).products
    grid = target_grid(products, shared_bands(products)).grid
    target = given.work / "composite.tif"
    found: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}
    with ExitStack() as stack:
        ways: dict[str, tuple[Cluster | None, int]] = {
            f"here, {n} threads": (None, n) for n in (2, 4)
        }
        for count in (1, 2):
            ways[f"{count} worker{'s' * (count > 1)}, 2 threads" + " each" * (count > 1)] = (
                stack.enter_context(
                    Cluster.open("local", workers=THREADS * count, processes=count)
                ),
                4,
            )
        for turn in range(given.rounds + 1):
            digests = set()
            for way, (cluster, threads) in ways.items():
                began, cpu = time.perf_counter(), _cpu()
                composite(
                    products,
                    target,
                    grid,
                    settings=CompositeSettings(),
                    workers=threads,
                    overwrite=True,
                    cluster=cluster,
                )
                if turn:
                    found.setdefault(way, []).append(time.perf_counter() - began)
                    spent.setdefault(way, []).append(_cpu() - cpu)
                digests.add(hashlib.sha256(target.read_bytes()).hexdigest())
            if len(digests) != 1:
                raise SystemExit("the composites are not the same bytes")
    lines = [
        f"| {way} | {_spread(times)} | {_spread(_ratios(times, found[ONE]))} |"
        f" {_spread(spent[way])} |"
        for way, times in found.items()
    ]
    text = "\n".join(
        [
            "# A composite over a cluster",
            "",
            f"From `benchmarks/cluster_composite.py`: {given.dates} dates, 7 bands, {given.size}²,"
            f" on workers of one machine. geoseg {geoseg.__version__}, {platform.machine()},"
            f" {os.cpu_count()} cores (load before: {load:.1f}). Rounds in turn: {given.rounds}."
            " Ratios are within a round; median (least to most).",
            "",
            "| | seconds | of one worker's | processor s of the command |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )
    print(text)
    if given.keep is not None:
        (given.keep / "cluster_composite.md").write_text(text, encoding="utf-8")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _ratios(times: list[float], others: list[float]) -> list[float]:
    return [a / b for a, b in zip(times, others, strict=True)]


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
