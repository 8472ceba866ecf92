"""Memory of prediction against a scene's height."""

from __future__ import annotations

from dataclasses import replace

from parts.measure import Job
from parts.part import Context, Part
from parts.prediction import geoseg_job, model, peer_job, scene

MOST = 2
"""Heights that a peer is given: it holds all scores, and more would not fit everywhere."""


def make(context: Context) -> list[Part]:
    """Return the one table."""
    ours, theirs = model(context, "null")
    width, heights = context.sizes.width, context.sizes.heights
    jobs = [Job(name="import torch", words=(context.ours, "-c", "import torch"))]
    python = context.peers.python("pred")
    for number, height in enumerate(heights):
        image = scene(context, height, width)
        jobs.append(replace(geoseg_job(context, image, ours), name=f"geoseg, {height:,} rows"))
        if python is not None and number < MOST:
            named = (f"MONAI, {height:,} rows", python, "monai")
            job = peer_job(context, *named, image, theirs, slow=True)
            jobs.append(replace(job, compared=False))
    return [
        Part(
            name="memory",
            title="Memory against height",
            about=f"Prediction as above with the null model, {width:,} columns.",
            jobs=tuple(jobs),
            beside=f"geoseg, {heights[0]:,} rows",
            rounds=1,
        )
    ]
