"""Models and maps for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike, text_of

if TYPE_CHECKING:
    from geoseg.assessment.export import Exported


@checked()
def export(
    source: PathLike,
    output: PathLike,
    *,
    input: Literal["normalised", "readings", "uint8"] = "normalised",  # noqa: A002 - the option's
    byte_range: Sequence[float] | None = None,
    tile: int | None = None,
    check: PathLike | None = None,
    date: str | None = None,
    derived_from: Sequence[str] = (),
    overwrite: bool = False,
) -> Exported:
    """Export a model or a map to a form that other programs know.

    Parameters
    ----------
    source
        A model, or a class raster.
    output
        File to write: ``.onnx`` is the model for onnxruntime and QGIS's Deepness, compared with
        the model before it is written; ``.json`` a STAC item of the model or map; ``.md`` the
        model's card as a page.
    input
        What an ONNX file is fed: (reading − mean) / std; readings, NaN where invalid; or bytes /
        255.
    byte_range
        Of "uint8": readings that the bytes 0 and 255 stand for.
    tile
        Side in pixels of the tiles that an ONNX file asks for; that which the model learned from
        by default.
    check
        A scene on whose tiles an ONNX file is compared with the model, besides random images.
    date
        Date or time of a STAC item; a map needs one.
    derived_from
        What a map was made of, for its STAC item; the inputs that its metadata name by default.
    overwrite
        Whether a file that is there may be replaced.

    Returns
    -------
    What was written and, of ONNX, how it compares: `geoseg.assessment.export.Exported`.

    Raises
    ------
    InputError, OptionError, OutputError
        The source cannot be exported so, options do not go together, or the file cannot be
        written.
    """
    from geoseg.assessment.export import ExportSettings, parse_range  # noqa: PLC0415
    from geoseg.assessment.export import export as make  # noqa: PLC0415

    settings = ExportSettings(
        input=input,
        byte_range=parse_range(byte_range),
        tile=tile,
        check=text_of(check),
        date=date,
        derived_from=tuple(derived_from),
    )
    return make(source, output, settings=settings, overwrite=overwrite)
