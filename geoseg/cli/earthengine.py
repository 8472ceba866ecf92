"""``geoseg composite --earth-engine``: options to settings, and what comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, NoReturn

import click

from geoseg.cli.composite_text import notes
from geoseg.cli.earthengine_options import EarthEngineOptions
from geoseg.cli.earthengine_text import above, export_summary, export_text, summary, text
from geoseg.cli.options import detail, emit, note, verbosity
from geoseg.cli.progress import progress
from geoseg.cli.stopped import way_on
from geoseg.errors import EarthEngineError, GeosegError, OptionError

if TYPE_CHECKING:
    from geoseg.compositing.earthengine.client import Asker
    from geoseg.compositing.earthengine.settings import EarthEngineSettings, Place

_WORKERS = 8
"""Requests at once; most of the time is the server's."""


def run(
    options: EarthEngineOptions,
    *,
    scenes: tuple[str, ...],
    output: str | None,
    start: date | None,
    end: date | None,
    method: str,
    percentile: float | None,
    keep: str,
    dilate: int,
    confidence: str,
    bands: tuple[str, ...] | None,
    like: str | None,
    crs: str | None,
    resolution: float | None,
    region: str | None,
    counts: str | None,
    dtype: str,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
    local: dict[str, object],
) -> None:
    """Make a composite with Earth Engine.

    Parameters
    ----------
    options
        What was said of Earth Engine.
    local
        Options that mean something for scenes alone, by name; None or empty where not given.
    """
    from geoseg.compositing.earthengine.collections import collection  # noqa: PLC0415
    from geoseg.compositing.earthengine.plan import check_size  # noqa: PLC0415
    from geoseg.compositing.earthengine.settings import (  # noqa: PLC0415
        EarthEngineSettings,
        Labels,
        Period,
        Place,
    )
    from geoseg.compositing.masks import ClearRule  # noqa: PLC0415
    from geoseg.compositing.reduce import Reduction  # noqa: PLC0415

    _check(options, scenes, output, resolution, local)
    labels = None
    if options.labels_collection is not None:
        labels = Labels(
            collection=options.labels_collection,
            band=options.labels_band,
            choice=options.labels_method or "latest",  # type: ignore[arg-type]
        )
    settings = EarthEngineSettings(
        collections=tuple(collection(name) for name in options.earth_engine),
        period=Period.of(start, end),
        bands=bands,
        reduction=Reduction(method=method, percentile=percentile),  # type: ignore[arg-type]
        rule=ClearRule.from_text(keep, dilate=dilate, confidence=confidence),
        dtype=dtype,  # type: ignore[arg-type]
        labels=labels,
        project=options.project,
        url=options.earth_engine_url,
        workers=_WORKERS if workers is None else workers,
        side=options.request_size,
    )
    scale = options.scale if options.scale is not None else resolution
    place = Place.choose(settings.chosen[0], region=region, like=like, crs=crs, scale=scale)
    if options.export is None:
        check_size(place.grid, settings.window_side)
    if like is None and crs is None:
        note(f"Note: the composite lies in the UTM zone of the region: {place.grid.describe()}.")
    if options.export is not None:
        _export(options, settings, place, as_json=as_json)
        return
    from geoseg.compositing.earthengine.download import download  # noqa: PLC0415 — imports ee
    from geoseg.compositing.earthengine.store import kept_windows  # noqa: PLC0415

    target = str(output)
    layers = 1 if labels is None else 2
    before = kept_windows(target)
    try:
        with progress(layers * place.grid.window.area, "composite") as bar:
            result = download(
                settings,
                place,
                target,
                counts=counts,
                labels_output=options.labels_output,
                resume=options.resume,
                overwrite=overwrite,
                progress=bar.update,
                asker=_asker(),
            )
    except KeyboardInterrupt:
        kept = kept_windows(target)
        _interrupted(_kept(target) if kept else "nothing was kept")
    except (GeosegError, SystemExit) as error:
        kept = kept_windows(target)
        # What refuses to go on has its own words for what is there.
        if kept > before or (kept and isinstance(error, EarthEngineError)):
            note(f"Note: {_kept(target)}.")
        raise
    for said in notes(result.composite, 0.0):
        note(f"Note: {said}.")
    detail(f"{result.requests} requests.")
    emit(summary(result), text(result), as_json=as_json)


def _asker() -> Asker:
    """Return who asks, and says on standard error why it takes so long."""
    from geoseg.compositing.earthengine.client import Asker  # noqa: PLC0415 — imports ee

    # Asked here: threads do not know whether the user wants quiet.
    return Asker(told=(lambda said: above(f"Note: {said}.")) if verbosity() >= 0 else None)


def _kept(target: str) -> str:
    from geoseg.compositing.earthengine.store import folder_of  # noqa: PLC0415

    return f"{folder_of(target)} keeps what was fetched{way_on('; --resume goes on from there')}"


def _interrupted(what_is_left: str) -> NoReturn:
    """Say what is left in one line, and leave with the status of who is interrupted."""
    click.echo(f"\nInterrupted; {what_is_left}.", err=True)
    raise click.exceptions.Exit(130)


def _check(
    options: EarthEngineOptions,
    scenes: tuple[str, ...],
    output: str | None,
    resolution: float | None,
    local: dict[str, object],
) -> None:
    """Refuse what does not go with Earth Engine."""
    if scenes:
        raise OptionError(
            f"{scenes[0]}: scenes and --earth-engine do not go together; composite them apart"
        )
    for name, value in local.items():
        if value is not None:
            raise OptionError(f"--{name} goes with scenes, not with --earth-engine; leave it out")
    if options.scale is not None and resolution is not None:
        raise OptionError("--scale and --resolution say the same; give one of them")
    if options.labels_collection is None:
        _refuse(
            options,
            ("labels_band", "labels_method", "labels_output"),
            "goes with --labels-collection, which names the labels",
        )
    if options.export is not None:
        if output is not None:
            raise OptionError("--export writes to Google Drive or Cloud Storage; leave out -o")
        _refuse(
            options,
            ("labels_output", "resume", "request_size"),
            "is for what is fetched, not for --export; leave it out",
        )
        return
    _refuse(
        options,
        ("export_folder", "bucket", "description", "no_wait"),
        "goes with --export, which says where to",
    )
    if output is None:
        raise OptionError("say where to write the composite (-o), or --export it")
    if options.labels_collection is not None and options.labels_output is None:
        raise OptionError("--labels-collection needs --labels-output, where to write the labels")


def _refuse(options: EarthEngineOptions, names: Sequence[str], why: str) -> None:
    for name in names:
        if getattr(options, name) not in (None, False):
            raise OptionError(f"--{name.replace('_', '-')} {why}")


def _export(
    options: EarthEngineOptions, settings: EarthEngineSettings, place: Place, *, as_json: bool
) -> None:
    from geoseg.compositing.earthengine.export import Destination, export  # noqa: PLC0415

    destination = Destination(
        kind=options.export,  # type: ignore[arg-type]
        description=options.description or "geoseg",
        folder=options.export_folder,
        bucket=options.bucket,
    )
    try:
        result = export(
            settings,
            place,
            destination,
            wait=not options.no_wait,
            told=note,
            asker=_asker(),
        )
    except KeyboardInterrupt:
        _interrupted("tasks that were started go on without geoseg")
    if place.area is not None:
        note("Note: the export covers the whole rectangle around the region.")
    emit(export_summary(result), export_text(result), as_json=as_json)
