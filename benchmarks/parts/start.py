"""How long commands and imports take before they do anything."""

from __future__ import annotations

from parts.measure import Job, asked
from parts.part import Context, Part
from parts.prediction import model, scene

BARE = "import click; c = click.Command('bare'); c.main(['--help'])"
IMPORTS = ("monai.inferers", "geoai.train", "torchgeo.datasets", "lightning",
           "segmentation_models_pytorch", "pytorch_toolbelt.inference.tiles")  # fmt: skip


def make(context: Context) -> list[Part]:
    """Return the one table."""
    ours = context.ours
    image, (weights, _) = scene(context, 300, 300), model(context, "null")
    out = context.work / "small.tif"
    start = (ours, "-W", "ignore", "-m", "geoseg")
    predict = (*start, "-q", "predict", str(image), "-m", str(weights), "--overwrite", "-o")
    train = "import geoseg.cli.train, geoseg.training.fit, geoseg.models.unet"
    asked((*predict, str(out)))
    jobs = [
        Job(name="import torch", words=(ours, "-c", "import torch")),
        Job(name="python", words=(ours, "-c", "pass")),
        Job(name="a bare command of click, --help", words=(ours, "-c", BARE)),
        Job(name="geoseg --help", words=(*start, "--help"), ours=True),
        Job(name="geoseg predict --help", words=(*start, "predict", "--help"), ours=True),
        Job(name="geoseg predict, 300² px", words=(*predict, str(out)), ours=True, out=out),
        Job(name="geoseg train, what it imports", words=(ours, "-c", train), ours=True),
    ]
    num, rv = context.peers.python("num"), context.peers.python("rv")
    if num is not None:
        rio = "from rasterio.rio.main import main_group; main_group(['--help'])"
        jobs.append(Job(name="rio --help", words=(num, "-W", "ignore", "-c", rio)))
    pred = context.peers.python("pred")
    for name in IMPORTS if pred is not None else ():
        words = (str(pred), "-W", "ignore", "-c", f"import {name}")
        jobs.append(Job(name=f"import {name}", words=words, slow=True))
    if rv is not None:
        words = (rv, "-W", "ignore", "-m", "rastervision.pipeline.cli", "--help")
        jobs.append(Job(name="rastervision --help", words=words, slow=True))
    return [
        Part(
            name="start",
            title="Start",
            about="Whole processes.",
            jobs=tuple(jobs),
            beside="import torch",
        )
    ]
