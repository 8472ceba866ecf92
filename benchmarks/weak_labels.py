"""From labels of whole patches to a map: what each step is worth on a real scene.

One command cuts one part of a scene into patches, keeps of their labels only which classes each
patch holds, trains image-level networks on that, makes activation maps and weak labels in several
ways, trains a U-Net on weak labels, and measures all of it on pixels of the other part::

    python benchmarks/weak_labels.py SCENE LABELS --classes '1=water,2=forest' --left XMIN,… \
        --right XMIN,… --work scratch --keep benchmarks/results --name zion

Every step is a command as a person types it; a step whose output is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import geoseg

TRAIN = ["--optimizer", "adam", "--lr", "0.001", "--batch-size", "32", "--augment", "flips,rot90"]
NETWORKS = {
    "shallow-cnn": ["--model", "shallow-cnn", "--epochs", "25", *TRAIN],
    "resnet50-cam": ["--model", "resnet50-cam", "--epochs", "12", "--weight-decay", "0.01", *TRAIN],
}
PAPER = ["--upsampling", "repeat", "--stride", "50"]
MAPS = {
    "as published: repeated, side by side": PAPER,
    "bilinear, side by side": ["--stride", "50"],
    "repeated, overlapping": ["--upsampling", "repeat"],
    "bilinear, overlapping (default)": [],
    "with bias": ["--bias"],
    "--tta": ["--tta"],
    "--scales 1,1.5": ["--scales", "1,1.5"],
    "--refine": ["--refine"],
    "--tta --refine": ["--tta", "--refine"],
    "--tta --scales 1,1.5 --refine": ["--tta", "--scales", "1,1.5", "--refine"],
}
FIT = ["--combine", "logistic", "--reference", "LABELS", "--patches", "COUNT"]
WEAK = {
    "argmax": ["--tta", "--refine"],
    "zscore, known": ["--tta", "--refine", "--combine", "zscore", "--known", "PATCHES"],
    "argmax, known": ["--tta", "--refine", "--known", "PATCHES"],
    "logistic": [*("--tta", "--scales", "1,1.5", "--refine"), *FIT],
    "logistic, known": [*("--tta", "--scales", "1,1.5", "--refine", "--known", "PATCHES"), *FIT],
}
UNET = ["--augment", "flips,rot90,noise(sigma=0.1)", "--keep", "last", "--epochs", "25"]
UNETS = {
    "": [],
    "confidence not looked at": ["--confidence", "none"],
    "labels of confidence below a half ignored": ["--confidence", "0.5"],
    "equibatch, CE + Lovász-softmax": [
        *("--sampler", "equibatch", "--loss", "0.5*ce + 0.5*lovasz-softmax"),
    ],
}
VARIED = ("argmax", "zscore, known")
WAYS = ("argmax", "zscore", "median", "logistic")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--classes", required=True, help="as for geoseg tile")
    parser.add_argument("--left", required=True, help="where to learn: bounds or polygons")
    parser.add_argument("--right", required=True, help="where to measure")
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--stride", type=int, default=25)
    parser.add_argument("--unet-size", type=int, default=128)
    parser.add_argument("--patches", type=int, default=60, help="that logistic is fitted on")
    parser.add_argument("--networks", default="shallow-cnn")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--no-unet", action="store_true")
    parser.add_argument("--quick", action="store_true", help="without what sees tiles often")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--name", required=True)
    return parser.parse_args()


class Bench:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.work: Path = given.work
        self.work.mkdir(parents=True, exist_ok=True)

    def say(self, step: str, *words: object) -> dict[str, Any]:
        """Run a command, or take what it said when it was run before."""
        kept = self.work / f"{step}.json"
        if not kept.exists():
            command = [sys.executable, "-m", "geoseg", *map(str, words), "--json", "-q"]
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{step}: {done.stderr}")
            said = json.loads(done.stdout)
            said["wall"] = time.perf_counter() - began
            kept.write_text(json.dumps(said))
            print(f"{step}: {said['wall']:.0f} s", flush=True)
        return dict(json.loads(kept.read_text()))

    def patches(self, name: str, labels: object, size: int, stride: int, *more: object) -> Path:
        given, folder = self.given, self.work / name
        self.say(
            f"tile {name}", "tile", given.scene, "--labels", labels, "--region", given.left,
            "--classes", given.classes, "--size", size, "--stride", stride,
            "--split", "0.85,0.15,0", "--overwrite", "-o", folder, *more,
        )  # fmt: skip
        return folder

    def cam(self, step: str, model: Path, region: str, *options: str) -> dict[str, Any]:
        given = self.given
        return self.say(
            step, "cam", given.scene, "--model", model, "--reference", given.labels,
            "--region", region, "--overwrite", "-o", self.work / "cam.tif", *options,
        )  # fmt: skip

    def score(self, step: str, raster: Path, region: str) -> dict[str, Any]:
        given = self.given
        return self.say(
            step, "evaluate", raster, given.labels, "--classes", given.classes, "--region", region
        )

    def run(self, network: str, seed: int) -> dict[str, Any]:
        given, key = self.given, f"{network} {seed}"
        patches = self.patches("patches", given.labels, given.size, given.stride)
        model = self.work / f"{key}.safetensors"
        trained = self.say(
            f"train {key}", "train", patches, "-o", model, *NETWORKS[network], "--seed", seed,
            "--overwrite",
        )  # fmt: skip
        # The regression is fitted where one learns, and measured elsewhere.
        fitted = self.work / f"{key} fitted.safetensors"
        maps: dict[str, Any] = {}
        for name, options in self.chosen(MAPS).items():
            self.cam(
                f"fit {key} {name}", model, given.left, *options, "--fitted-model", str(fitted),
                "--patches", str(given.patches), "--seed", str(seed), "--combine", "logistic",
            )  # fmt: skip
            maps[name] = self.measured(f"cam {key} {name}", fitted, options)
        weak: dict[str, Any] = {}
        for name, options in {} if given.no_unet else self.chosen(WEAK).items():
            # How U-Nets learn from weak labels is tried with the first seed and the plainest alone.
            first = seed == int(given.seeds.split(",")[0]) and name in VARIED
            kinds = UNETS if first else {"": []}
            weak[name] = self.weak(key, name, model, patches, options, kinds)
        return {"train": trained, "maps": maps, "weak": weak}

    def chosen(self, ways: dict[str, list[str]]) -> dict[str, list[str]]:
        slow = {"--tta", "--scales"} if self.given.quick else set()
        return {name: words for name, words in ways.items() if not slow & {*words}}

    def measured(self, step: str, fitted: Path, options: list[str]) -> dict[str, Any]:
        """All ways of combining, on the other part of the scene."""
        given = self.given
        weak = self.work / "weak.tif"
        said = self.cam(step, fitted, given.right, *options)
        ways = said["scores"]["ways"]
        kept = self.say(
            f"{step} logistic", "cam", given.scene, "--model", fitted, "--region", given.right,
            "--combine", "logistic", "--weak-labels", weak, "--overwrite",
            "-o", self.work / "cam.tif", *options,
        )  # fmt: skip
        del kept
        scores = self.score(f"{step} logistic scores", weak, given.right)["scores"]
        ways["logistic"] = {"accuracy": scores["pixel_accuracy"], "miou": scores["mean_iou"]}
        return said

    def weak(
        self,
        key: str,
        name: str,
        model: Path,
        patches: Path,
        options: list[str],
        kinds: dict[str, list[str]],
    ) -> dict[str, Any]:
        """Weak labels where patches' labels are known, and U-Nets that learn from them."""
        given = self.given
        stem = f"{key} {name}"
        raster, sure = self.work / f"{stem}.tif", self.work / f"{stem} sure.tif"
        stands = {"PATCHES": patches, "LABELS": given.labels, "COUNT": given.patches}
        words = [str(stands.get(word, word)) for word in options]
        self.say(
            f"weak {stem}", "cam", given.scene, "--model", model, "--region", given.left,
            "-o", self.work / "cam.tif", "--weak-labels", raster, "--confidence", sure,
            "--overwrite", *words,
        )  # fmt: skip
        out = {"labels": self.score(f"weak {stem} scores", raster, given.left)["scores"]}
        folder = self.patches(
            f"{stem} patches", raster, given.unet_size, given.unet_size // 2, "--confidence", sure
        )
        for kind, settings in kinds.items():
            out[f"unet {kind}".strip()] = self.unet(f"{stem} {kind}".strip(), folder, settings, key)
        return out

    def unet(self, stem: str, folder: Path, settings: list[str], key: str) -> dict[str, Any]:
        given = self.given
        model, raster = self.work / f"unet {stem}.safetensors", self.work / f"unet {stem}.tif"
        seed = key.rsplit(" ", 1)[1]
        self.say(
            f"train unet {stem}", "train", folder, "-o", model, "--seed", seed, "--overwrite",
            *UNET, *settings,
        )  # fmt: skip
        self.say(
            f"predict unet {stem}", "predict", given.scene, "--model", model, "-o", raster,
            "--overwrite",
        )  # fmt: skip
        return dict(self.score(f"unet {stem} scores", raster, given.right)["scores"])

    def truth(self, seed: int) -> dict[str, Any]:
        """Train a U-Net on the labels of pixels: what weak labels aim for."""
        given = self.given
        folder = self.patches("truth", given.labels, given.unet_size, given.unet_size // 2)
        return self.unet(f"truth {seed}", folder, [], f"truth {seed}")


def spread(values: list[float]) -> str:
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return "–"
    mean = statistics.fmean(known)
    return f"{mean:.3f}" + (f" ± {statistics.pstdev(known):.3f}" if len(known) > 1 else "")


def table(found: dict[str, dict[str, Any]], truths: list[dict[str, Any]], name: str) -> str:
    """Lay out what was found; means over seeds and their deviation."""
    lines = [f"# Weak labels: {name}", ""]
    for network in dict.fromkeys(key.rsplit(" ", 1)[0] for key in found):
        runs = [run for key, run in found.items() if key.startswith(network + " ")]
        default = [run["maps"]["bilinear, overlapping (default)"]["scores"] for run in runs]
        lines += [
            f"## {network}, {len(runs)} seeds",
            "",
            f"Task accuracy {spread([d['task_accuracy'] for d in default])}, majority guess"
            f" {spread([d['majority_guess'] for d in default])}; of pixels, the most frequent class"
            f" everywhere {spread([d['pixel_majority'] for d in default])}.",
            "",
            "Pixel accuracy / mean IoU where nothing was learned:",
            "",
            "| maps | " + " | ".join(WAYS) + " | seam ratio (by the lattice) | seconds |",
            "|---|" + "---|" * (len(WAYS) + 2),
        ]
        for maps in runs[0]["maps"]:
            said = [run["maps"][maps] for run in runs]
            cells = [
                f"{spread([s['scores']['ways'][way]['accuracy'] for s in said])} /"
                f" {spread([s['scores']['ways'][way]['miou'] for s in said])}"
                for way in WAYS
            ]
            seams = spread([s["seam_ratio"] for s in said])
            # A map of repeated values changes on its own lattice alone; where that is all.
            if "repeated" in maps:
                seams += f" ({spread([s['seam_lattice_ratio'] for s in said])})"
            seconds = statistics.median(s["seconds"] for s in said)
            lines.append(f"| {maps} | " + " | ".join(cells) + f" | {seams} | {seconds:.1f} |")
        if not runs[0]["weak"]:
            lines.append("")
            continue
        lines += [
            "",
            "Weak labels of the part that was learned from, and U-Nets trained on them, measured"
            " where nothing was learned:",
            "",
            "| weak labels | theirs | " + " | ".join(k or "as it is" for k in UNETS) + " |",
            "|---|" + "---|" * (len(UNETS) + 1),
        ]
        for weak in runs[0]["weak"]:
            cells = []
            for kind in ("labels", *(f"unet {k}".strip() for k in UNETS)):
                scores = [run["weak"][weak][kind] for run in runs if kind in run["weak"][weak]]
                few = f" (of {len(scores)})" if 0 < len(scores) < len(runs) else ""
                cells.append(
                    f"{spread([s['pixel_accuracy'] for s in scores])} /"
                    f" {spread([s['mean_iou'] for s in scores])}{few}"
                )
            lines.append(f"| {weak} | " + " | ".join(cells) + " |")
        lines.append("")
    if truths:
        lines += [
            "A U-Net trained alike on labels of pixels:"
            f" {spread([t['pixel_accuracy'] for t in truths])} /"
            f" {spread([t['mean_iou'] for t in truths])}.",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    given = parse_arguments()
    bench = Bench(given)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    found = {
        f"{network} {seed}": bench.run(network, seed)
        for network in given.networks.split(",")
        for seed in seeds
    }
    truths = [] if given.no_unet else [bench.truth(seed) for seed in seeds]
    made = (
        f"geoseg {geoseg.__version__}, torch {torch.__version__.split('+')[0]}, Python"
        f" {platform.python_version()}, {platform.machine()}; patches {given.size} px every"
        f" {given.stride}, logistic on {given.patches} of them.\n"
    )
    text = table(found, truths, given.name) + "\n" + made
    given.keep.mkdir(parents=True, exist_ok=True)
    (given.keep / f"weak_labels_{given.name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
