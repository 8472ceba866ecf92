"""A GeoTIFF a patch: written for interchange, read back lazily as if it were one array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geoseg.errors import DatasetError, OutputError
from geoseg.raster.grid import Grid


def write_patch(
    path: Path,
    data: NDArray[Any],
    grid: Grid,
    *,
    band_names: Sequence[str],
    nodata: float | None,
) -> None:
    """Write one patch.

    Parameters
    ----------
    path
        The new file; its folder exists.
    data
        (bands, rows, cols).
    grid
        Place of the patch, as many rows and columns as `data`.
    band_names
        A name a band.
    nodata
        Value that the file declares as nodata, or None.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    bands, height, width = data.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": data.dtype.name,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "compress": "deflate",
        # Level 1 with a predictor is smaller than level 6 without one, and four times as fast.
        "zlevel": 1,
        "predictor": 3 if data.dtype.kind == "f" else 2,
        "interleave": "band",
        "blockysize": height,
    }
    try:
        with rasterio.open(path, "w", **profile) as file:
            file.write(data)
            file.descriptions = tuple(band_names)
    except (RasterioError, OSError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error


class PatchFiles:
    """The GeoTIFF patches of one split, indexed like an array of shape (N, bands, rows, cols).

    Nothing is read before it is asked for, and nothing is kept. With ``squeeze`` the band axis is
    left out, as in arrays of labels.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        patch_shape: tuple[int, int, int],
        dtype: Any,
        fill: float | None = None,
        squeeze: bool = False,
    ) -> None:
        """See the class.

        Parameters
        ----------
        paths
            A file a patch, in the order of the index.
        patch_shape
            (bands, rows, cols) of every patch.
        dtype
            Of the array returned.
        fill
            What replaces the pixels that equal their file's nodata in any band; None leaves them.
        squeeze
            Whether to leave out the axis of bands.
        """
        self._paths = list(paths)
        self._patch_shape = patch_shape
        self._fill = fill
        self._squeeze = squeeze
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, bands, rows, cols), or (N, rows, cols) with `squeeze`."""
        return (len(self._paths), *self._patch_shape[1 if self._squeeze else 0 :])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read one patch (an integer) or several (a slice, or an array of integers)."""
        if isinstance(index, int | np.integer):
            return self._read(self._paths[int(index)])
        chosen = np.arange(len(self))[index]
        out = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for i, k in enumerate(chosen):
            out[i] = self._read(self._paths[int(k)])
        return out

    def _read(self, path: Path) -> NDArray[Any]:
        try:
            with rasterio.open(path) as file:
                data: NDArray[Any] = file.read()
                nodata = file.nodata
        except RasterioError as error:
            raise DatasetError(f"cannot read the patch {path}: {error}") from error
        if data.shape != self._patch_shape:
            raise DatasetError(
                f"the patch {path} has the shape {data.shape} and not {self._patch_shape}: "
                "tile the scenes again"
            )
        if self._fill is not None and nodata is not None:
            invalid = np.isnan(data) if math.isnan(nodata) else data == nodata
            data[:, invalid.any(axis=0)] = self._fill
        data = data.astype(self.dtype, copy=False)
        return data[0] if self._squeeze else data
