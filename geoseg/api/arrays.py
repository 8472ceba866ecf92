"""Maps of arrays, for who has no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike, models_of
from geoseg.api.maps import predict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.models.bundle import ModelBundle
    from geoseg.raster.legend import Legend

_TYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayMap:
    """A map of an array."""

    classes: NDArray[np.uint8]
    """(rows, cols) class ids, 255 where a pixel is invalid."""
    probabilities: NDArray[np.float32]
    """(classes, rows, cols) in the order of `legend`, NaN where a pixel is invalid."""
    legend: Legend
    """Ids, names and colours of the classes."""


@checked()
def predict_array(
    model: ModelBundle | PathLike | Sequence[ModelBundle | PathLike],
    array: NDArray[Any],
    *,
    nodata: float | None = None,
    tile: int = 288,
    stride: int | None = None,
    blend: Literal["mean", "hann", "gaussian"] = "hann",
    tta: bool = False,
    min_area: int = 0,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    device: str = "auto",
    workers: int | None = None,
) -> ArrayMap:
    """Predict an array as `predict` predicts a scene that holds it, and return the map.

    The array goes through a temporary raster, so that tiles, nodata and blending are those of
    scenes: two copies of its size are on the disk for a while. For what does not fit into memory
    use `predict`.

    Parameters
    ----------
    model
        A model file or loaded model, or several whose probabilities are averaged.
    array
        (bands, rows, cols) readings as they are in scenes, not normalised, bands in the order of
        the model's card; whole numbers of 8, 16 or 32 bits, float32 or float64. What is masked in
        an array of numpy.ma has no reading.
    nodata
        Value that means "no reading". NaN and infinities always do. A pixel is invalid where any
        band is.
    tile, stride, blend, tta, precision, device, workers
        As for `predict`.
    min_area
        Components of fewer pixels are given to their largest neighbour.

    Raises
    ------
    InputError
        The array has another number of bands than the model, or no valid pixel.
    ModelError
        A model cannot be loaded, or gives no class to pixels.
    OptionError
        The array is not of three dimensions or not of a type above, or no such number is
        `nodata`; settings make no sense.
    """
    from geoseg.models.opening import open_model  # noqa: PLC0415 — when it is needed
    from geoseg.raster.plain import PlainWriter, plain_grid  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    pixels, nodata = _readings(array, nodata)
    bundles = [open_model(one) if isinstance(one, str) else one for one in models_of(model)]
    for bundle in bundles:
        _check_bands(pixels.shape, bundle.card.bands)
    grid = plain_grid(*pixels.shape[1:], crs=None)
    with TemporaryDirectory(prefix="geoseg-") as name:
        folder = Path(name)
        with PlainWriter(
            folder / "array.tif",
            grid,
            band_names=[""] * len(pixels),
            dtype=pixels.dtype.name,
            nodata=nodata,
        ) as file:
            file.write(grid.window, pixels)
        predict(
            folder / "array.tif",
            folder / "map.tif",
            model=bundles,
            tile=tile,
            stride=stride,
            blend=blend,
            tta=tta,
            min_area=min_area,
            probabilities=folder / "probabilities.tif",
            precision=precision,
            device=device,
            workers=workers,
        )
        with (
            Scene.open(folder / "map.tif") as classes,
            Scene.open(folder / "probabilities.tif") as shares,
        ):
            return ArrayMap(
                classes=classes.read(grid.window).data[0],
                probabilities=shares.read(grid.window).data,
                legend=bundles[0].card.legend,
            )


def _readings(array: NDArray[Any], nodata: float | None) -> tuple[NDArray[Any], float | None]:
    """Return an array as a file can hold it, what is masked as NaN, and what "no reading" is."""
    import numpy as np  # noqa: PLC0415 — as all of these, when it is needed

    from geoseg.errors import OptionError  # noqa: PLC0415

    try:
        pixels = np.asarray(array)
    except ValueError as error:
        raise OptionError(f"what is given is no array: {error}") from error
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise OptionError(f"an array of shape {pixels.shape} is no scene; give (bands, rows, cols)")
    if pixels.dtype.name not in _TYPES:
        raise OptionError(
            f"an array of {pixels.dtype} cannot be read as a scene; make it one of"
            f" {', '.join(_TYPES)}"
        )
    if nodata is not None and pixels.dtype.kind != "f":
        limits = np.iinfo(pixels.dtype)
        if np.isnan(nodata):
            nodata = None  # whole numbers have none
        elif not limits.min <= nodata <= limits.max or nodata != int(nodata):
            raise OptionError(f"nodata {nodata:g} is no {pixels.dtype}, as the readings are")
    if np.ma.is_masked(array):  # NaN says it beside any `nodata`, in numbers that hold all readings
        exact = np.float64 if pixels.dtype.itemsize > 2 else np.float32
        pixels = pixels.astype(pixels.dtype if pixels.dtype.kind == "f" else exact)
        pixels[np.ma.getmaskarray(array)] = np.nan
    return pixels, nodata


def _check_bands(shape: tuple[int, ...], wanted: tuple[str, ...]) -> None:
    """Refuse an array of other bands than a model's."""
    from geoseg.errors import InputError  # noqa: PLC0415

    if shape[0] == len(wanted):
        return
    if shape[2] == len(wanted):
        raise InputError(
            f"an array of shape {shape} has its bands last: give bands first, as"
            " numpy.moveaxis(array, -1, 0)"
        )
    raise InputError(
        f"an array of shape {shape} has {shape[0]} bands, and the model wants {len(wanted)}:"
        f" give (bands, rows, cols) of {', '.join(wanted)}"
    )
