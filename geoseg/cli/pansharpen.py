"""``geoseg pansharpen``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geoseg.cli.options import (
    bands_option,
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

if TYPE_CHECKING:
    from geoseg.compositing.pansharpen import PansharpenResult

_LITTLE = 0.5
"""Share of the panchromatic band's variance under which a user should hear of it."""


@click.command(no_args_is_help=True)
@click.argument("multispectral", metavar="MS")
@click.argument("panchromatic", metavar="[PAN]", required=False)
@output_option("the sharpened bands (.tif)")
@click.option(
    "--method",
    type=click.Choice(["gsa"]),
    default="gsa",
    show_default=True,
    help="gsa: adaptive Gram–Schmidt (Aiazzi, Baronti and Selva 2007).",
)
@click.option(
    "--resampling",
    type=click.Choice(["cubic", "bilinear"]),
    default="cubic",
    show_default=True,
    help="How the bands come to the panchromatic band's pixels.",
)
@click.option(
    "--sensor",
    metavar="NAME",
    help="What took a raster, beijing-2 say: names its bands, and tells the fill of both.",
)
@bands_option
@click.option(
    "--pan-band",
    metavar="BAND",
    help="The panchromatic band of PAN by name or number, where it has several.",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]),
    help="Type of the pixels [default: that of MS].",
)
@workers_option
@overwrite_option
@json_option
@common_options
def command(
    multispectral: str,
    panchromatic: str | None,
    output: str,
    method: str,
    resampling: str,
    sensor: str | None,
    bands: tuple[str, ...] | None,
    band_names: tuple[str, ...] | None,
    pan_band: str | None,
    dtype: str | None,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Sharpen a multispectral scene by its panchromatic band.

    MS is a raster of several bands and PAN one of a single finer band in the same coordinate
    system; their pixels may begin anywhere. Of a Landsat 7, 8 or 9 product of level 1 (its folder,
    MTL file or STAC item) the panchromatic band is in the product, and PAN is left out; its bands
    up to 1 µm are sharpened, or those of --bands. The output has the panchromatic pixels, and the
    bands' names, type, scale and nodata.

    \b
    Examples:
      geoseg pansharpen ms.tif pan.tif --sensor beijing-2 -o sharp.tif
      geoseg pansharpen LC08_L1TP_190026_20180401_20200831_02_T1 --bands red,green,blue -o rgb.tif
    """
    from geoseg.compositing.pair import open_pair  # noqa: PLC0415 — pixels cost imports
    from geoseg.compositing.pansharpen import (  # noqa: PLC0415
        PansharpenSettings,
        pansharpen,
        work,
    )
    from geoseg.raster.outputs.checks import check_output  # noqa: PLC0415

    check_output(output, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    settings = PansharpenSettings(
        method=method,  # type: ignore[arg-type]
        resampling=resampling,  # type: ignore[arg-type]
        dtype=dtype,
    )
    pair = open_pair(
        multispectral,
        panchromatic,
        sensor_name=sensor,
        band_names=band_names,
        bands=bands,
        pan_band=pan_band,
    )
    with progress(work(pair), "pansharpen") as bar:
        result = pansharpen(
            pair,
            output,
            settings=settings,
            workers=worker_count(workers),
            overwrite=overwrite,
            progress=bar.update,
        )
    for said in _notes(result):
        note(f"Note: {said}.")
    emit(_summary(result), _text(result), as_json=as_json)


def _notes(result: PansharpenResult) -> list[str]:
    found: list[str] = []
    if result.fusion.explained < _LITTLE:
        found.append(
            f"the bands explain {100 * result.fusion.explained:.0f} % of the panchromatic band: are"
            " they of one date, and do they lie on each other?"
        )
    if result.clipped:
        values = f"{result.clipped} value{'' if result.clipped == 1 else 's'}"
        found.append(
            f"{values} did not fit the type of the pixels, or would have been taken for nodata, and"
            " became the nearest that can be; --dtype float32 holds all"
        )
    return found


def _summary(result: PansharpenResult) -> dict[str, object]:
    fusion = result.fusion
    return {
        "output": str(result.output),
        "grid": result.grid.describe(),
        "bands": list(result.bands),
        "weights": dict(zip(result.bands, fusion.weights, strict=True)),
        "constant": fusion.constant,
        "gains": dict(zip(result.bands, fusion.gains, strict=True)),
        "explained": fusion.explained,
        "pixels_compared": result.compared,
        "pixels": result.grid.height * result.grid.width,
        "pixels_with_reading": result.pixels,
        "clipped": result.clipped,
        "seconds": round(result.seconds, 3),
        "megapixels_per_second": round(
            result.grid.height * result.grid.width / 1e6 / result.seconds, 3
        ),
    }


def _text(result: PansharpenResult) -> str:
    fusion = result.fusion
    width = max(len(name) for name in result.bands)
    lines = [
        str(result.output),
        f"  {result.grid.describe()}",
        f"  {100 * fusion.explained:.1f} % of the panchromatic band is explained by the bands",
        f"  {'':{width}}  weight    gain",
    ]
    lines += [
        f"  {name:{width}}  {weight:6.3f}  {gain:6.3f}"
        for name, weight, gain in zip(result.bands, fusion.weights, fusion.gains, strict=True)
    ]
    return "\n".join(lines)
