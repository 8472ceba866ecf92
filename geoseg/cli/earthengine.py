"""``geoseg composite --earth-engine``: options to settings, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from geoseg.cli.composite_text import notes
from geoseg.cli.earthengine_options import EarthEngineOptions
from geoseg.cli.earthengine_text import above, export_summary, export_text, summary, text
from geoseg.cli.options import detail, emit, note, remark, spelled, verbosity
from geoseg.cli.progress import progress
from geoseg.cli.stopped import way_on
from geoseg.errors import EarthEngineError, GeosegError, OptionError

if TYPE_CHECKING:
    from geoseg.compositing.earthengine.client import Asker
    from geoseg.compositing.earthengine.settings import EarthEngineResult
    from geoseg.compositing.earthengine.wanted import EarthEngineJob

_OF_SCENES = ("quality", "sensor", "band_names", "extent", "resampling", "cluster")
"""Options that mean something for scenes alone."""
_DEFAULTS = {"resampling": "nearest"}
"""What such an option is where it was not given, if it is something."""


def run(
    options: EarthEngineOptions, *, scenes: tuple[str, ...], as_json: bool, **given: Any
) -> None:
    """Make a composite with Earth Engine.

    Parameters
    ----------
    options
        What was said of Earth Engine.
    scenes
        What was said to be composited here.
    given
        The other options of ``geoseg composite``.
    """
    from geoseg.compositing.earthengine.wanted import EarthEngineWanted  # noqa: PLC0415

    of_scenes = {name: given.pop(name) for name in _OF_SCENES}
    output, resolution = given.pop("output"), given.pop("resolution")
    _check(options, scenes, resolution, of_scenes)
    wanted = EarthEngineWanted(
        collections=options.earth_engine,
        output=None if options.export is not None else output,
        scale=options.scale if options.scale is not None else resolution,
        labels_collection=options.labels_collection,
        labels_band=options.labels_band,
        labels_method=options.labels_method,  # type: ignore[arg-type]
        labels_output=options.labels_output,
        project=options.project,
        url=options.earth_engine_url,
        request_size=options.request_size,
        resume=options.resume,
        spelled=spelled,
        **given,
    )
    _check_export(options, output)
    job = wanted.job()
    if wanted.like is None and wanted.crs is None:
        remark(f"the composite lies in the UTM zone of the region: {job.place.grid.describe()}")
    if options.export is not None:
        _export(options, job, as_json=as_json)
        return
    result = _download(job, output)
    for said in notes(result.composite, 0.0):
        remark(said)
    detail(f"{result.requests} requests.")
    emit(summary(result), text(result), as_json=as_json)


def _download(job: EarthEngineJob, target: str) -> EarthEngineResult:
    """Fetch it, and say what is kept where that is stopped."""
    from geoseg.compositing.earthengine.store import kept_windows  # noqa: PLC0415

    before = kept_windows(target)
    try:
        with progress(job.work, "composite") as bar:
            return job.download(progress=bar.update, asker=_asker())
    except KeyboardInterrupt:
        kept = kept_windows(target)
        _interrupted(_kept(target) if kept else "nothing was kept")
    except (GeosegError, SystemExit) as error:
        kept = kept_windows(target)
        # What refuses to go on has its own words for what is there.
        if kept > before or (kept and isinstance(error, EarthEngineError)):
            remark(_kept(target))
        raise


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
    resolution: float | None,
    of_scenes: Mapping[str, object],
) -> None:
    """Refuse what does not go with Earth Engine."""
    if scenes:
        raise OptionError(
            f"{scenes[0]}: scenes and --earth-engine do not go together; composite them apart"
        )
    for name, value in of_scenes.items():
        if value != _DEFAULTS.get(name):
            raise OptionError(
                f"{spelled(name)} goes with scenes, not with --earth-engine; leave it out"
            )
    if options.scale is not None and resolution is not None:
        raise OptionError("--scale and --resolution say the same; give one of them")


def _check_export(options: EarthEngineOptions, output: str | None) -> None:
    """Refuse what does not go with an export, or without one."""
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


def _refuse(options: EarthEngineOptions, names: Sequence[str], why: str) -> None:
    for name in names:
        if getattr(options, name) not in (None, False):
            raise OptionError(f"{spelled(name)} {why}")


def _export(options: EarthEngineOptions, job: EarthEngineJob, *, as_json: bool) -> None:
    from geoseg.compositing.earthengine.export import Destination, export  # noqa: PLC0415

    destination = Destination(
        kind=options.export,  # type: ignore[arg-type]
        description=options.description or "geoseg",
        folder=options.export_folder,
        bucket=options.bucket,
    )
    try:
        result = export(
            job.settings,
            job.place,
            destination,
            wait=not options.no_wait,
            told=note,
            asker=_asker(),
        )
    except KeyboardInterrupt:
        _interrupted("tasks that were started go on without geoseg")
    if job.place.area is not None:
        remark("the export covers the whole rectangle around the region")
    emit(export_summary(result), export_text(result), as_json=as_json)
