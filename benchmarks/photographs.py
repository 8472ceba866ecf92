"""Field photographs the whole way: drawings, masks, patches, a network, maps, coverage.

    python benchmarks/photographs.py DATA FOLDER [--epochs 9] [--model FILE]

DATA holds ``images/``, ``annotations/`` (LabelMe) and ``masks/`` of the same names (0 soil, 1 crop,
2 weed); FOLDER takes what is made. Prints tables in Markdown; with a model, trains none.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import geopandas
import numpy as np
from numpy.typing import NDArray

from geoseg.raster.scene import Scene

CLASSES = ("soil", "crop", "weed")


def codes(path: Path) -> NDArray[np.uint8]:
    """(rows, cols) class ids of a raster."""
    with Scene.open(path) as scene:
        return np.asarray(scene.read(scene.grid.window).data[0])


def geoseg(*words: object) -> float:
    """Run a command; return its seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "geoseg", *map(str, words), "-q"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def confusion(truth: Path, found: Path, names: list[str]) -> NDArray[np.int64]:
    """(3, 3) pixels by true class and by found class."""
    pairs = np.zeros((3, 3), np.int64)
    for name in names:
        both = codes(truth / f"{name}.png").ravel(), codes(found / f"{name}.tif").ravel()
        np.add.at(pairs, both, 1)
    return pairs


def iou(pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """(3,) intersection over union of each class."""
    return np.asarray(np.diag(pairs) / (pairs.sum(0) + pairs.sum(1) - np.diag(pairs)))


def stage(percent: float) -> str:
    """Stage of a coverage, written anew."""
    whole = int(percent)
    return ("I", "II", "III", "IV", "V")[whole // 20] if whole <= 95 else "other"


def main() -> None:
    """Run all steps and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    data, folder = given.data, given.folder
    folder.mkdir(parents=True, exist_ok=True)
    masks, patches, maps = folder / "masks", folder / "patches", folder / "maps"
    model = given.model or folder / "model.safetensors"
    named = ["--classes", "0=soil,1=crop,2=weed", "--background", "soil"]
    images, drawn = data / "images", data / "annotations"
    seconds = {
        "rasterise": geoseg(
            "rasterise", drawn, "--like", images, *named, "-o", masks, "--overwrite"
        ),
        "tile": geoseg(
            "tile", images, "--labels", masks, "--size", 240, "--split", "0.75,0.25,0",
            "-o", patches, "--overwrite",
        ),
    }  # fmt: skip
    if given.model is None:
        seconds["train"] = geoseg(
            "train", patches, "--model", "unet-m46", "--loss", "ce + 0.5*lovasz-softmax",
            "--epochs", given.epochs, "-o", model, "--overwrite",
        )  # fmt: skip
    words = ["--tile", 240, "--overlap", 0.25, "-o", maps, "--overwrite"]
    seconds["predict"] = geoseg("predict", images, "-m", model, *words)
    index = geopandas.read_file(patches / "index.gpkg")
    split = dict(zip(index["scene"], index["split"], strict=True))
    names = sorted(split)
    held = [name for name in names if split[name] == "val"]
    print("| masks | soil | crop | weed |\n|---|---|---|---|")
    for what, place, some in (
        ("drawings against the masks they were made of", masks, names),
        (f"maps of {len(held)} photographs held back", maps, held),
        (f"maps of the {len(names) - len(held)} trained on", maps, sorted(set(names) - set(held))),
    ):
        found = iou(confusion(data / "masks", place, some))
        print(f"| {what} | " + " | ".join(f"{value:.3f}" for value in found) + " |")
    print("\n| coverage of | held back | trained on | stages right | if all were the mean |")
    print("|---|---|---|---|---|")
    for target in ("crop", "weed", "crop,weed"):
        table = folder / f"coverage_{target.replace(',', '_')}.csv"
        seconds["coverage"] = geoseg(
            "coverage", maps, "--target", target, "--stages", "agde", "-o", table, "--overwrite"
        )
        with table.open(encoding="utf-8") as file:
            lines = {Path(line["photograph"]).stem: line for line in csv.DictReader(file)}
        ids = [CLASSES.index(name) for name in target.split(",")]
        truth = {
            n: 100 * float(np.isin(codes(data / "masks" / f"{n}.png"), ids).mean()) for n in names
        }
        errors = {n: abs(float(lines[n]["coverage"]) - truth[n]) for n in names}
        right = sum(lines[n]["stage"] == stage(truth[n]) for n in names)
        mean = float(np.mean(list(truth.values())))
        guess = np.mean([abs(value - mean) for value in truth.values()])
        print(
            f"| {target} | {np.mean([errors[n] for n in held]):.2f}"
            f" | {np.mean([errors[n] for n in names if n not in held]):.2f}"
            f" | {right} of {len(names)} | {guess:.2f} |"
        )
    print("\n" + ", ".join(f"{step} {took:.1f} s" for step, took in seconds.items()))


if __name__ == "__main__":
    main()
