"""``geoseg info``: what geoseg sees."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.options import common_options, emit, json_option, shown
from geoseg.errors import InputError


@click.command("info", no_args_is_help=True)
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@json_option
@common_options
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Show what geoseg sees of scenes, products, class maps, data sets and models.

    Of a scene: size, bands and their names, grid, layout, nodata, statistics (of a scene over a
    million pixels from its overviews, or from windows spread over it). Of a Landsat or Sentinel-2
    product, by its folder, its metadata (MTL) or its STAC item: also its sensor and day, and the
    bands as geoseg composite calls them. Of a class map: its classes and their shares. Of a folder
    that geoseg tile made: patches, splits, classes. Of a model: its card. Of any file that geoseg
    wrote, polygons, pages, pictures and tables too: what made it. Outputs hold no date, so that the
    same run gives the same bytes; the date shown is the file's own.

    A folder or a quoted pattern may hold one scene in several files, or several scenes.

    \b
    Examples:
      geoseg info scene.tif
      geoseg info patches model.safetensors --json
    """
    from geoseg.assessment.describe import describe  # noqa: PLC0415
    from geoseg.assessment.describe_text import text  # noqa: PLC0415

    found: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []

    def fail(source: str, error: InputError) -> None:
        message = " ".join(str(error).split())
        problems.append({"file": source, "error": message})
        click.echo(f"Error: {message}", err=True)

    for source in files:
        try:
            for item in describe(source):
                if isinstance(item, InputError):
                    fail(source, item)
                    continue
                if not as_json:
                    click.echo(("\n" if found else "") + shown(text(item)))
                found.append(item)
        except InputError as error:
            fail(source, error)
    if as_json:
        emit({"found": found, "problems": problems}, "", as_json=True)
    return 1 if problems else 0
