"""``geoseg recode``: other people's class rasters as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    class_lines,
    common_options,
    emit,
    json_option,
    output_option,
    overwrite_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import progress

if TYPE_CHECKING:
    from geoseg.raster.labels.recode import Recoded


@click.command("recode", no_args_is_help=True)
@click.argument("rasters", nargs=-1, required=True, metavar="RASTER…")
@output_option("the class raster (*.tif), or a folder with one for each raster")
@click.option(
    "--codes",
    metavar="CODES",
    help="What becomes what: '1=1,5=2,*=0' by value, '#00ffff=1' by colour, 'corn=1' by the"
    " raster's own names. * is all that is not listed, nodata on the right is no class.",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    help="Names and colours of the classes made: '1=urban:#00ffff,2=water:#0000ff', or a CSV, JSON"
    " or QGIS style file. Where --codes lists no class, its colours (of rasters of colours) or"
    " values say what becomes what [default: names and colours found].",
)
@click.option(
    "--threshold",
    type=click.IntRange(1, 255),
    metavar="LEVEL",
    help="Take each channel of a colour as off below LEVEL and on from it (128), where colours are"
    " not exact.",
)
@workers_option
@overwrite_option
@json_option
@common_options
def command(
    rasters: tuple[str, ...],
    output: str,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn values or colours of class rasters into class ids.

    RASTER is a file, a folder or a pattern in quotes: one band of values, or colours (three bands,
    a colour table, or grey). With -o NAME.tif one raster is made, else a folder with a NAME.tif for
    each. The grid stays as it is. Nodata stays without a class, unless --codes lists its value.

    What no code names is an error that says how many pixels hold it. In a folder, rasters that
    cannot be read, or hold neither values nor colours, are left out and listed.

    \b
    Examples:
      geoseg recode cdl.tif --codes '1=1,5=2,141=3,176=4,*=0' \\
        --classes '0=other,1=corn,2=soybean,3=forest,4=grassland' -o labels.tif
      geoseg recode 'train/*_mask.png' --threshold 128 --codes '#000000=nodata' \\
        --classes '1=urban:#00ffff,2=agriculture:#ffff00,3=rangeland:#ff00ff,4=forest:#00ff00,
        5=water:#0000ff,6=barren:#ffffff' -o masks
      geoseg recode labels.tif --codes '3=1,5=2,*=nodata' -o two.tif
    """
    from geoseg.raster.labels.recode import (  # noqa: PLC0415 — pixels cost imports
        RecodeSettings,
        plan_recode,
        recode,
    )

    plan = plan_recode(rasters, output, settings=RecodeSettings(**options), overwrite=overwrite)
    with progress(plan.pixels, "recoding") as bar:
        found = recode(plan, workers=worker_count(workers), progress=bar.update)
    emit(_summary(found), _text(found), as_json=as_json)


def _summary(found: Recoded) -> dict[str, Any]:
    return {
        "output": str(found.output),
        "rasters": found.files,
        "classes": [
            {"id": c.id, "name": c.name, "pixels": found.pixels[c.name]}
            for c in found.legend.classes
        ],
        "unlabelled": found.unlabelled,
        "problems": [{"path": p.path, "reason": p.reason} for p in found.problems],
        "seconds": round(found.seconds, 3),
    }


def _text(found: Recoded) -> str:
    many = f", {found.files:,} rasters" if found.output.is_dir() else ""
    everything = {**found.pixels, "(no class)": found.unlabelled}
    lines = [f"{found.output}{many}", *class_lines(everything, None)]
    lines += [f"left out: {p.reason}" for p in found.problems]
    return "\n".join(lines)
