"""Labels of others: made ours, and looked at before they are worked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geoseg.api.arguments import checked
from geoseg.api.common import Listed, PathLike, Progress, as_text, texts, threads

if TYPE_CHECKING:
    from geoseg.raster.labels.checking import Checked
    from geoseg.raster.labels.recode import Recoded


@checked()
def recode(
    rasters: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    codes: str | Mapping[Any, int | str | None] | None = None,
    classes: Listed | None = None,
    threshold: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Recoded:
    """Turn values or colours of class rasters into class ids.

    Parameters
    ----------
    rasters
        Files, folders or patterns: one band of values, or colours.
    output
        Class raster, ``NAME.tif``: uint8, 255 where there is no class, on the raster's own grid; or
        a folder with one for each raster.
    codes
        What becomes what: "1=1,5=2,*=0", "#00ffff=1,#000000=nodata", or by the raster's names; or a
        dictionary, ``{1: 1, 5: 2, "*": 0}``, ``{(0, 255, 255): 1, (0, 0, 0): None}``.
    classes
        Names and colours of the classes made, as text, list, dictionary or file. Where `codes`
        lists no class, its colours or values say what becomes what.
    threshold
        Each channel of a colour is off below this and on from it; by default colours are exact.
    workers, overwrite, progress
        Threads; whether what is there may be replaced; told of pixels done.

    Raises
    ------
    InputError, OptionError, OutputError
        Codes make no sense or do not list all that is there, no raster can be read, or the output
        cannot be written.
    """
    from geoseg.raster.labels.recode import RecodeSettings, recode_files  # noqa: PLC0415

    return recode_files(
        texts(rasters),
        output,
        settings=RecodeSettings(
            codes=as_text(codes), classes=as_text(classes), threshold=threshold
        ),
        overwrite=overwrite,
        workers=threads(workers),
        progress=progress,
    )


@checked()
def check(
    images: PathLike | Sequence[PathLike],
    *,
    labels: PathLike | Sequence[PathLike] = (),
    classes: Listed | None = None,
    output: PathLike | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Look for what is wrong with images and labels; all of them are read.

    Parameters
    ----------
    images
        Files, folders or patterns.
    labels
        Their class rasters: of the same names for photographs, else in their order, or one for all.
    classes
        Classes that labels may have; by default those that the first label names, else any value.
    output
        CSV file with the problems.
    workers, overwrite, progress
        As for `recode`.

    Returns
    -------
    What was found: problems are a result and no failure.

    Raises
    ------
    InputError, OutputError
        Nothing is there to look at, it cannot be known which label is whose, or the file cannot be
        written.
    """
    from geoseg.raster.labels.checking import check as look  # noqa: PLC0415 — pixels cost imports
    from geoseg.raster.labels.checking import plan_check  # noqa: PLC0415

    plan = plan_check(
        texts(images),
        labels=texts(labels),
        classes=as_text(classes),
        output=output,
        overwrite=overwrite,
    )
    return look(plan, workers=threads(workers), progress=progress)
