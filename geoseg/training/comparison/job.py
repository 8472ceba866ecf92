"""One run of a comparison: trained, or found done; scored; told as plain JSON.

Run as a module, it takes a job as a line of JSON from its standard input and answers in lines of
JSON on its standard output, ``{"epoch": …}`` after each epoch and ``{"outcome": …}`` or
``{"error": …}`` in the end. When its input closes, it stops as at Ctrl-C: at the next good moment,
with a checkpoint.
"""

from __future__ import annotations

import json
import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import GeosegError, ModelError, OutputError
from geoseg.models.card import ModelCard, hash_file, read_card
from geoseg.models.device import resolve_device
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.subset import SubsetDataset
from geoseg.raster.maker import document_with
from geoseg.training.checkpoint import read_identity
from geoseg.training.comparison.scoring import score_model
from geoseg.training.fit import fit
from geoseg.training.loop import DivergedError
from geoseg.training.losses.registry import default_loss, is_of_patches
from geoseg.training.maker import training_tags
from geoseg.training.outputs import output_paths
from geoseg.training.records import EpochRecord, report_json
from geoseg.training.settings import Settings

INTERRUPTED = 130
"""Status of a process that was asked to stop."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a run needs."""

    dataset: PatchDataset
    settings: Settings
    model: Path
    """Where the model goes."""
    test: PatchDataset | None = None
    """What the model is scored on beside its validation patches; its split ``test``."""
    device: str = "auto"
    threads: int | None = None
    """Threads of the network on the CPU; None for torch's own choice."""
    overwrite: bool = False
    """Train even where a model is there."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `geoseg.training.fit.fit`, plain JSON values."""

    def to_json(self) -> dict[str, Any]:
        """Return the job as plain JSON objects."""
        return {
            "dataset": _described(self.dataset),
            "settings": {**self.settings.to_json(), "weights": self.settings.weights},
            "model": str(self.model.absolute()),
            "test": None if self.test is None else _described(self.test),
            "device": self.device,
            "threads": self.threads,
            "overwrite": self.overwrite,
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Job:
        """Take up what `to_json` gave, and open the data sets."""
        settings = {**obj["settings"]}
        options = {key: _value(v) for key, v in settings.pop("model_options").items()}
        return cls(
            dataset=_opened(obj["dataset"]),
            settings=Settings(**settings, model_options=options),
            model=Path(obj["model"]),
            test=None if obj["test"] is None else _opened(obj["test"]),
            device=obj["device"],
            threads=obj["threads"],
            overwrite=obj["overwrite"],
            options=obj["options"],
        )


def run_job(job: Job, *, on_epoch: Callable[[EpochRecord], None] | None = None) -> dict[str, Any]:
    """Train a model unless it is there, and score it unless that is done.

    A run that was interrupted goes on from its checkpoint. A run that diverges is an outcome, not
    an error: it is what these settings lead to.

    Returns
    -------
    outcome
        ``state`` (``trained``, ``there`` or ``diverged``), ``error`` (why it diverged, else null),
        ``split`` (``val``, or ``train`` without validation patches) with its ``scores`` of the
        epoch kept, ``test`` (scores, or null), ``epoch`` and ``seconds``.

    Raises
    ------
    OutputError
        A model is there that other settings or data made.
    GeosegError
        As `geoseg.training.fit.fit` and `geoseg.training.scoring.score_model` do.
    """
    state = "there"
    checkpoint = output_paths(job.model)["checkpoint"]
    if job.overwrite or not is_done(job):
        _forget_other_length(job, checkpoint)
        try:
            fit(
                job.dataset,
                job.model,
                job.settings,
                device=job.device,
                threads=job.threads,
                resume=not job.overwrite,
                # Without a model, what lies beside it is left over.
                overwrite=True,
                on_epoch=on_epoch,
                **job.options,
            )
            state = "trained"
        except DivergedError as error:
            checkpoint.unlink(missing_ok=True)  # going on would lead to the same
            nothing: dict[str, Any] = {"accuracy": None, "miou": None, "classes": []}
            split = "val" if job.dataset.splits.get("val") else "train"
            return {
                "state": "diverged",
                "error": str(error),
                "split": split,
                "scores": nothing,
                "test": None if job.test is None else nothing,
                "epoch": None,
                "seconds": None,
            }
    training = read_card(job.model).training
    return {
        "state": state,
        "error": None,
        "split": training["split"],
        "scores": training["scores"],
        "test": None if job.test is None else _test_scores(job, job.test),
        "epoch": training["epoch"],
        "seconds": _seconds(job.model),
    }


def _forget_other_length(job: Job, checkpoint: Path) -> None:
    """Remove the checkpoint of a run of another number of epochs.

    A single run may be prolonged; in a table all must have gone through the same schedule.
    """
    if checkpoint.exists():
        settings = read_identity(checkpoint).get("settings")
        if not isinstance(settings, dict) or settings.get("epochs") != job.settings.epochs:
            checkpoint.unlink()


def is_done(job: Job) -> bool:
    """Tell whether a job's model is there, made by its very settings from its very data.

    Raises
    ------
    OutputError
        There is a model of others.
    """
    if not job.model.exists():
        return False
    try:
        card = read_card(job.model)
    except ModelError as error:
        raise OutputError(f"{error}; replace it with --overwrite") from error
    different = _differences(job, card)
    if different:
        raise OutputError(
            f"{job.model} was trained with other settings or data ({different}): name another"
            " folder, or train all anew with --overwrite"
        )
    return True


def _differences(job: Job, card: ModelCard) -> str:
    """Return in what a model differs from what a job would make; nothing where in nothing."""
    data = card.training.get("data")
    if not isinstance(data, Mapping) or data.get("hash") != job.dataset.hash():
        return "other patches"
    theirs = card.training.get("settings")
    if not isinstance(theirs, Mapping):
        return "none are noted in it"
    # The card holds what defaults stood for; which that is, the network decides, and of which kind
    # that is, its loss says.
    loss = str(theirs.get("loss"))
    of_patches = is_of_patches(loss)
    mine = job.settings.noted(
        default_loss(of_patches=of_patches), job.dataset, of_patches=of_patches
    )
    plain = json.loads(json.dumps(mine))
    return "; ".join(
        f"{key} {theirs.get(key)!r}, now {value!r}"
        for key, value in plain.items()
        if theirs.get(key) != value
    )


def _test_scores(job: Job, test: PatchDataset) -> dict[str, Any]:
    """Scores on the test patches, kept beside the model so that they are taken once."""
    path = job.model.with_suffix(".test.json")
    wanted = {"model": hash_file(job.model), "data": test.hash()}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if {key: kept[key] for key in wanted} == wanted:
            scores: dict[str, Any] = kept["scores"]
            return scores
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or cut short: taken anew
    device = resolve_device(job.device)
    scores = score_model(job.model, test, "test", device=device, batch_size=job.settings.batch_size)
    tags = training_tags(job.dataset, job.settings.to_json())
    content = document_with({**wanted, "scores": scores}, tags)
    path.write_text(report_json(content), encoding="utf-8")
    return scores


def _seconds(model: Path) -> float | None:
    try:
        report = json.loads(model.with_suffix(".report.json").read_text(encoding="utf-8"))
        return float(report["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # somebody tidied up; nothing depends on it


def _described(dataset: PatchDataset) -> dict[str, Any]:
    if not isinstance(dataset, SubsetDataset):
        return {"folder": str(dataset.folder.absolute())}
    selection = {
        name: [[split, places.tolist()] for split, places in parts]
        for name, parts in dataset.selection.items()
    }
    return {"source": _described(dataset.source), "selection": selection}


def _opened(obj: Mapping[str, Any]) -> PatchDataset:
    if "folder" in obj:
        return PatchDataset.open(obj["folder"])
    return SubsetDataset(
        _opened(obj["source"]),
        {
            name: [(split, np.array(places, np.int64)) for split, places in parts]
            for name, parts in obj["selection"].items()
        },
    )


def _value(value: Any) -> Any:
    return tuple(map(_value, value)) if isinstance(value, list) else value


def main() -> int:
    """Do the job that stands on the standard input."""

    def say(obj: Mapping[str, Any]) -> None:
        print(json.dumps(obj), flush=True)

    def watch() -> None:
        sys.stdin.read()
        interrupt_main()

    try:
        job = Job.from_json(json.loads(sys.stdin.readline()))
        threading.Thread(target=watch, daemon=True).start()
        say({"outcome": run_job(job, on_epoch=lambda record: say({"epoch": record.to_json()}))})
    except GeosegError as error:
        say({"error": {"type": type(error).__name__, "message": str(error)}})
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
