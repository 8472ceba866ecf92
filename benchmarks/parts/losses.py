"""Lovász losses, forward and backward."""

from __future__ import annotations

from parts.measure import Job
from parts.part import Context, Part

METHODS = ("geoseg", "cross entropy", "smp", "differences")


def make(context: Context) -> list[Part]:
    """Return a table a loss."""
    side = context.sizes.losses
    parts = []
    for loss, classes in (("softmax", 7), ("hinge", 2))[: 1 if context.is_short else 2]:
        jobs = []
        for method in METHODS[:2] if context.is_short else METHODS:
            words = context.script(
                context.ours, "lovasz.py", "--one", method, "--loss", loss, "--size", side,
                "--threads", context.workers, "--runs", 5,
            )  # fmt: skip
            jobs.append(Job(name=method, words=words, ours=method == "geoseg"))
        parts.append(
            Part(
                name=f"losses-{loss}",
                title=f"Lovász {loss}",
                about=f"Seconds of one forward and backward pass, the best of five in a process: 8 "
                f"× {classes} × {side} × {side}. *smp* is segmentation-models-pytorch's; "
                "*differences* the common way, class by class, written here.",
                jobs=tuple(jobs),
                rounds=1,
            )
        )
    return parts
