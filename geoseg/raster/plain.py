"""A plain GeoTIFF, written part by part from top to bottom: for scenes made to order.

Unlike what `geoseg.raster.cog.writer` makes, it has no overviews, may be striped, compressed or
not, in any block size, and may lie on Earth in any way: reading can be tried on every kind of file.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, RasterioError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import GridError, OutputError
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.legend.style import class_aux_xml, class_qml
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.provenance import tiff_tags
from geoseg.raster.window import Window

_CACHE_BYTES = 64 << 20
_COLORS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


def plain_grid(
    height: int,
    width: int,
    *,
    crs: str | None = "EPSG:32612",
    origin: tuple[float, float] = (301905.0, 4154085.0),
    resolution: float = 30.0,
    rotation: float = 0.0,
    south_up: bool = False,
) -> Grid:
    """Return a grid from numbers.

    Parameters
    ----------
    height, width
        Rows and columns.
    crs
        Coordinate system, as "EPSG:32612"; None for none.
    origin
        (x, y) of the outer corner of the first pixel.
    resolution
        Side of the square pixels, in units of the coordinate system.
    rotation
        Degrees by which the rows are turned anticlockwise from the east.
    south_up
        Whether the first row is the southernmost, as in a mirror.

    Raises
    ------
    GridError
        The coordinate system is not known, or there is no pixel.
    """
    angle = math.radians(rotation)
    # Exact zeros where nothing is turned: a grid with sines of 1e-17 in it is no north-up grid.
    cos, sin = (1.0, 0.0) if rotation == 0 else (math.cos(angle), math.sin(angle))
    down = 1.0 if south_up else -1.0
    transform = Affine(
        resolution * cos,
        -down * resolution * sin,
        origin[0],
        resolution * sin,
        down * resolution * cos,
        origin[1],
    )
    try:
        system = None if crs is None else CRS.from_user_input(crs)
    except CRSError as error:
        raise GridError(f"{crs!r} is no coordinate system that is known: {error}") from error
    return Grid(crs=system, transform=transform, height=height, width=width)


class PlainWriter:
    """Writes one plain GeoTIFF, all of it or nothing; a context manager.

    Parameters
    ----------
    path
        Target, ``.tif`` or ``.tiff``.
    grid
        Place and size.
    band_names
        One a band. Those called red, green and blue are marked as such, for viewers.
    dtype
        NumPy name of the pixels' type.
    nodata
        Pixel value that means "no data"; None for none, NaN for NaN.
    legend
        Of a raster of classes (one uint8 band): written as its colour table, and beside it.
    stretch
        (darkest, brightest) reading to show of the bands red, green and blue, for a QGIS style that
        shows them as such: by itself QGIS takes the first band for red. None for no style.
    block
        (rows, cols) of a tile, multiples of 16; cols None for strips of that many rows.
    compression
        "deflate", "zstd", "lzw" or None.
    interleave
        "band", or "pixel" for all bands of a pixel together.
    tags
        Metadata of the file.
    overwrite
        Whether a file of that name may be replaced.
    workers
        Threads that compress.

    Raises
    ------
    OutputError
        The target cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        grid: Grid,
        *,
        band_names: Sequence[str],
        dtype: str,
        nodata: float | None,
        legend: Legend | None = None,
        stretch: Mapping[str, tuple[float, float]] | None = None,
        block: tuple[int, int | None] = (512, 512),
        compression: str | None = "deflate",
        interleave: str = "band",
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
        workers: int = 4,
    ) -> None:
        self.path = check_output(path, overwrite=overwrite, suffixes=(".tif", ".tiff"))
        self.grid = grid
        self._names = tuple(band_names)
        self._legend = legend
        self._stretch = stretch
        self._tags = tiff_tags(tags or {})
        self._overwrite = overwrite
        self._bytes = grid.window.area * len(self._names) * np.dtype(dtype).itemsize
        self._profile = _profile(grid, np.dtype(dtype), block, compression)
        self._profile |= {
            "count": len(self._names),
            "nodata": nodata,
            "interleave": interleave,
            "NUM_THREADS": workers,
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(TemporaryFolder(self.path))
            # What compression saves is not counted on: GDAL reports a full disk badly.
            self._folder.need_space(self._bytes)
            self._made = self._folder.path / self.path.name
            stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES))
            try:
                self._file = stack.enter_context(rasterio.open(self._made, "w", **self._profile))
                self._describe()
            except (RasterioError, CPLE_BaseError) as error:
                raise OutputError(f"{self.path} cannot be written: {error}") from error
            self._stack = stack.pop_all()
        return self

    def _describe(self) -> None:
        self._file.descriptions = self._names
        self._file.update_tags(**self._tags)
        if self._legend is not None:
            colors = dict(zip(self._legend.ids, self._legend.colors, strict=True))
            self._file.write_colormap(1, {i: (*color, 255) for i, color in colors.items()})
        elif _COLORS.keys() <= set(self._names):
            self._file.colorinterp = [_COLORS.get(n, ColorInterp.undefined) for n in self._names]

    def write(self, window: Window, data: NDArray[Any]) -> None:
        """Write a window.

        Parameters
        ----------
        window
            Best made of whole blocks, in the order of the file: then each goes straight to disk,
            and the same pixels make the same file.
        data
            (bands, rows, cols), or (rows, cols) for one band.
        """
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            self._file.write(data.reshape(len(self._names), *data.shape[-2:]), window=place)
        except (RasterioError, CPLE_BaseError) as error:
            raise OutputError(
                f"{self.path} cannot be written (is there space left?): {error}"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if kind is not None:
                return
            try:
                self._file.close()
            except (RasterioError, CPLE_BaseError) as problem:
                raise OutputError(f"{self.path} cannot be written: {problem}") from problem
            self._folder.publish(self._made, self._sidecars(), overwrite=self._overwrite)

    def _sidecars(self) -> dict[Path, str]:
        style = self.path.with_suffix(".qml")
        if self._legend is not None:
            aux = self.path.with_name(self.path.name + ".aux.xml")
            return {aux: class_aux_xml(self._legend), style: class_qml(self._legend)}
        if self._stretch is not None and _COLORS.keys() <= set(self._names):
            return {style: _color_qml(self._names, self._stretch)}
        return {}


def _color_qml(names: Sequence[str], stretch: Mapping[str, tuple[float, float]]) -> str:
    """QGIS style in which the bands red, green and blue are shown in their colours."""
    root = ET.Element("qgis", version="3.22.0", styleCategories="AllStyleCategories")
    renderer = ET.SubElement(
        ET.SubElement(root, "pipe"), "rasterrenderer", type="multibandcolor", opacity="1"
    )
    renderer.set("alphaBand", "-1")
    for color in _COLORS:
        renderer.set(f"{color}Band", str(names.index(color) + 1))
        enhancement = ET.SubElement(renderer, f"{color}ContrastEnhancement")
        for tag, value in zip(("minValue", "maxValue"), stretch[color], strict=True):
            ET.SubElement(enhancement, tag).text = repr(value)
        ET.SubElement(enhancement, "algorithm").text = "StretchToMinimumMaximum"
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _profile(
    grid: Grid, dtype: np.dtype[Any], block: tuple[int, int | None], compression: str | None
) -> dict[str, Any]:
    rows, cols = block
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "dtype": dtype.name,
        "crs": grid.crs,
        "transform": grid.transform if grid.is_georeferenced else None,
        "tiled": cols is not None,
        "blockysize": rows,
        "BIGTIFF": "IF_SAFER",
    }
    if cols is not None:
        profile["blockxsize"] = cols
    if compression is not None:
        profile["compress"] = compression
        if dtype.itemsize > 1:
            profile["predictor"] = 3 if dtype.kind == "f" else 2
        # The fastest level: noise does not compress any better at the others.
        level = {"deflate": "ZLEVEL", "zstd": "ZSTD_LEVEL"}.get(compression)
        if level is not None:
            profile[level] = 1
    return profile
