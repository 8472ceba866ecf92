"""``geoseg vectorise``: a class raster as polygons."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    common_options,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import progress
from geoseg.cli.stopped import stopped_polygons

if TYPE_CHECKING:
    from geoseg.assessment.vectorise import Vectorised

_SHOWN = 20
"""Zones in the summary; all are in the file and in JSON."""


def _classes(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int | str, ...]:
    """Split at commas; what is a whole number becomes one."""
    items = tuple(part.strip() for part in value.split(",")) if value is not None else ()
    if not all(items):
        raise click.BadParameter(f"'{value}' holds an empty name")
    return tuple(int(item) if item.isascii() and item.isdigit() else item for item in items)


@click.command("vectorise", no_args_is_help=True)
@click.argument("classes", metavar="CLASSES")
@click.option(
    "--classes",
    "wanted",
    callback=_classes,
    metavar="CLASS,…",
    help="Classes to make polygons of, by id or name [default: all].",
)
@click.option(
    "--min-area",
    metavar="AREA",
    help="Leave out polygons smaller than this (100px, 0.5ha, 450m2). Their ground stays empty; to"
    " fill it, use --min-area of geoseg predict.",
)
@click.option(
    "--simplify",
    metavar="LENGTH",
    help="Make borders simpler, moving them by no more than this (2px, 15m; a plain number is in"
    " the raster's units). Neighbours keep sharing them: no gaps, no overlaps.",
)
@click.option(
    "--dissolve",
    is_flag=True,
    help="One feature for each class, of all its polygons; with --zones, for each class and zone,"
    " cut at their borders. Memory grows with the borders of a class.",
)
@click.option(
    "--zones",
    metavar="POLYGONS",
    help="Measure the ground of every class inside each of these polygons, exactly, whatever is"
    " left out or made simpler: a layer zones, or a file NAME_zones beside.",
)
@click.option("--zone-field", metavar="NAME", help="Attribute that names the zones.")
@output_option("the polygons: *.gpkg, *.geojson (in WGS 84), or *.parquet (needs pyarrow)")
@workers_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from what a run of the same raster and options left when it was stopped.",
)
@overwrite_option
@json_option
@common_options
def command(
    classes: str,
    wanted: tuple[int | str, ...],
    min_area: str | None,
    simplify: str | None,
    dissolve: bool,
    zones: str | None,
    zone_field: str | None,
    output: str,
    workers: int | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Turn a class raster into polygons.

    Each connected patch of a class becomes one polygon with its class, name, colour, pixels and
    hectares (those of its pixels, on the ellipsoid). Pixels that touch at a corner alone are not
    connected. Nodata makes no polygon. QGIS draws the file in the colours of the classes, and
    geoseg rasterise makes the same classes of it.

    A run that is stopped, even killed, keeps what it finished beside the output, in a hidden
    folder; the same command with --resume goes on from there to the same file.

    \b
    Examples:
      geoseg vectorise map.tif -o map.gpkg
      geoseg vectorise map.tif --classes forest,water --min-area 0.5ha --simplify 2px -o map.gpkg
      geoseg vectorise map.tif --zones districts.gpkg --zone-field name --dissolve -o areas.gpkg
      geoseg vectorise map.tif --simplify 2px --resume -o simple.gpkg
    """
    from geoseg.assessment.measure import Measure  # noqa: PLC0415
    from geoseg.assessment.vectorise import VectoriseSettings, vectorise  # noqa: PLC0415

    settings = VectoriseSettings(
        classes=wanted,
        min_area=None if min_area is None else Measure.area(min_area),
        simplify=None if simplify is None else Measure.length(simplify),
        dissolve=dissolve,
        zones=zones,
        zone_field=zone_field,
    )
    with stopped_polygons(output), progress(None, "vectorising") as bar:
        found = vectorise(
            classes,
            output,
            settings=settings,
            workers=worker_count(workers),
            keep=True,
            resume=resume,
            overwrite=overwrite,
            progress=bar.update,
        )
    for said in found.notes:
        note(said)
    emit(_summary(found), _text(found, settings), as_json=as_json)


def _summary(found: Vectorised) -> dict[str, Any]:
    left = found.left_out
    return {
        "output": str(found.files[0]),
        "files": [str(path) for path in found.files],
        "features": found.features,
        "polygons": sum(amount.polygons for amount in found.classes.values()),
        "classes": [
            {
                "id": c.id,
                "name": c.name,
                "polygons": amount.polygons,
                "pixels": amount.pixels,
                "hectares": amount.hectares,
            }
            for c, amount in found.classes.items()
        ],
        "left_out": {
            "polygons": left.polygons,
            "pixels": left.pixels,
            "hectares": left.hectares,
        },
        "zones": [
            {
                "name": zone.name,
                "classes": dict(zone.amounts),
                "nodata_share": None if isnan(zone.nodata_share) else zone.nodata_share,
            }
            for zone in found.zones
        ],
        "taken_over": found.taken_over,
        "whole": found.whole,
        "seconds": found.seconds,
    }


def _text(found: Vectorised, settings: Any) -> str:
    if found.whole:
        return f"{found.files[0]} is there already, made of the same; nothing was done"
    count = sum(amount.polygons for amount in found.classes.values())
    of = f"{found.features:,} features of " if settings.dissolve else ""
    lines = [f"{found.files[0]}: {of}{count:,} polygons in {found.seconds:.1f} s"]
    width = max(len(c.name) for c in found.classes)
    for c, amount in found.classes.items():
        area = f"{amount.pixels:14,} px"
        if amount.hectares is not None:
            area = f"{amount.hectares:14,.1f} ha"
        lines.append(f"  {c.name:<{width}}  {amount.polygons:11,}  {area}")
    if found.taken_over:
        lines.append(f"{found.taken_over:,} rows were read by an earlier run")
    left = found.left_out
    if left.polygons:
        area = f"{left.pixels:,} px"
        if left.hectares is not None:
            area = f"{left.hectares:,.1f} ha"
        lines.append(f"left out: {left.polygons:,} smaller than {settings.min_area}, {area}")
    return "\n".join(lines + _zones(found))


def _zones(found: Vectorised) -> list[str]:
    """Lines of what the first zones hold, most of it first."""
    if not found.zones:
        return []
    unit = "px" if found.left_out.hectares is None else "ha"
    lines = [f"zones: {len(found.zones):,}"]
    for zone in found.zones[:_SHOWN]:
        most = sorted(zone.amounts.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{name} {amount:,.1f} {unit}" for name, amount in most[:6])
        lines.append(f"  {zone.name}: {shown or 'nothing'}{', …' if len(most) > 6 else ''}")
    if len(found.zones) > _SHOWN:
        lines.append(f"  … and {len(found.zones) - _SHOWN:,} more, in the file")
    return lines
