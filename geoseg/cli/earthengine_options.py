"""Options of ``geoseg composite`` for Earth Engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date
from functools import wraps
from typing import Any

import click

from geoseg.cli.options import spelled
from geoseg.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class EarthEngineOptions:
    """What was said of Earth Engine, as it was typed."""

    earth_engine: tuple[str, ...] = ()
    """Collections."""
    scale: float | None = None
    """Side of a pixel."""
    project: str | None = None
    """Google Cloud project."""
    resume: bool = False
    """Whether to go on from an interrupted run."""
    request_size: int | None = None
    """Rows and columns of a request."""
    labels_collection: str | None = None
    """Where labels come from."""
    labels_band: str | None = None
    """Their band."""
    labels_method: str | None = None
    """What of several images."""
    labels_output: str | None = None
    """Where they go."""
    export: str | None = None
    """Batch export."""
    export_folder: str | None = None
    """Where to, in Drive or a bucket."""
    bucket: str | None = None
    """Of Cloud Storage."""
    description: str | None = None
    """Of the task."""
    no_wait: bool = False
    """Whether not to wait for it."""
    earth_engine_url: str | None = None
    """Another server."""

    @property
    def asked(self) -> bool:
        """Whether Earth Engine is to compute."""
        return bool(self.earth_engine)

    def check_unused(self) -> None:
        """Refuse options that mean nothing without Earth Engine.

        Raises
        ------
        OptionError
            One was given.
        """
        for one in fields(self):
            if one.name != "resume" and getattr(self, one.name) != one.default:
                raise OptionError(
                    f"{spelled(one.name)} goes with --earth-engine, which names the "
                    "collection to take images of"
                )


def _day(_ctx: click.Context, _param: click.Parameter, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is no date; write 2018-04-01") from None


_OPTIONS = (
    click.option(
        "--earth-engine",
        multiple=True,
        metavar="COLLECTION",
        help="In place of SCENE: let Google Earth Engine make the composite of a collection"
        " (LANDSAT/LC08/C02/T1_L2, COPERNICUS/S2_SR_HARMONIZED), and fetch it. May be repeated.",
    ),
    click.option(
        "--start",
        callback=_day,
        metavar="DATE",
        help="First day of which scenes or images are taken (UTC), 2018-04-01 say.",
    ),
    click.option(
        "--end", callback=_day, metavar="DATE", help="The day after the last one that is taken."
    ),
    click.option(
        "--scale",
        type=float,
        metavar="SIZE",
        help="Earth Engine: side of a pixel in units of the coordinate system, by default the UTM"
        " zone of --region [default: that of the collection].",
    ),
    click.option(
        "--project", metavar="NAME", help="Earth Engine: Google Cloud project that is counted."
    ),
    click.option(
        "--resume",
        is_flag=True,
        help="Go on from a run of this output that was stopped; what it had finished is not made,"
        " or fetched, again.",
    ),
    click.option(
        "--request-size",
        type=click.IntRange(16, 32768),
        metavar="PX",
        help="Earth Engine: most rows and columns of a request [default: 1024].",
    ),
    click.option(
        "--labels-collection",
        metavar="ID",
        help="Earth Engine: fetch labels of the same ground too, USDA/NASS/CDL say.",
    ),
    click.option("--labels-band", metavar="NAME", help="Band that holds them."),
    click.option(
        "--labels-method",
        type=click.Choice(["latest", "mode"]),
        help="What of several images of labels: the latest, or the commonest label"
        " [default: latest].",
    ),
    click.option(
        "--labels-output", type=click.Path(), metavar="PATH", help="Where to write them (.tif)."
    ),
    click.option(
        "--export",
        type=click.Choice(["drive", "gcs"]),
        help="Earth Engine: write to Google Drive or Cloud Storage by a batch task, for what is too"
        " large to fetch; without -o.",
    ),
    click.option("--export-folder", metavar="NAME", help="Folder in Drive, or path in the bucket."),
    click.option("--bucket", metavar="NAME", help="Bucket of --export gcs."),
    click.option(
        "--description", metavar="NAME", help="Name of the task and its files [default: geoseg]."
    ),
    click.option("--no-wait", is_flag=True, help="Do not wait until an export is done."),
    click.option("--earth-engine-url", metavar="URL", hidden=True),
)


def earthengine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def earthengine_as_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give all of them but ``--start`` and ``--end`` as one value, `earthengine`.

    Below `common_options`, which looks at some of them: where outputs go, and whether to go on.
    """

    @wraps(function)
    def packed(**given: Any) -> Any:
        names = [one.name for one in fields(EarthEngineOptions)]
        options = EarthEngineOptions(**{name: given.pop(name) for name in names})
        return function(earthengine=options, **given)

    return packed
