"""Time and peak memory of `geoseg tile` and `geoseg predict` against a scene's height.

Makes scenes of one width and rising height, runs the commands on them as a user would, and prints
and keeps a table. The model is null (one 1 × 1 convolution), so that what is measured is everything
but the network::

    python benchmarks/scale.py --width 32768 --heights 4096,8192,16384,32768 --work scratch

Peak memory is the operating system's own figure of the finished process (maximum resident set),
beside that of `geoseg predict` on a scene of one tile, which is mostly torch.
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
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from untrained import untrained

import geoseg
from geoseg.models.bundle import save_bundle
from geoseg.raster.scene import Scene
from geoseg.testing.scenes import made_scene


def run(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Run a command; return its wall seconds, processor seconds and peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "geoseg", "-q", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"geoseg {' '.join(arguments)} failed")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def read_alone(scene: Path, workers: int) -> float:
    """Seconds to read and decode every block of a scene once, the limit of cutting patches."""
    from geoseg.raster.strips import read_strips  # noqa: PLC0415

    began = time.perf_counter()
    with Scene.open(scene) as opened:
        for _ in read_strips([opened], workers=workers):
            pass
    return time.perf_counter() - began


def tile(scene: Path, patches: Path, pixels: float, read: float) -> dict[str, float]:
    """Cut a scene into patches; return what that took, beside the seconds of reading alone."""
    wall, cpu, memory = run(["tile", str(scene), "-o", str(patches), "--overwrite"])
    shutil.rmtree(patches)
    return {
        "tile_s": round(wall, 2),
        "tile_cpu_s": round(cpu, 2),
        "tile_mpx_s": round(pixels / wall, 2),
        "tile_share_of_read_limit": round(read / wall, 2),
        "tile_peak_mb": round(memory),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--heights", default="1024,2048,4096")
    parser.add_argument("--stride", type=int, default=144)
    parser.add_argument("--blend", default="mean")
    parser.add_argument("--model", choices=["null", "tiny"], default="null")
    parser.add_argument("--no-tile", action="store_true", help="prediction alone")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder")
    parser.add_argument("--keep", type=Path, help="folder to keep the table in")
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    model = work / f"{arguments.model}.safetensors"
    save_bundle(untrained(arguments.model), model)
    workers = len(os.sched_getaffinity(0))
    rows = []
    small = work / "small.tif"
    made_scene(small, height=288, width=288, overwrite=True)
    options = ["--model", str(model), "--tile", "288", "--stride", str(arguments.stride)]
    options += ["--blend", arguments.blend, "--overwrite"]
    out = work / "map.tif"
    _, _, idle = run(["predict", str(small), "-o", str(out), *options])
    for height in (int(text) for text in arguments.heights.split(",")):
        scene = work / f"scene_{arguments.width}x{height}.tif"
        if not scene.exists():
            made_scene(scene, height=height, width=arguments.width)
        pixels = height * arguments.width / 1e6
        read = read_alone(scene, workers)
        wall, cpu, memory = run(["predict", str(scene), "-o", str(out), *options])
        row = {
            "width": arguments.width,
            "height": height,
            "megapixels": round(pixels, 1),
            "read_s": round(read, 2),
            "predict_s": round(wall, 2),
            "predict_cpu_s": round(cpu, 2),
            "predict_mpx_s": round(pixels / wall, 2),
            "predict_peak_mb": round(memory),
            "predict_peak_above_start_mb": round(memory - idle),
        } | ({} if arguments.no_tile else tile(scene, work / "patches", pixels, read))
        rows.append(row)
        print(json.dumps(rows[-1]), flush=True)
    about = {
        "machine": f"{platform.machine()}, {workers} processors",
        "versions": {"geoseg": geoseg.__version__, "torch": torch.__version__},
        "stride": arguments.stride,
        "blend": arguments.blend,
        "one_tile_peak_mb": round(idle),
        "this_process_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if arguments.keep is not None:
        kind = "" if arguments.model == "null" else f"_{arguments.model}"
        name = f"scale{kind}_{arguments.width}.json"
        (arguments.keep / name).write_text(json.dumps({"about": about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
