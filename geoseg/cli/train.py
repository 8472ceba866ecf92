"""``geoseg train``."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    common_options,
    detail,
    device_option,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    precision_option,
    seed_option,
)
from geoseg.cli.progress import progress

if TYPE_CHECKING:
    from geoseg.training.fit import Fitted
    from geoseg.training.records import EpochRecord
    from geoseg.training.run import Run


def _key_and_value(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign or not key.strip():
            raise click.BadParameter(f"'{value}' is not KEY=VALUE")
        pairs[key.strip()] = text.strip()
    return pairs


@click.command()
@click.argument("dataset", metavar="DIR", type=click.Path())
@output_option("the model (NAME.safetensors)")
@click.option(
    "--model",
    default="unet-small",
    show_default=True,
    metavar="NAME",
    help="Network: unet (64 to 1024 channels, 31 M parameters), unet-small (32 to 256, 1.9 M),"
    " pointwise (no neighbourhood).",
)
@click.option(
    "--model-option",
    "model_options",
    multiple=True,
    callback=_key_and_value,
    metavar="KEY=VALUE",
    help="Option of the network, for example widths=16,32,64,128 or batch_norm=false. Repeatable.",
)
@click.option(
    "--loss",
    default="ce",
    show_default=True,
    metavar="SUM",
    help="Sum of terms with factors and arguments, such as '0.5*ce + 0.5*weighted-ce': ce (cross"
    " entropy), weighted-ce (rare classes count more).",
)
@click.option(
    "--optimizer",
    type=click.Choice(["sgd", "adam", "adamw"]),
    default="adamw",
    show_default=True,
    help="How weights follow the gradient.",
)
@click.option(
    "--lr",
    type=click.FloatRange(0, min_open=True),
    metavar="RATE",
    help="Learning rate [default: sgd 0.01, adam and adamw 0.001].",
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(0),
    metavar="RATE",
    help="Pull of kernels towards 0 [default: sgd 0.0001, adam 0, adamw 0.01].",
)
@click.option(
    "--momentum", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="Of sgd."
)
@click.option(
    "--schedule",
    default="cosine",
    show_default=True,
    metavar="CALL",
    help="Of the learning rate: constant, linear(to=0.1), cosine(to=0), step(every=25,factor=0.1);"
    " each also with warmup=EPOCHS.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Passes over the training patches.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Patches a step."
)
@click.option(
    "--sampler",
    default="random",
    show_default=True,
    metavar="CALL",
    help="Order of the patches: random.",
)
@click.option(
    "--augment",
    default="flips,rot90",
    show_default=True,
    metavar="LIST",
    help="What is done to training patches, in this order: flips, rot90, noise(sigma=0.1) (in"
    " units of each band's deviation), or none.",
)
@click.option(
    "--keep",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which epoch becomes the model: the best on the validation patches, or the last.",
)
@click.option(
    "--best-by",
    type=click.Choice(["miou", "accuracy", "loss"]),
    default="miou",
    show_default=True,
    help="What makes an epoch the best.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    metavar="EPOCHS",
    help="Stop after so many epochs without a better one.",
)
@precision_option
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Threads of the network on the CPU [default: one a processor].",
)
@click.option(
    "--description", metavar="TEXT", help="What the model's card shall say to people, in its file."
)
@click.option(
    "--stored-as",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the weights in the file; float16 halves it.",
)
@device_option
@seed_option
@click.option(
    "--resume", is_flag=True, help="Go on with an interrupted run; give the same options again."
)
@overwrite_option
@json_option
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    dataset: str,
    output: str,
    model_options: dict[str, str],
    threads: int | None,
    description: str | None,
    stored_as: str,
    device: str,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on the patches in DIR, which `geoseg tile` made with --labels.

    Writes one model file, and beside it NAME.curves.csv (one line an epoch) and NAME.report.json
    (every score of the epoch kept). While it runs, NAME.checkpoint holds where it is.

    \b
    Example:
      geoseg train patches -o model.safetensors --augment 'flips,rot90,noise(sigma=0.1)'
    """
    # Imported when the command runs: torch takes seconds.
    from geoseg.patches.dataset import PatchDataset  # noqa: PLC0415
    from geoseg.terms import parse_value  # noqa: PLC0415
    from geoseg.training.fit import fit  # noqa: PLC0415
    from geoseg.training.settings import Settings  # noqa: PLC0415

    settings = Settings(
        model_options={key: parse_value(text) for key, text in model_options.items()}, **options
    )
    opened = PatchDataset.open(dataset)
    talk = _Talk(settings.epochs)
    patches = opened.splits.get("train", 0) + opened.splits.get("val", 0)
    try:
        with progress(patches * settings.epochs, "training", "patches") as bar:

            def start(run: Run) -> None:
                talk.start(run)
                bar.update(patches * len(run.history))

            fitted = fit(
                opened,
                output,
                settings,
                device=device,
                threads=threads,
                description=description,
                stored_as=stored_as,
                resume=resume,
                overwrite=overwrite,
                on_start=start,
                on_epoch=talk.epoch,
                progress=bar.update,
            )
    except KeyboardInterrupt:
        # Said even with -q, for it says how not to lose the work.
        click.echo("Interrupted; the same command with --resume goes on from here.", err=True)
        ctx.exit(130)
    emit(_summary(fitted), _text(fitted), as_json=as_json)


class _Talk:
    """Says on standard error how the run goes."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._start = 0
        self._seconds = 0.0

    def start(self, run: Run) -> None:
        history = run.history
        self._start = len(history)
        self._seconds = history[-1].seconds if history else 0.0
        if history:
            note(f"Going on after epoch {self._start}.")
        if run.val is None:
            note("There are no validation patches: the last epoch becomes the model.")
        detail(
            f"{run.settings.model} on {run.device} in {run.precision}: {len(run.train)} patches of"
            f" {run.dataset.size} px to learn from, {0 if run.val is None else len(run.val)} to"
            " validate on."
        )

    def epoch(self, record: EpochRecord) -> None:
        each = (record.seconds - self._seconds) / max(1, record.epoch - self._start)
        validated = (
            ""
            if math.isnan(record.val_loss)
            else f"  val loss {record.val_loss:.4f}  accuracy {record.val_accuracy:.4f}"
            f"  mIoU {record.val_miou:.4f}"
        )
        # A bar may stand on the line.
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        note(
            f"{clear}epoch {record.epoch}/{self._epochs}  loss {record.train_loss:.4f}"
            f"  accuracy {record.train_accuracy:.4f}{validated}"
            f"  {each:.1f} s each, {_duration((self._epochs - record.epoch) * each)} left"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _summary(fitted: Fitted) -> dict[str, Any]:
    paths = {name: str(path) for name, path in fitted.paths.items()}
    return {**paths, "hash": fitted.card.hash, **fitted.report}


def _text(fitted: Fitted) -> str:
    report = fitted.report
    lines = [
        f"{fitted.paths['model']}: {report['network']}, {report['parameters']:,} parameters, epoch"
        f" {report['epoch']} of {report['epochs']}",
        f"on {'validation' if report['split'] == 'val' else 'training'} patches: accuracy"
        f" {_share(report['accuracy'])}, mIoU {_share(report['miou'])}",
    ]
    width = max(len(entry["name"]) for entry in report["classes"])
    lines += [
        f"  {entry['name']:{width}}  IoU {_share(entry['iou'])}  recall {_share(entry['recall'])}"
        f"  {entry['pixels']:,} px"
        for entry in report["classes"]
    ]
    lines.append(f"curves: {fitted.paths['curves']}  report: {fitted.paths['report']}")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "  –   " if value is None else f"{value:.4f}"
