"""What a finished run leaves: the model, and beside it curves and reports."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoseg import __version__
from geoseg.errors import OptionError, OutputError
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.network import parameter_count
from geoseg.raster.maker import document_with, page_with, picture_with
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.provenance import made_by
from geoseg.training.loop import Tally
from geoseg.training.maker import training_tags
from geoseg.training.metrics import PresenceScores
from geoseg.training.records import EpochRecord, curves_csv, report_json, scores_json
from geoseg.training.report.data import data_section
from geoseg.training.report.page import curves_png, training_page
from geoseg.training.report.samples import samples_of
from geoseg.training.run import Run

STORED_AS = {"float32": torch.float32, "float16": torch.float16}
"""Types in which a model's kernels can be stored."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A finished run."""

    card: ModelCard
    """Of the model written."""
    report: dict[str, Any]
    """What stands in the report file."""
    history: tuple[EpochRecord, ...]
    """One record an epoch."""
    paths: dict[str, Path]
    """Files written: ``model``, ``curves``, ``picture``, ``report``, ``page``."""


def output_paths(output: str | Path) -> dict[str, Path]:
    """Name a run's files after its model.

    ``model``; ``curves`` (CSV), ``picture`` (the curves as PNG), ``report`` (JSON), ``page`` (the
    report as HTML); ``checkpoint`` while it runs.
    """
    model = Path(output)
    return {
        "model": model,
        "curves": model.with_suffix(".curves.csv"),
        "picture": model.with_suffix(".curves.png"),
        "report": model.with_suffix(".report.json"),
        "page": model.with_suffix(".report.html"),
        "checkpoint": model.with_suffix(".checkpoint"),
    }


def check_outputs(paths: dict[str, Path], *, resume: bool, overwrite: bool) -> None:
    """Check before the work that a run may write what it will; forget an old checkpoint.

    Raises
    ------
    OutputError
        A file is there, or its folder cannot be written to.
    """
    check_output(paths["model"], overwrite=overwrite, suffixes=(".safetensors",))
    for name in ("curves", "picture", "report", "page"):
        check_output(paths[name], overwrite=overwrite)
    checkpoint = paths["checkpoint"]
    if checkpoint.exists() and not resume:
        if not overwrite:
            raise OutputError(
                f"{checkpoint} is of an unfinished run: go on with --resume, or start anew with"
                " --overwrite"
            )
        checkpoint.unlink()


def check_stored_as(stored_as: str) -> None:
    """Check the name of a type of kernels.

    Raises
    ------
    OptionError
        There is no such type.
    """
    if stored_as not in STORED_AS:
        raise OptionError(f"weights are stored as {' or '.join(STORED_AS)}, not as {stored_as!r}")


def write_outputs(
    run: Run,
    paths: dict[str, Path],
    epoch: int,
    tally: Tally,
    *,
    description: str | None,
    stored_as: str,
    overwrite: bool,
) -> Fitted:
    """Write the model of a finished run and what belongs beside it; remove its checkpoint.

    Parameters
    ----------
    run
        Its network has the weights that the model shall have.
    paths
        See `output_paths`.
    epoch, tally
        What `Run.finish` gave.
    description, stored_as, overwrite
        See `geoseg.training.fit.fit`.

    Raises
    ------
    OutputError, ModelError
        A file cannot be written, or weights are not finite.
    """
    tags = training_tags(run.dataset, run.settings.to_json())
    report = document_with(_report(run, epoch, tally), tags)
    page = training_page(
        title=paths["model"].stem,
        report=report,
        history=run.history,
        legend=run.setup.legend,
        confusion=tally.counts if tally.counts.ndim == 2 else None,
        samples=samples_of(run.setup),
        data=data_section(run.dataset),
    )
    card = save_bundle(
        ModelBundle(
            run.learner.network,
            _card(run, paths["model"], epoch, tally, description, made_by(tags)),
        ),
        paths["model"],
        dtype=STORED_AS[stored_as],
        sidecars={
            paths["curves"]: curves_csv(run.history),
            paths["picture"]: picture_with(curves_png(run.history), tags),
            paths["report"]: report_json(report),
            paths["page"]: page_with(page, tags),
        },
        overwrite=overwrite,
    )
    paths["checkpoint"].unlink(missing_ok=True)
    written = {name: path for name, path in paths.items() if name != "checkpoint"}
    return Fitted(card=card, report=report, history=tuple(run.history), paths=written)


def _report(run: Run, epoch: int, tally: Tally) -> dict[str, Any]:
    setup, scores = run.setup, tally.scores
    report: dict[str, Any] = {
        "split": "train" if setup.val is None else "val",
        "epoch": epoch,
        "epochs": run.progress.epoch,
        "loss": tally.mean_loss if tally.counts.any() else None,
        **scores_json(scores, setup.legend),
        "network": run.settings.model,
        "parameters": parameter_count(run.learner.network),
        "seconds": round(run.history[-1].seconds, 1) if run.history else 0.0,
        "device": str(run.device),
        "precision": setup.precision,
        "settings": run.setup.noted_settings(),
    }
    if isinstance(scores, PresenceScores) and tally.counts.any():
        report["majority"] = scores.majority
    if setup.weights_taken is not None:
        report["weights"] = setup.weights_taken
    if run.progress.averages:
        report["swa"] = run.progress.averages
    return report


def _card(
    run: Run,
    model: Path,
    epoch: int,
    tally: Tally,
    description: str | None,
    made: dict[str, Any],
) -> ModelCard:
    dataset, setup = run.dataset, run.setup
    scores = scores_json(tally.scores, setup.legend)
    patches = ", ".join(f"{n} {split}" for split, n in dataset.splits.items())
    has_place = dataset.crs_units is not None
    return ModelCard(
        name=model.stem,
        network=run.settings.model,
        arguments=run.settings.to_json()["model_options"],
        bands=dataset.bands,
        sensor=dataset.metadata.get("sensor"),
        mean=setup.mean,
        std=setup.std,
        fill=float(dataset.fill),
        legend=setup.legend,
        tile=setup.tile,
        scale=run.settings.downscale * dataset.scale,
        resolution=sum(dataset.resolution) / 2 if has_place else None,
        # Nothing here may differ between two runs that learned the same.
        training={
            "made_by": made,
            "settings": run.setup.noted_settings(),
            "device": run.device.type,
            "precision": setup.precision,
            "data": {"hash": dataset.hash(), "patches": dict(dataset.splits)},
            "epoch": epoch,
            "epochs": run.progress.epoch,
            "split": "train" if setup.val is None else "val",
            "scores": {key: scores[key] for key in ("accuracy", "miou", "classes")},
            "versions": {
                "geoseg": __version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        },
        colour=dataset.colour,
        description=description
        or f"Trained on patches of {dataset.size} × {dataset.size} px ({patches}).",
    )
