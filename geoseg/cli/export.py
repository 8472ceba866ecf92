"""``geoseg export``: models and maps for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import common_options, emit, json_option, output_option, overwrite_option

if TYPE_CHECKING:
    from geoseg.assessment.export import Exported
    from geoseg.inference.exporting import Comparison


@click.command("export", no_args_is_help=True)
@click.argument("source", metavar="MODEL|MAP")
@output_option("the export: *.onnx, *.json (a STAC item) or *.md (a card to read)")
@click.option(
    "--input",
    "input",
    type=click.Choice(["normalised", "readings", "uint8"]),
    default="normalised",
    show_default=True,
    help="What the ONNX file is fed: pixels that were normalised outside; readings as they are in"
    " scenes, normalised inside; or bytes / 255, as QGIS's Deepness gives those of 8-bit layers,"
    " for models that learned from other numbers.",
)
@click.option(
    "--range",
    "byte_range",
    metavar="LOW,HIGH",
    help="With --input uint8: readings that the bytes 0 and 255 stand for [default: 0,255 where the"
    " model learned from bytes, else each band's mean ± 3 deviations].",
)
@click.option(
    "--tile",
    type=click.IntRange(1, 65_536),
    metavar="PX",
    help="Side of the tiles that the ONNX file asks for [default: as the model learned].",
)
@click.option(
    "--check",
    type=click.Path(),
    metavar="SCENE",
    help="Compare the ONNX file with the model on tiles of a scene, too, not on random images"
    " alone.",
)
@click.option(
    "--date",
    metavar="DATE",
    help="Date or time of a STAC item: of a map, when its scene was taken (needed); of a model,"
    " when it was made [default: all of time].",
)
@click.option(
    "--derived-from",
    multiple=True,
    metavar="ADDRESS",
    help="What a map was made of, for its STAC item; may be given several times [default: the"
    " inputs that its metadata name].",
)
@overwrite_option
@json_option
@common_options
def command(
    source: str,
    output: str,
    input: str,  # noqa: A002 - the option's name
    byte_range: str | None,
    tile: int | None,
    check: str | None,
    date: str | None,
    derived_from: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Export a model or a map to a form that other programs know.

    How the output ends says what is made. NAME.onnx is the model for onnxruntime, with what QGIS's
    plugin Deepness looks for in it, and probabilities as its answer; geoseg predict runs it, too.
    It is compared with the model before anything is written: where probabilities differ by more
    than rounding leaves, it is refused. It needs pip install 'geoseg[onnx]'.

    NAME.json is a STAC item: of a model by the extension MLM 1.5, of a class raster by projection,
    raster and classification. NAME.md is the model's card, for people.

    \b
    Examples:
      geoseg export model.safetensors --check scene.tif -o model.onnx
      geoseg export model.safetensors --input uint8 --range 0,10000 -o bytes.onnx
      geoseg export map.tif --date 2020-07-14 -o map.json
      geoseg export model.safetensors -o model.md
    """
    from geoseg.assessment.export import (  # noqa: PLC0415 — pixels cost imports
        ExportSettings,
        export,
        parse_range,
    )

    settings = ExportSettings(
        input=input,
        byte_range=parse_range(byte_range),
        tile=tile,
        check=check,
        date=date,
        derived_from=derived_from,
    )
    made = export(source, output, settings=settings, overwrite=overwrite)
    emit(_summary(made), "\n".join(_lines(made)), as_json=as_json)


def _summary(made: Exported) -> dict[str, Any]:
    found: dict[str, Any] = {"output": str(made.output), "form": made.form}
    onnx = made.onnx
    if onnx is None:
        return found
    return found | {
        "input": onnx.input,
        "low": list(onnx.low),
        "high": list(onnx.high),
        "tile": onnx.tile,
        "any_size": onnx.any_size,
        "random": _numbers(onnx.random),
        "real": None if onnx.real is None else _numbers(onnx.real),
        "bytes_agree": onnx.bytes_agree,
        "nodata": onnx.nodata,
        "bytes": onnx.bytes,
        "hash": onnx.hash,
    }


def _numbers(found: Comparison) -> dict[str, Any]:
    return {
        "images": found.images,
        "pixels": found.pixels,
        "maximal_difference": found.difference,
        "other_class": found.other_class,
    }


def _lines(made: Exported) -> list[str]:
    lines = [str(made.output)]
    onnx = made.onnx
    if onnx is None:
        return lines
    sizes = "images of any size" if onnx.any_size else f"images of {onnx.tile} px alone"
    lines.append(f"  fed {onnx.input}, {sizes}, tiles of {onnx.tile} px, {onnx.bytes:,} bytes")
    if onnx.low:
        pairs = (f"{low:g} to {high:g}" for low, high in zip(onnx.low, onnx.high, strict=True))
        lines.append(f"  bytes 0 to 255 stand for {'; '.join(dict.fromkeys(pairs))}")
    lines.append(f"  nodata: {onnx.nodata}")
    lines.append(f"  on random images: {_words(onnx.random)}")
    if onnx.real is not None:
        lines.append(f"  on tiles of the scene: {_words(onnx.real)}")
    if onnx.bytes_agree is not None:
        lines.append(f"  bytes give the class that readings give to {onnx.bytes_agree:.2%}")
    return lines


def _words(found: Comparison) -> str:
    same = "the same class everywhere"
    if found.other_class:
        same = f"another class in {found.other_class:,} px, all but tied"
    return f"{found.pixels:,} px, {same}, probabilities differ by {found.difference:.2g} at most"
