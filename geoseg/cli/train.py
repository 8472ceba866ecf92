"""``geoseg train``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.launch import WORDS, cards_of, is_first, run_on_cards
from geoseg.cli.options import (
    common_options,
    device_option,
    emit,
    json_option,
    output_option,
    overwrite_option,
)
from geoseg.cli.progress import progress
from geoseg.cli.stopped import way_on
from geoseg.cli.train_options import learning_options
from geoseg.cli.train_text import Talk, summary, text
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.training.run import Run
    from geoseg.training.settings import Settings


@click.command()
@click.argument("dataset", metavar="DIR", type=click.Path())
@output_option("the model (NAME.safetensors), or with --compare or --folds a folder")
@learning_options
@click.option(
    "--compare",
    multiple=True,
    metavar="KEY=A; B; …",
    help="Train once for each of several values of an option, for example 'loss=ce; weighted-ce;"
    " focal(gamma=2)' or 'seed=0; 1; 2', and print a table. Repeat it for all combinations.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 1000),
    metavar="K",
    help="Train each K times, validating on another K-th of the ground each time.",
)
@click.option(
    "--test",
    type=click.Path(),
    metavar="DIR2",
    help="Of a comparison: also score every model on another data set: its test patches, if it has"
    " any, else all. It must be of other ground.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Of a comparison: train N at a time.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Threads of the network on the CPU [default: one a processor].",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    metavar="N",
    help="Threads that make batches.",
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
@click.option(
    "--tensorboard",
    type=click.Path(),
    metavar="FOLDER",
    help="Also write the curves for TensorBoard.",
)
@device_option
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
    compare: tuple[str, ...],
    folds: int | None,
    test: str | None,
    jobs: int,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on the patches in DIR, which `geoseg tile` made with labels.

    DIR may lie in object storage (s3://bucket/patches): it is brought here first, once.

    Writes one model file, and beside it NAME.report.html (everything about the run, for a
    browser), NAME.report.json (every score of the epoch kept), NAME.curves.csv and NAME.curves.png
    (one line an epoch). While it runs, NAME.checkpoint holds where it is: after the first epoch,
    then every minute.

    Several GPUs: --device cuda:0,1, or torchrun with `-m geoseg train`.

    \b
    Examples:
      geoseg train patches -o model.safetensors --augment 'flips,rot90,noise(sigma=0.1)'
      geoseg train patches -o model.safetensors --loss '0.5*ce + 0.5*lovasz-softmax' \\
        --sampler equibatch
      geoseg train patches -o holds.safetensors --model shallow-cnn --optimizer adam \\
        --lr 0.001 --batch-size 32 --epochs 25
      geoseg train patches -o losses --compare 'loss=ce; focal; focal-hinge' --compare 'seed=0; 1'
    """
    cards = cards_of(device)
    if cards:
        if compare or folds is not None:
            raise OptionError("a comparison runs on one card: give --device cuda:N")
        words = ctx.meta.get(WORDS, sys.argv[1:])
        if status := run_on_cards(cards, _words_without_device(words)):
            ctx.exit(status)
        return

    # Imported when the command runs: torch takes seconds.
    from geoseg.terms import parse_value  # noqa: PLC0415
    from geoseg.training.settings import Settings  # noqa: PLC0415

    running = {
        key: options.pop(key)
        for key in (
            *("threads", "workers", "description", "stored_as"),
            *("tensorboard", "resume", "overwrite"),
        )
    }
    settings = Settings(
        model_options={key: parse_value(value) for key, value in model_options.items()}, **options
    )
    if compare or folds is not None:
        from geoseg.cli.comparison import run_comparison  # noqa: PLC0415

        run_comparison(
            ctx,
            dataset,
            output,
            settings,
            compare=compare,
            folds=folds,
            test=test,
            jobs=jobs,
            device=device,
            as_json=as_json,
            running=running,
        )
        return
    if test is not None or jobs > 1:
        raise OptionError("--test and --jobs are of a comparison: give --compare or --folds too")
    _train(ctx, dataset, output, settings, device, running, as_json=as_json)


def _train(
    ctx: click.Context,
    dataset: str,
    output: str,
    settings: Settings,
    device: str,
    running: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from geoseg.patches.dataset import PatchDataset  # noqa: PLC0415
    from geoseg.training.distributed import refused_together  # noqa: PLC0415
    from geoseg.training.fit import fit  # noqa: PLC0415

    with refused_together():
        opened = PatchDataset.open(dataset)
    first, epochs = is_first(), settings.all_epochs
    talk = Talk(epochs, resume=running["resume"])
    patches = opened.splits.get("train", 0) + opened.splits.get("val", 0)
    try:
        with progress(patches * epochs, "training", "patches") as bar:

            def start(run: Run) -> None:
                if first:
                    talk.start(run)
                    bar.update(patches * len(run.history))

            fitted = fit(
                opened,
                output,
                settings,
                device=device,
                on_start=start,
                on_epoch=talk.epoch if first else None,
                progress=bar.update if first else None,
                **running,
            )
    except KeyboardInterrupt:
        # Said even with -q, for it says how not to lose the work.
        if first:
            way = way_on("; the same command with --resume goes on from here")
            click.echo(f"Interrupted{way}.", err=True)
        ctx.exit(130)
    if first:
        emit(summary(fitted), text(fitted), as_json=as_json)


def _words_without_device(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("--device="):
            skip = False
        elif word == "--device":
            skip = True
        else:
            kept.append(word)
    return kept
