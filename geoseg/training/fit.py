"""From a data set of patches to a model file."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoseg import __version__
from geoseg.errors import GeosegError, OptionError, OutputError
from geoseg.models.allocator import keep_large_blocks
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.device import resolve_device
from geoseg.models.network import parameter_count
from geoseg.patches.dataset import PatchDataset
from geoseg.raster.output import check_output
from geoseg.training.interrupt import interruptible
from geoseg.training.loop import Tally
from geoseg.training.records import EpochRecord, curves_csv, report_json, scores_json
from geoseg.training.run import SECONDS_BETWEEN_CHECKPOINTS, Counter, Run
from geoseg.training.settings import Settings

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
    """Files written: ``model``, ``curves``, ``report``."""


def output_paths(output: str | Path) -> dict[str, Path]:
    """Name a run's files after its model: ``model``, ``curves``, ``report``, ``checkpoint``."""
    model = Path(output)
    return {
        "model": model,
        "curves": model.with_suffix(".curves.csv"),
        "report": model.with_suffix(".report.json"),
        "checkpoint": model.with_suffix(".checkpoint"),
    }


def fit(
    dataset: PatchDataset | str | Path,
    output: str | Path,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    description: str | None = None,
    stored_as: str = "float32",
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_seconds: float = SECONDS_BETWEEN_CHECKPOINTS,
    on_start: Callable[[Run], None] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: Counter | None = None,
) -> Fitted:
    """Train a network on a data set of patches and write it as one model file.

    Beside the model appear its curves (``.curves.csv``, one line an epoch) and its report
    (``.report.json``, every score of the epoch kept); while the run lasts, a checkpoint
    (``.checkpoint``) from which it can go on. The model appears when the run is done, whole.

    Same data, settings and machine give the same bytes on the CPU, however often the run was
    interrupted; on a CUDA card, equal up to rounding. Torch's generators are left as they were;
    the C library is told to keep freed memory (`geoseg.models.allocator`), which halves the
    time of a step on the CPU, and numbers too small to matter are flushed to zero.

    Parameters
    ----------
    dataset
        The data set or its folder; needs labels and training patches, and should have validation
        patches (split ``val``).
    output
        The model file, ``*.safetensors``.
    settings
        How to train; None for the defaults.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    threads
        Threads that the network uses on the CPU; None leaves torch's own choice.
    description
        What the model's card says to people; None for what it was trained on.
    stored_as
        Type of the kernels in the file, ``float32`` or ``float16`` (half the size; rounded after
        the scores were taken).
    resume
        Go on from the checkpoint if there is one, else start.
    overwrite
        Replace a model, and forget a checkpoint, that is there.
    checkpoint_seconds
        Write a checkpoint no more often than this.
    on_start
        Called with the run before its first epoch.
    on_epoch
        Called with the record of each epoch done.
    progress
        Called with the number of patches of each batch done, learned from or scored.

    Returns
    -------
    fitted
        The card, the report and what was written.

    Raises
    ------
    KeyboardInterrupt
        Somebody pressed Ctrl-C; the checkpoint is written.
    GeosegError
        The data cannot be learned from, the settings make no sense, the loss diverged, memory ran
        out, or an output cannot be written.
    """
    settings = settings or Settings()
    if stored_as not in STORED_AS:
        raise OptionError(f"weights are stored as {' or '.join(STORED_AS)}, not as {stored_as!r}")
    paths = output_paths(output)
    _check_outputs(paths, resume=resume, overwrite=overwrite)
    where = resolve_device(device)
    opened = dataset if isinstance(dataset, PatchDataset) else PatchDataset.open(dataset)
    with _torch_set_up(where, threads), interruptible() as stop:
        run = Run(opened, settings, where)
        run.checkpoint_seconds = checkpoint_seconds
        if settings.patience is not None and run.val is None:
            raise OptionError("--patience needs validation patches: tile again with --split")
        if resume and paths["checkpoint"].exists():
            run.resume(paths["checkpoint"])
        if on_start is not None:
            on_start(run)
        run.epochs(paths["checkpoint"], stop, on_epoch=on_epoch, progress=progress)
        epoch, tally = run.finish()
    report = _report(run, epoch, tally)
    card = save_bundle(
        ModelBundle(run.learner.network, _card(run, paths["model"], epoch, tally, description)),
        paths["model"],
        dtype=STORED_AS[stored_as],
        sidecars={
            paths["curves"]: curves_csv(run.history),
            paths["report"]: report_json(report),
        },
        overwrite=overwrite,
    )
    paths.pop("checkpoint").unlink(missing_ok=True)
    return Fitted(card=card, report=report, history=tuple(run.history), paths=paths)


def _check_outputs(paths: dict[str, Path], *, resume: bool, overwrite: bool) -> None:
    check_output(paths["model"], overwrite=overwrite, suffixes=(".safetensors",))
    for name in ("curves", "report"):
        check_output(paths[name], overwrite=overwrite)
    checkpoint = paths["checkpoint"]
    if checkpoint.exists() and not resume:
        if not overwrite:
            raise OutputError(
                f"{checkpoint} is of an unfinished run: go on with --resume, or start anew with"
                " --overwrite"
            )
        checkpoint.unlink()


@contextmanager
def _torch_set_up(device: torch.device, threads: int | None) -> Iterator[None]:
    """Set torch up for a run and leave its generators as they were."""
    cards = [device.index or 0] if device.type == "cuda" else []
    threads_before = torch.get_num_threads()
    benchmark_before = torch.backends.cudnn.benchmark
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cpu":
        keep_large_blocks()
        torch.set_flush_denormal(True)
    elif device.type == "cuda":
        # All batches are of one or two shapes, so trying the kernels out pays.
        torch.backends.cudnn.benchmark = True
    try:
        with torch.random.fork_rng(devices=cards):
            yield
    except torch.OutOfMemoryError as error:
        raise GeosegError(
            f"the memory of {device} is too small: use a smaller --batch-size"
        ) from error
    finally:
        torch.set_num_threads(threads_before)
        torch.backends.cudnn.benchmark = benchmark_before
        if device.type == "cpu":
            torch.set_flush_denormal(False)


def _report(run: Run, epoch: int, tally: Tally) -> dict[str, Any]:
    return {
        "split": "train" if run.val is None else "val",
        "epoch": epoch,
        "epochs": run.progress.epoch,
        "loss": tally.mean_loss if tally.confusion.any() else None,
        **scores_json(tally.scores, run.legend),
        "network": run.settings.model,
        "parameters": parameter_count(run.learner.network),
        "seconds": round(run.history[-1].seconds, 1) if run.history else 0.0,
        "device": str(run.device),
        "precision": run.precision,
        "settings": run.settings.to_json(),
    }


def _card(run: Run, model: Path, epoch: int, tally: Tally, description: str | None) -> ModelCard:
    dataset, settings = run.dataset, run.settings
    scores = scores_json(tally.scores, run.legend)
    patches = ", ".join(f"{n} {split}" for split, n in dataset.splits.items())
    has_place = dataset.crs_units is not None
    return ModelCard(
        name=model.stem,
        network=settings.model,
        arguments=settings.to_json()["model_options"],
        bands=dataset.bands,
        sensor=dataset.metadata.get("sensor"),
        mean=run.mean,
        std=run.std,
        fill=float(dataset.fill),
        legend=run.legend,
        tile=dataset.size,
        resolution=sum(dataset.resolution) / 2 if has_place else None,
        # Nothing here may differ between two runs that learned the same.
        training={
            "settings": {**settings.to_json(), "lr": run.rate, "weight_decay": run.decay},
            "device": run.device.type,
            "precision": run.precision,
            "data": {"hash": dataset.hash(), "patches": dict(dataset.splits)},
            "epoch": epoch,
            "epochs": run.progress.epoch,
            "split": "train" if run.val is None else "val",
            "scores": {key: scores[key] for key in ("accuracy", "miou", "classes")},
            "versions": {
                "geoseg": __version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        },
        description=description
        or f"Trained on patches of {dataset.size} × {dataset.size} px ({patches}).",
    )
