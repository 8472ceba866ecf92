"""Losses × samplers × seeds on a real scene: which of them earn their place.

One command cuts patches from one part of a scene, trains every combination, maps the other part
with each model and scores the maps, and keeps a table::

    python benchmarks/losses_samplers.py SCENE LABELS --classes '1=water,2=developed,3=barren' \
        --work scratch --keep benchmarks/results --name zion

Without regions, the left half of the scene teaches and validates, the right half tests. What is
done is skipped when the command is run again, what was interrupted goes on; the grid may grow.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import geoseg
from geoseg.assessment.evaluate import compare as lay_side_by_side
from geoseg.assessment.report import summary
from geoseg.assessment.scoring import Scoring
from geoseg.errors import GeosegError
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.models.bundle import load_bundle
from geoseg.models.card import hash_file
from geoseg.patches.tile import tile
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region
from geoseg.raster.window import Window
from geoseg.terms import parse_call
from geoseg.training.comparison.compare import Comparison, compare
from geoseg.training.comparison.plan import How
from geoseg.training.comparison.table import group_runs, plain_scores
from geoseg.training.settings import Settings

LOSSES = (
    "ce; weighted-ce; focal(gamma=2); ce + 0.5*lovasz-hinge; 0.5*ce + 0.5*lovasz-softmax;"
    " focal-hinge(gamma=2)"
)
SAMPLERS = "random; equibatch"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--classes", help="as for geoseg tile")
    parser.add_argument("--train-region", help="polygons or bounds; the left half by default")
    parser.add_argument("--test-region", help="polygons or bounds; the right half by default")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--stride", type=int, default=64)
    parser.add_argument("--split", default="0.85,0.15,0")
    parser.add_argument("--model", default="unet-small")
    parser.add_argument("--model-options", default="", help="such as widths=[16,32]")
    parser.add_argument("--losses", default=LOSSES, help="separated by semicolons")
    parser.add_argument("--samplers", default=SAMPLERS, help="separated by semicolons")
    parser.add_argument("--seeds", default="0; 1; 2", help="separated by semicolons")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--augment", default="flips, rot90")
    parser.add_argument("--lr", type=float)
    parser.add_argument(
        "--keep-epoch",
        choices=["best", "last"],
        default="last",
        help="few validation blocks choose badly",
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, help="over all jobs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, kept")
    parser.add_argument("--keep", type=Path, help="folder to keep the table in")
    parser.add_argument("--name", default="scene", help="of the table: losses_samplers_NAME")
    return parser.parse_args()


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def halves(scene: Path) -> tuple[str, str]:
    """Bounds of the left and of the right half of a scene's columns."""
    with Scene.open(scene) as opened:
        grid = opened.grid
        middle = grid.width // 2
        parts = (
            Window(0, 0, grid.height, middle),
            Window(0, middle, grid.height, grid.width - middle),
        )
        left, right = (",".join(map(repr, map(float, grid.bounds(part)))) for part in parts)
    return left, right


def train(arguments: argparse.Namespace, region: str) -> Comparison:
    """Cut patches unless they are there, and train what is not there yet."""
    patches = arguments.work / "patches"
    if not patches.exists():
        done = tile(
            arguments.scene,
            patches,
            labels=arguments.labels,
            classes=arguments.classes,
            region=region,
            size=arguments.size,
            stride=arguments.stride,
            split=arguments.split,
        )
        print(done.text, flush=True)
    options = parse_call(f"options({arguments.model_options})", option="--model-options").arguments
    return compare(
        patches,
        arguments.work / "runs",
        Settings(
            model=arguments.model,
            model_options=dict(options),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            augment=arguments.augment,
            lr=arguments.lr,
            keep=arguments.keep_epoch,
        ),
        {
            "loss": listed(arguments.losses),
            "sampler": listed(arguments.samplers),
            "seed": listed(arguments.seeds),
        },
        How(jobs=arguments.jobs, device=arguments.device, threads=arguments.threads),
        on_start=lambda run: print(f"{run.number}: {run.title} …\n", end="", flush=True),
        on_run=lambda run, outcome: print(
            f"{run.number}: {run.title}: {outcome['state']},"
            f" validation mIoU {shown(outcome['scores']['miou'], None)}\n",
            end="",
            flush=True,
        ),
    )


def score_map(arguments: argparse.Namespace, model: Path, region: str) -> dict[str, Any]:
    """Map the test region with a model and score the map; both are done once."""
    kept = arguments.work / "maps" / f"{model.stem}.json"
    made_of = {"model": hash_file(model), "region": region}
    if kept.exists():
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["made_of"] == made_of:
            scores: dict[str, Any] = known["scores"]
            return scores
    output = arguments.work / "maps" / f"{model.stem}.tif"
    began = time.perf_counter()
    with Scene.open(arguments.scene) as scene:
        predict(
            scene,
            output,
            models=[load_bundle(model)],
            settings=PredictSettings(),
            area=read_region(region, scene.grid),
            area_name=region,
            device=arguments.device,
            workers=arguments.threads or os.cpu_count() or 1,
            overwrite=True,
        )
    found = summary(lay_side_by_side(output, arguments.labels, Scoring(region=region)).run())
    scores = {
        "accuracy": found["scores"]["pixel_accuracy"],
        "miou": found["scores"]["mean_iou"],
        "classes": [{key: c[key] for key in ("name", "iou", "recall")} for c in found["classes"]],
        "confusion": found["confusion"],
    }
    kept.write_text(json.dumps({"made_of": made_of, "scores": scores}, indent=1), encoding="utf-8")
    print(f"{model.stem}: map scored in {time.perf_counter() - began:.0f} s", flush=True)
    return scores


def differences(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How far each combination is ahead of the first one, seed by seed, in mIoU of the map."""
    of: dict[tuple[str, str], dict[int, float]] = {}
    for run in runs:
        if run["scores"]["miou"] is not None:
            key = (run["settings"]["loss"], run["settings"]["sampler"])
            of.setdefault(key, {})[run["settings"]["seed"]] = run["scores"]["miou"]
    if not of:
        return []
    (first, base), *others = of.items()
    rows = []
    for (loss, sampler), found in others:
        pairs = [found[seed] - base[seed] for seed in found if seed in base]
        if pairs:
            rows.append(
                {
                    "loss": loss,
                    "sampler": sampler,
                    "against": " / ".join(first),
                    "mean": statistics.fmean(pairs),
                    "std": statistics.stdev(pairs) if len(pairs) > 1 else None,
                    "ahead": sum(d > 0 for d in pairs),
                    "seeds": len(pairs),
                }
            )
    return rows


def shown(mean: float | None, std: float | None, *, signed: bool = False) -> str:
    if mean is None or math.isnan(mean):
        return "–"
    text = f"{mean:+.3f}" if signed else f"{mean:.3f}"
    return text if std is None else f"{text} ± {std:.3f}"


def table(groups: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: a row a combination; the best mean of a column in bold."""
    names = [c["name"] for c in groups[0]["mean"]["classes"]]
    lines = [f"| loss | sampler | runs | accuracy | mIoU ({len(names)}) | {' | '.join(names)} |"]
    lines.append("|" + "---|" * (5 + len(names)))

    def row(scores: dict[str, Any]) -> list[float | None]:
        return [scores["accuracy"], scores["miou"], *(c["iou"] for c in scores["classes"])]

    columns = list(zip(*(row(g["mean"]) for g in groups), strict=True))
    highest = [max((v for v in column if v is not None), default=None) for column in columns]
    for group in groups:
        cells = []
        for mean, std, top in zip(row(group["mean"]), row(group["std"]), highest, strict=True):
            text = shown(mean, std)
            # Where nobody scores, nobody is best.
            cells.append(f"**{text}**" if mean and mean == top else text)
        runs = f"{group['n']}" + (f" (+ {group['failed']} diverged)" if group["failed"] else "")
        settings = group["settings"]
        lines.append(
            f"| {settings['loss']} | {settings['sampler']} | {runs} | {' | '.join(cells)} |"
        )
    return lines


def markdown(content: dict[str, Any]) -> str:
    about = content["about"]
    lines = [f"# Losses and samplers: {about['name']}", ""]
    lines += [
        f"{about['command']}; {about['machine']}; geoseg {about['versions']['geoseg']}, torch"
        f" {about['versions']['torch']}, {about['device']}. Mean ± standard deviation over seeds"
        f" {about['seeds']}; columns after mIoU are IoU by class.",
        "",
        f"## Maps of the test region ({about['test_region']})",
        "",
        *table(content["groups"]),
        "",
        "## Validation patches",
        "",
        *table(content["validation"]),
    ]
    if content["differences"]:
        lines += [
            "",
            f"## mIoU of the maps against {content['differences'][0]['against']}, seed by seed",
            "",
            "| loss | sampler | difference | seeds ahead |",
            "|---|---|---|---|",
            *(
                f"| {d['loss']} | {d['sampler']} | {shown(d['mean'], d['std'], signed=True)} |"
                f" {d['ahead']} of {d['seeds']} |"
                for d in content["differences"]
            ),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = parse_arguments()
    (arguments.work / "maps").mkdir(parents=True, exist_ok=True)
    left, right = halves(arguments.scene)
    train_region, test_region = arguments.train_region or left, arguments.test_region or right
    began = time.perf_counter()
    comparison = train(arguments, train_region)
    runs: list[dict[str, Any]] = [dict(run) for run in comparison.content["runs"]]
    validation = group_runs([{**run, "scores": run["validation"] or run["scores"]} for run in runs])
    names = [entry["name"] for entry in runs[0]["scores"]["classes"]]
    for run in runs:
        if run["error"] is None:
            scores = score_map(arguments, comparison.folder / run["model"], test_region)
            run["scores"] = plain_scores(scores, names)
    threads = arguments.threads or os.cpu_count()
    content = {
        "about": {
            "name": arguments.name,
            "command": f"{arguments.model}, {arguments.epochs} epochs, patches of"
            f" {arguments.size} px every {arguments.stride} px, batches of {arguments.batch_size},"
            f" augmentation {arguments.augment}",
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, {threads} threads over"
            f" {arguments.jobs} jobs",
            "device": "CUDA" if torch.cuda.is_available() else "CPU",
            "versions": {"geoseg": geoseg.__version__, "torch": torch.__version__},
            "seeds": ", ".join(listed(arguments.seeds)),
            "train_region": train_region,
            "test_region": test_region if arguments.test_region else "the right half",
            "seconds": round(time.perf_counter() - began),
        },
        "base": comparison.content["base"],
        "groups": group_runs(runs),
        "validation": validation,
        "differences": differences(runs),
        "runs": runs,
    }
    text = markdown(content)
    print(text)
    folder = arguments.keep or arguments.work
    name = f"losses_samplers_{arguments.name}"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except GeosegError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on from here") from None
