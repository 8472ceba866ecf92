"""Cutting patches beside reading the scene alone and writing its bytes alone, in turn in one run.

    python benchmarks/tile.py --side 8192 --rounds 5 --work scratch --keep benchmarks/results
    python benchmarks/tile.py --side 8192 --rounds 3 --work scratch --peers

Each way runs in a process of its own and times its own work, imports left out. What counts are the
ratios of one round: other programs slow all ways of a round alike. ``--peers`` adds what users
write by hand, a loop of rasterio in four processes, and gdal_retile where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

SIZE = 256
WAYS = {
    "read": "reading alone, 4 threads",
    "write": "writing the bytes alone",
    "npy": "geoseg tile, arrays",
    "geotiff": "geoseg tile, GeoTIFF (deflate)",
    "kept": "geoseg tile, arrays, kept for --resume",
    "cluster": "geoseg tile, arrays, --cluster local",
}
PEERS = {"loop": "rasterio loop, 4 processes, deflate", "retile": "gdal_retile, deflate"}


def read(scene: Path, _: Path) -> None:
    """Decode every block once."""
    from geoseg.raster.scene import Scene  # noqa: PLC0415
    from geoseg.raster.strips import read_strips  # noqa: PLC0415

    with Scene.open(scene) as opened:
        for _strip in read_strips([opened], workers=4):
            pass


def write(scene: Path, out: Path) -> None:
    """Write as many bytes as the patches have, 512 KiB at a time."""
    side = int(scene.stem.split("_")[1])
    part = np.random.default_rng(0).bytes(1 << 19)
    with out.open("wb", buffering=0) as file:
        for _ in range(side * side * 8 >> 19):
            file.write(part)


def cut(scene: Path, out: Path, storage: str, **more: object) -> None:
    """Cut with geoseg: statistics, the rule for nodata and the index included."""
    from geoseg.patches.tile import tile  # noqa: PLC0415

    tile(scene, out, workers=4, storage=storage, **more)  # type: ignore[arg-type]


def at_workers(scene: Path, out: Path) -> None:
    """Cut at two processes of two threads each; starting them is left out."""
    from geoseg.cluster.cluster import Cluster  # noqa: PLC0415

    with Cluster.open("local", workers=4) as cluster:
        _timed(lambda: cut(scene, out, "npy", cluster=cluster))


def _rows(job: tuple[Path, Path, int]) -> None:
    import rasterio  # noqa: PLC0415
    from rasterio.windows import Window  # noqa: PLC0415

    scene, out, row = job
    with rasterio.open(scene) as file:
        for col in range(0, file.width, SIZE):
            window = Window(col, row, SIZE, SIZE)
            profile = {
                "driver": "GTiff",
                "count": file.count,
                "dtype": file.dtypes[0],
                "height": SIZE,
                "width": SIZE,
                "crs": file.crs,
                "transform": file.window_transform(window),
                "compress": "deflate",
                "predictor": 2,
                "nodata": file.nodata,
            }
            with rasterio.open(out / f"{row}_{col}.tif", "w", **profile) as patch:
                patch.write(file.read(window=window))


def loop(scene: Path, out: Path) -> None:
    """Cut as people write it by hand, in four processes."""
    out.mkdir()
    side = int(scene.stem.split("_")[1])
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(_rows, [(scene, out, row) for row in range(0, side, SIZE)]))


def retile(scene: Path, out: Path) -> None:
    """Cut with GDAL's own script."""
    out.mkdir()
    command = ["gdal_retile.py", "-q", "-ps", str(SIZE), str(SIZE), "-co", "COMPRESS=DEFLATE"]
    subprocess.run([*command, "-targetDir", str(out), str(scene)], check=True)


DO: dict[str, Callable[[Path, Path], None]] = {
    "read": read,
    "write": write,
    "npy": lambda scene, out: cut(scene, out, "npy"),
    "geotiff": lambda scene, out: cut(scene, out, "geotiff"),
    "kept": lambda scene, out: cut(scene, out, "npy", keep=True),
    "cluster": at_workers,
    "loop": loop,
    "retile": retile,
}


def _cpu() -> float:
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _timed(work: Callable[[], None]) -> None:
    """Do it, and say how long it took."""
    cpu, began = _cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": _cpu() - cpu, "memory": memory}), flush=True)


def child(way: str, scene: Path, out: Path) -> None:
    """Run one way in this process."""
    # What a first call loads once is loaded before.
    import geoseg.patches.tile  # noqa: PLC0415
    import geoseg.raster.vector  # noqa: F401, PLC0415

    if way == "cluster":
        DO[way](scene, out)
    else:
        _timed(lambda: DO[way](scene, out))


def measured(way: str, scene: Path, out: Path) -> dict[str, float]:
    """Run one way in a process of its own, and tidy up."""
    words = [sys.executable, __file__, "--child", way, "--scene", str(scene), "--work", str(out)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(numbers: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(numbers):.2f} ({min(numbers):.2f}–{max(numbers):.2f})"


def table(rounds: list[dict[str, dict[str, float]]], pixels: float) -> str:
    """Lay out what was measured, ratios to reading alone of the same round."""
    lines = [
        "| | Mpx/s | wall / reading alone | share of the read limit | CPU s | CPU / reading alone |"
        " peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in rounds[0]:
        walls = [one[way]["wall"] / one["read"]["wall"] for one in rounds]
        cpus = [one[way]["cpu"] / one["read"]["cpu"] for one in rounds]
        speed = statistics.median(pixels / one[way]["wall"] for one in rounds)
        cpu = statistics.median(one[way]["cpu"] for one in rounds)
        peak = max(one[way]["memory"] for one in rounds)
        share = f"{100 / statistics.median(walls):.0f} %"
        of_all = "" if way == "cluster" else f"{cpu:.1f} | {spread(cpus)} | {peak:.0f}"
        of_all = of_all or f"– | – | {peak:.0f} (of the client)"
        name = (WAYS | PEERS)[way]
        lines.append(f"| {name} | {speed:.1f} | {spread(walls)} | {share} | {of_all} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, required=True, help="scratch folder")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--peers", action="store_true", help="what others cut with, too")
    parser.add_argument("--keep", type=Path, help="folder to keep the table in")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.scene, given.work)
        return
    from geoseg.testing.scenes import made_scene  # noqa: PLC0415

    given.work.mkdir(parents=True, exist_ok=True)
    scene = given.work / f"scene_{given.side}.tif"
    if not scene.exists():
        made_scene(scene, height=given.side, width=given.side)
    ways = [*given.ways.split(",")]
    if given.peers:
        ways += ["loop"] + (["retile"] if shutil.which("gdal_retile.py") else [])
    rounds = []
    for number in range(given.rounds + 1):
        found = {way: measured(way, scene, given.work / "out") for way in ways}
        if number:  # the first one fills the caches
            rounds.append(found)
            print(
                json.dumps({way: round(one["wall"], 2) for way, one in found.items()}), flush=True
            )
    load = os.getloadavg()[1]
    text = (
        f"{given.side} × {given.side} px, {scene.stat().st_size / 1e6:.0f} MB, patches of {SIZE}"
        f" px; median (least–most) of {given.rounds} rounds, each way in turn;"
        f" {platform.machine()}, {len(os.sched_getaffinity(0))} processors, load of all programs"
        f" {load:.1f}.\n\n{table(rounds, given.side**2 / 1e6)}\n"
    )
    print(text)
    if given.keep is not None:
        (given.keep / "tile.md").write_text(f"# Cutting patches\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
