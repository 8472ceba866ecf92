"""What `geoseg predict` costs beside its network, measured in turn in one run.

For each network, over the same tiles of a made scene: the plain network, contiguous in batches of 8
with torch's own threads, which is what others do; geoseg's own form of it, alone; `predict` in a
process that has loaded everything; and the whole command beside an import of torch. Prints and
keeps a table of medians with their spread, and of ratios within a turn::

    python benchmarks/predict_engine.py --work scratch --keep benchmarks/results

Wall seconds tell little where others work on the same cores; processor seconds are given beside
them. On a card (`--device cuda`) processor seconds are of the processor alone.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from untrained import TILE, untrained

import geoseg
from geoseg.inference.members import make_ensemble
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.inference.stream import one_thread_per_operation
from geoseg.models.bundle import ModelBundle, load_bundle, save_bundle
from geoseg.models.device import resolve_device
from geoseg.raster.allocator import keep_large_blocks
from geoseg.raster.scene import Scene
from geoseg.testing.scenes import made_scene

Spent = tuple[float, float]
"""Wall and processor seconds."""


def model(name: str, path: Path) -> ModelBundle:
    """Seven classes from random weights, as a file gives them."""
    save_bundle(untrained(name), path)
    return load_bundle(path)


def spent(task: Callable[[], object], device: torch.device) -> Spent:
    wall, own = time.perf_counter(), os.times()
    task()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    now = os.times()
    used = sum(now[:4]) - sum(own[:4])  # children's, too: those of a command
    return time.perf_counter() - wall, used


def plain_forward(bundle: ModelBundle, device: torch.device, tiles: int) -> None:
    """Run the network as it is, contiguous in batches of 8."""
    network = copy.deepcopy(bundle.network).to(device)
    x = torch.rand(8, 4, TILE, TILE, device=device)
    with torch.inference_mode():
        for _ in range(-(-tiles // 8)):
            torch.softmax(network(x), dim=1)


def own_forward(bundle: ModelBundle, device: torch.device, tiles: int, workers: int) -> None:
    """Run what geoseg makes of it, in the batches that it computes; nothing else."""
    ensemble = make_ensemble([bundle], device=device)
    batch = 1 if device.type == "cpu" else 32
    x = torch.rand(batch, 4, TILE, TILE, device=device)
    count = -(-tiles // batch)
    if device.type != "cpu":
        for _ in range(count):
            ensemble.maps([x])
        return
    with one_thread_per_operation(device), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda _: ensemble.maps([x]), range(count)):
            pass


def command(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def ways(
    scene: Path, bundle: ModelBundle, path: Path, stride: int, device: torch.device
) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    work, workers = scene.parent, len(os.sched_getaffinity(0))
    chosen = PredictSettings(tile=TILE, stride=stride)

    def warm() -> int:
        with Scene.open(scene) as opened:
            return predict(
                opened,
                work / "warm.tif",
                models=[bundle],
                settings=chosen,
                device=str(device),
                workers=workers,
                overwrite=True,
            ).tiles

    tiles = warm()
    words = ["-m", "geoseg", "-q", "predict", str(scene), "-m", str(path), "--overwrite"]
    words += ["--stride", str(stride), "--device", str(device), "-o", str(work / "command.tif")]
    return {
        "plain forward, batches of 8": lambda: plain_forward(bundle, device, tiles),
        "geoseg's own forward": lambda: own_forward(bundle, device, tiles, workers),
        "predict, warm": warm,
        "geoseg predict": lambda: command(*words),
        "import torch": lambda: command("-c", "import torch"),
    }


def middle(values: list[float], form: str) -> str:
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"{mid:{form}} ({low:{form}}–{high:{form}})"


def table(runs: list[dict[str, Spent]]) -> list[str]:
    """Lay out seconds, and the ratio of each to geoseg's own forward in the same turn."""
    lines = ["| what | wall s | processor s | wall ÷ own forward | processor ÷ own forward |"]
    lines.append("|---|---|---|---|---|")
    for name in runs[0]:
        cells = [middle([run[name][k] for run in runs], ".2f") for k in (0, 1)]
        for k in (0, 1):
            own = [run[name][k] / run["geoseg's own forward"][k] for run in runs]
            cells.append(middle(own, ".2f"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--stride", type=int, default=144)
    parser.add_argument("--networks", default="null,tiny")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder")
    parser.add_argument("--keep", type=Path, help="folder to keep the table in")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    keep_large_blocks()
    device = resolve_device(given.device)
    scene = given.work / f"scene_{given.size}.tif"
    if not scene.exists():
        made_scene(scene, height=given.size, width=given.size)
    lines = [
        "# Prediction beside its network",
        "",
        f"`python benchmarks/predict_engine.py --size {given.size} --stride {given.stride}"
        f" --networks {given.networks} --turns {given.turns}`;",
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores (load before:"
        f" {os.getloadavg()[0]:.1f}), {device.type}, torch {torch.__version__}, geoseg"
        f" {geoseg.__version__}.",
        "Medians of turns, with the least and the most.",
    ]
    for name in given.networks.split(","):
        path = given.work / f"{name}.safetensors"
        tasks = ways(scene, model(name, path), path, given.stride, device)
        runs = []
        for _ in range(given.turns):
            runs.append({what: spent(task, device) for what, task in tasks.items()})
            print(name, {what: f"{wall:.2f}" for what, (wall, _) in runs[-1].items()}, flush=True)
        lines += ["", f"## {name}", "", *table(runs)]
    print("\n".join(lines))
    if given.keep is not None:
        (given.keep / "predict_engine.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
