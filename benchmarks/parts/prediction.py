"""Prediction with overlapping tiles, from a scene's file to a map's."""

from __future__ import annotations

from pathlib import Path

from parts.measure import Job, asked
from parts.part import Context, Part

PEERS = (
    ("numpy loop", "pred", "loop", False),
    ("geoai, predict_geotiff", "pred", "geoai", False),
    ("MONAI sliding window", "pred", "monai", False),
    ("pytorch-toolbelt", "pred", "toolbelt", True),
    ("geoai, older way", "pred", "geoai_train", True),
    ("torchgeo and stitching", "pred", "torchgeo", True),
    ("Raster Vision", "rv", "rastervision", True),
)
IMPORTS = "torch,rasterio,geoseg.cli.predict,geoseg.inference.predict"
ROUNDS = {"null": None, "tiny": 2, "resnet34": 1}
MODELS = {
    "null": "One 1 × 1 convolution: all that is not the network",
    "tiny": "A U-Net of three levels, 117,607 parameters",
    "resnet34": "A U-Net with a ResNet-34 encoder, 25 M parameters",
}


def scene(context: Context, rows: int, cols: int) -> Path:
    """Make a scene, if it is not there."""
    path = context.work / f"scene_{rows}x{cols}.tif"
    if not path.exists():
        labels = path.with_name(f"labels_{rows}x{cols}.tif")
        part = path.with_suffix(".part.tif")
        asked(context.script(context.ours, "inputs.py", "scene", part, rows, cols, labels))
        part.rename(path)
    return path


def model(context: Context, name: str) -> tuple[Path, Path]:
    """Make a model for geoseg and the same for the others, if they are not there."""
    ours, theirs = context.work / f"{name}.safetensors", context.work / f"{name}.pt"
    if not theirs.exists():
        asked(context.script(context.ours, "inputs.py", "model", name, ours, theirs))
    return ours, theirs


def geoseg_job(context: Context, image: Path, weights: Path) -> Job:
    """Return prediction by geoseg, with the mean as the others take it."""
    out = context.work / "map_geoseg.tif"
    words = context.geoseg(
        IMPORTS, "predict", image, "--model", weights, "--tile", context.sizes.tile,
        "--stride", context.sizes.tile // 2, "--blend", "mean", "--precision", "float32",
        "--workers", context.workers, "--overwrite", "-o", out,
    )  # fmt: skip
    return Job(name="geoseg", words=words, ours=True, out=out)


def peer_job(
    context: Context, name: str, python: str, way: str, image: Path, weights: Path, *, slow: bool
) -> Job:
    """Return prediction by another way."""
    out = context.work / f"map_{way}.tif"
    side = context.sizes.tile
    words = context.script(
        python, "peers/predict.py", way, weights, image, out, "--tile", side, "--stride",
        side // 2, "--batch", context.sizes.batch, "--threads", context.workers,
    )  # fmt: skip
    return Job(name=name, words=words, slow=slow, out=out, compared=way != "forward", valid=image)


def make(context: Context) -> list[Part]:
    """Return a table a model."""
    sizes = context.sizes
    parts = []
    sides = {"null": sizes.null, "tiny": sizes.tiny, "resnet34": sizes.resnet}
    for name, about in MODELS.items():
        side = sides[name]
        if not side:
            continue
        ours, theirs = model(context, name)
        image = scene(context, side, side)
        context.warm(geoseg_job(context, scene(context, 300, 300), ours).words)
        jobs = [geoseg_job(context, image, ours)]
        if name != "null":
            words = ("forward alone, contiguous, batches of 8", context.ours, "forward")
            jobs.append(peer_job(context, *words, image, theirs, slow=False))
        for title, environment, way, slow in PEERS:
            python = context.peers.python(environment)
            if python is None and way == "loop":
                python = context.ours
            if python is not None:
                jobs.append(peer_job(context, title, python, way, image, theirs, slow=slow))
        parts.append(
            Part(
                name=f"prediction-{name}",
                title=f"Prediction, {name} model",
                about=f"{about}. A scene of {side:,}² px, four bands of uint16, deflate; 21 % has "
                f"no data. Seven classes, tiles of {sizes.tile} px, stride {sizes.tile // 2}, mean "
                "of probabilities. Files to files; geoseg writes a COG with overviews.",
                jobs=tuple(jobs),
                scene=image,
                megapixels=side * side / 1e6,
                rounds=ROUNDS[name],
            )
        )
    return parts
