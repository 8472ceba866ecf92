"""What a second worker is worth: one scene over a cluster, by one worker and by two.

Each has two threads; the workers are of this machine, and have predicted once before it counts.
Beside them, the same without a cluster by two and by four threads. In turn in one run; prints and
keeps medians, spread, ratios within a turn, and what the command's own process spends; the maps are
compared byte for byte::

    python benchmarks/cluster.py --work scratch --keep benchmarks/results
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from untrained import untrained

import geoseg
from geoseg.cluster.cluster import Cluster
from geoseg.inference.engines import Engine, make_engine
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.raster.scene import Scene
from geoseg.testing.scenes import made_scene

THREADS = 2
"""Of each worker."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--keep", type=Path, help="folder for the table")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", default="null,tiny")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    scene = given.work / f"cluster{given.size}.tif"
    if not scene.exists():
        made_scene(scene, height=given.size, width=given.size)
    load = os.getloadavg()[0]
    lines = [table(name, scene, given.work, given.rounds) for name in given.networks.split(",")]
    text = f"""# One scene over a cluster

From `benchmarks/cluster.py`: {given.size}², 4 bands uint16, 7 classes, tile 288, stride
144, on workers of one machine. geoseg {geoseg.__version__}, torch {torch.__version__},
{platform.machine()}, {os.cpu_count()} cores (load before: {load:.1f}).
Rounds in turn: {given.rounds}. Ratios are within a round; median (least to most).

{"".join(lines)}"""
    print(text)
    if given.keep is not None:
        (given.keep / "cluster.md").write_text(text, encoding="utf-8")


def table(name: str, path: Path, work: Path, rounds: int) -> str:
    """Measure one network."""
    models, settings = [untrained(name)], PredictSettings(scale=1)
    with ExitStack() as stack:
        scene = stack.enter_context(Scene.open(path))
        ways: dict[str, tuple[Engine, int]] = {
            f"here, {n} threads": (make_engine(models, settings, device="cpu"), n) for n in (2, 4)
        }
        for count in (1, 2):
            cluster = stack.enter_context(
                Cluster.open("local", workers=THREADS * count, processes=count)
            )
            engine = make_engine(models, settings, device="cpu", cluster=cluster)
            ways[f"{count} worker{'s' * (count > 1)}, {THREADS} threads each"] = (engine, THREADS)
        tiles: dict[str, int] = {}
        found: dict[str, list[float]] = {way: [] for way in ways}
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(rounds + 1):
            maps = set()
            for way, (engine, threads) in ways.items():
                began, cpu = time.perf_counter(), time.process_time()
                done = predict(
                    scene,
                    work / "map.tif",
                    models=models,
                    settings=settings,
                    engine=engine,
                    workers=threads,
                    overwrite=True,
                )
                if turn:
                    found[way].append(time.perf_counter() - began)
                    spent[way].append(time.process_time() - cpu)
                tiles[way] = done.tiles
                maps.add((work / "map.tif").read_bytes())
            if len(maps) != 1:
                raise SystemExit("the maps are not the same bytes")
    one = found["1 worker, 2 threads each"]
    rows = [
        f"| {way} | {_spread(times)} | {_spread(ratios(times, one), '.2f')} |"
        f" {_spread(spent[way])} | {tiles[way]:,} |"
        for way, times in found.items()
    ]
    return "\n".join(
        [
            f"## Network: {name}",
            "",
            "| | seconds | of one worker's | processor s of the command | tiles computed |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "",
        ]
    )


def ratios(times: list[float], others: list[float]) -> list[float]:
    return [a / b for a, b in zip(times, others, strict=True)]


def _spread(values: list[float], form: str = ".2f") -> str:
    shown: Callable[[float], str] = lambda value: format(value, form)  # noqa: E731
    return f"{shown(statistics.median(values))} ({shown(min(values))} to {shown(max(values))})"


if __name__ == "__main__":
    main()
