"""The ablations of `ablations.py` that are more than one comparison of trained networks."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made_sets

from geoseg.api.learning import compare, train
from geoseg.api.maps import cam as activation_maps
from geoseg.api.maps import predict
from geoseg.raster.scene import Scene

LOVASZ = "0.5*ce + 0.5*lovasz-softmax"
Ways = dict[str, list[float]]


def averaging(run: Any) -> dict[str, Any]:
    """Weights averaged over 0, 1, 2, 4 and 6 cycles of two epochs; scores of clean labels."""
    patches, test = run.pair("deepglobe", noise=0.3)
    cycles = (1, 2, 4, 6)
    ways = [None, *(f"cycles={n},length=2,high=0.5,low=0.05" for n in cycles)]
    found = compare(
        patches,
        run.work / "runs" / "swa",
        {"swa": ways, "seed": list(run.scale.seeds)},
        test=test,
        jobs=run.threads,
        threads=run.threads,
        device="cpu",
        model="unet-small",
        model_options={"widths": run.scale.widths},
        epochs=run.scale.epochs,
        loss=LOVASZ,
        sampler="equibatch",
        schedule="linear(to=0.5)",
        keep="last",
    ).content["runs"]
    names = ["none", *(f"{n} cycle{'s' if n > 1 else ''}" for n in cycles)]
    by: Ways = {name: [] for name in names}
    for number, one in enumerate(found):
        by[names[number // len(run.scale.seeds)]].append(one["scores"]["miou"])
    # Of the longest runs, what the report says of each cycle: the last weights beside the mean.
    longest = [one["model"] for one in found[-len(run.scale.seeds) :]]
    curves = [
        json.loads(
            (run.work / "runs" / "swa" / Path(m).with_suffix(".report.json").name).read_text()
        )
        for m in longest
    ]
    gains = [
        statistics.fmean(
            c["swa"][n]["average"]["miou"] - c["swa"][n]["last"]["miou"] for c in curves
        )
        for n in range(cycles[-1])
    ]
    notes = (
        "Three squares of 12 px in ten have a wrong label in training and validation, none in the"
        " test. The row's “none” stops before the cycles. The mean's mIoU on validation patches"
        " less that of the last weights, after cycle 1, 2, …: "
        + ", ".join(f"{gain:+.3f}" for gain in gains)
        + "."
    )
    return {"score": "mIoU", "ways": by, "notes": notes}


def _models(run: Any) -> dict[str, list[Path]]:
    """Models of the comparison of losses, by loss, a seed each; trained there."""
    folder = run.work / "runs" / "lovasz"
    content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    found: dict[str, list[Path]] = {}
    for one in content["runs"]:
        found.setdefault(one["settings"]["loss"], []).append(folder / Path(one["model"]).name)
    return found


def _mapped(run: Any, name: str, models: Sequence[Path], **options: Any) -> float:
    """Map the test pictures and return the mIoU of all of them together."""
    made = run.work / "deepglobe-test"
    output = run.work / "maps" / name
    if not output.exists():
        predict(
            made / "images",
            output,
            model=list(models),
            device="cpu",
            workers=run.threads,
            **options,
        )
    return _miou(output, made / "clean", 6)


def _miou(maps: Path, labels: Path, classes: int) -> float:
    import numpy as np  # noqa: PLC0415

    counts = np.zeros((classes, classes), np.int64)
    for truth in sorted(labels.glob("*.png")):
        want = made_sets.pixels_of(truth)[0].astype(int) - 1
        have = made_sets.pixels_of(maps / f"{truth.stem}.tif")[0].astype(int) - 1
        scored = want >= 0
        np.add.at(counts, (want[scored], have[scored]), 1)
    hits = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return float((hits[union > 0] / union[union > 0]).mean())


def overlap(run: Any) -> dict[str, Any]:
    """Tiles side by side; a fifth of a tile apart; and small components removed."""
    models = _models(run)[LOVASZ]
    side = run.scale.deepglobe["size"] // 2
    # The share of a picture that 3,500 px are of 2448 × 2448.
    least = max(round(3500 / 2448**2 * (2 * side) ** 2), 2)
    by: Ways = {"side by side": [], "removed": [], "overlapping": [], "overlapping, removed": []}
    for seed, model in zip(run.scale.seeds, models, strict=True):
        for way, values in by.items():
            values.append(
                _mapped(
                    run,
                    f"{way.replace(', ', '-').replace(' ', '-')}-{seed}",
                    [model],
                    tile=side,
                    stride=side // 5 if "overlapping" in way else side,
                    blend="mean",
                    min_area=least if "removed" in way else None,
                )
            )
    notes = f"Tiles of {side} px; components of fewer than {least} px are removed."
    return {"score": "mIoU", "ways": by, "notes": notes}


def ensemble(run: Any) -> dict[str, Any]:
    """Two models with Lovász and three with Jaccard, each alone and all together."""
    models = _models(run)
    five = [*models[LOVASZ][:2], *models["0.5*ce + 0.5*jaccard"][:3]]
    side = run.scale.deepglobe["size"] // 2
    options = {"tile": side, "stride": side // 5, "blend": "mean"}
    single = [_mapped(run, f"single-{i}", [model], **options) for i, model in enumerate(five)]
    together = _mapped(run, "ensemble", five, **options)
    least = max(round(3500 / 2448**2 * (2 * side) ** 2), 2)
    cleaned = _mapped(run, "ensemble-removed", five, min_area=least, **options)
    notes = f"With components of fewer than {least} px removed: {cleaned:.3f}."
    notes += " The five alone: " + ", ".join(f"{value:.3f}" for value in single) + "."
    mean = statistics.fmean(single)
    return {
        "score": "mIoU",
        "ways": {"mean of five": [mean], "best of five": [max(single)], "ensemble": [together]},
        "notes": notes,
    }


def colour(run: Any) -> dict[str, Any]:
    """Train the same network on images as they are and on images brought to one colour."""
    by: Ways = {}
    for way, together in (("as they are", False), ("one colour", True)):
        patches, test = run.pair("sugarcane", together=together)
        found = compare(
            patches,
            run.work / "runs" / f"colour-{together}",
            {"seed": list(run.scale.seeds)},
            test=test,
            jobs=run.threads,
            threads=run.threads,
            device="cpu",
            model="unet-small",
            model_options={"widths": run.scale.widths},
            epochs=run.scale.epochs,
            loss="bce",
            sampler="balance(positive=1)",
            augment="flips,rot90,noise(sigma=0.1)",
            keep="last",
        ).content["runs"]
        by[way] = [
            next(c["iou"] for c in one["scores"]["classes"] if c["name"] == "sugarcane")
            for one in found
        ]
    return {"score": "IoU of sugarcane", "ways": by}


def cam(run: Any) -> dict[str, Any]:
    """Activation maps of the shallow network, combined in four ways, against pixels' labels."""
    import numpy as np  # noqa: PLC0415

    composite, labels, patches = made_sets.cropland(run.work, size=run.scale.cropland)
    with Scene.open(labels) as scene:
        truth = scene.read(scene.grid.window).data[0]
    known = truth != 255
    by: Ways = {"commonest class": []}
    common = float(np.bincount(truth[known]).max() / known.sum())
    tasks, guesses = [], []
    for seed in run.scale.seeds:
        model = run.work / "runs" / f"cam-{seed}.safetensors"
        if not model.exists():
            train(
                patches,
                model,
                model="shallow-cnn",
                optimizer="adam",
                lr=0.001,
                schedule="constant",
                batch_size=32,
                epochs=25 if run.scale.epochs > 1 else 1,
                keep="last",
                seed=seed,
                threads=run.threads,
                device="cpu",
            )
        report = json.loads(model.with_suffix(".report.json").read_text(encoding="utf-8"))
        tasks.append(report["accuracy"])
        guesses.append(report["majority"])
        by["commonest class"].append(common)
        for way in ("argmax", "zscore", "median", "logistic"):
            weak = run.work / "maps" / f"weak-{way}-{seed}.tif"
            if not weak.exists():
                activation_maps(
                    composite,
                    weak.with_name(f"cam-{way}-{seed}.tif"),
                    model=model,
                    weak_labels=weak,
                    combine=way,
                    reference=labels,
                    patches=100,
                    tile=50,
                    stride=50,
                    upsampling="repeat",
                    seed=seed,
                    device="cpu",
                    workers=run.threads,
                )
            with Scene.open(weak) as scene:
                said = scene.read(scene.grid.window).data[0]
            both = known & (said != 255)
            by.setdefault(way, []).append(float((said == truth)[both].mean()))
    notes = (
        f"Task accuracy over all (patch, class) pairs {statistics.fmean(tasks):.3f}, guess of the"
        f" majority a class {statistics.fmean(guesses):.3f}; the regression is fitted on the pixels"
        " of 100 patches. Nothing else knows where in a patch a class lies."
    )
    return {"score": "accuracy of pixels", "ways": by, "notes": notes}
