"""A network trained: patches a second."""

from __future__ import annotations

import math

from parts.measure import Job, asked
from parts.part import Context, Part
from parts.prediction import scene

SIDE = 128
EPOCHS = 2
NETWORKS = {"null": "pointwise", "resnet34": "smp:unet/resnet34"}
IMPORTS = {
    "null": "torch,geoseg.cli.train,geoseg.training.fit,matplotlib.figure",
    "resnet34": "torch,geoseg.cli.train,geoseg.training.fit,matplotlib.figure,"
    "segmentation_models_pytorch",
}
"""What is loaded before the clock starts, as the other has all that it uses by then."""


def make(context: Context) -> list[Part]:
    """Return a table a network."""
    # About a fifth of a scene holds no data; such patches are dropped.
    side = SIDE * math.ceil(math.sqrt(1.5 * context.sizes.patches))
    image = scene(context, side, side)
    labels = image.with_name(image.name.replace("scene", "labels"))
    patches = context.work / "train"
    words = (
        "tile", image, "--labels", labels, "--size", SIDE, "--split", "1,0,0", "--max-nodata", 0.5,
        "--overwrite", "--json", "-o", patches,
    )  # fmt: skip
    told = asked((context.ours, "-W", "ignore", "-m", "geoseg", "-q", *map(str, words)))
    count = int(told["patches"]["train"])
    parts = []
    for name, network in NETWORKS.items():
        if name == "resnet34" and not context.sizes.resnet:
            continue
        out = context.work / "trained.safetensors"
        words = context.geoseg(
            IMPORTS[name], "train", patches, "--model", network, "--epochs", EPOCHS,
            "--keep", "last", "--precision", "float32", "--threads", context.workers,
            "--overwrite", "-o", out,
        )  # fmt: skip
        jobs = [Job(name="geoseg", words=words, ours=True, out=out)]
        python = context.peers.python("pred")
        if python is not None:
            words = context.script(
                python, "peers/train.py", name, image, labels, "--patches", count, "--epochs",
                EPOCHS, "--threads", context.workers, "--size", SIDE,
                "--folder", context.work,
            )  # fmt: skip
            jobs.append(Job(name="torchgeo sampler + Lightning", words=words))
        parts.append(
            Part(
                name=f"training-{name}",
                title=f"Training, {name} network",
                about=f"{network}; {count} patches of {SIDE}² px, {EPOCHS} passes, batches of 8, "
                "AdamW, cross entropy, none held back to validate on. Both as they do by default: "
                "geoseg turns patches, keeps a checkpoint of the first pass, and writes the model "
                "and a report with charts; torchgeo samples anywhere in the scene, and Lightning "
                "keeps a checkpoint of each pass. Seconds are without imports.",
                jobs=tuple(jobs),
                many=count * EPOCHS,
                rounds=1,
            )
        )
    return parts
