"""``geoseg demo``: everything once, on a scene made for the purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from geoseg.cli.options import (
    common_options,
    device_option,
    emit,
    json_option,
    note,
    overwrite_option,
    seed_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import Progress, progress


@contextmanager
def _step(what: str, pixels: int) -> Iterator[Progress]:
    note(f"{what} …")
    with progress(pixels, what) as bar:
        yield bar


@click.command()
@click.argument("folder", metavar="[DIR]", default="geoseg-demo", type=click.Path())
@seed_option
@device_option
@workers_option
@overwrite_option
@json_option
@common_options
def command(
    folder: str,
    seed: int,
    device: str,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """See what geoseg makes of a scene, with nothing but geoseg installed.

    Makes up a scene like one of Landsat 8, predicts it with the built-in model (or the one that
    GEOSEG_MODEL names), cuts it into patches to train on and evaluates the map. All of it is put
    into DIR, ./geoseg-demo if none is given, and the command says what to open in QGIS. Takes less
    than a minute.

    \b
    Examples:
      geoseg demo
      geoseg demo another-one --seed 7
    """
    from geoseg.testing.demo import make_demo  # noqa: PLC0415

    made = make_demo(
        folder,
        step=_step,
        seed=seed,
        device=device,
        workers=worker_count(workers),
        overwrite=overwrite,
    )
    for said in (*made.prediction.notes, *made.evaluation.notes):
        note(f"Note: {said}.")
    text = f"\nEverything is in {made.folder}.\n\n{made.text}"
    emit(made.summary(), text, as_json=as_json)
