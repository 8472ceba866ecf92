"""What a user names, as products, and the grid that a composite of them lies on."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.compositing.product import Product
from geoseg.compositing.products import open_product
from geoseg.errors import GridError, OptionError, RasterReadError
from geoseg.raster.grid import Grid
from geoseg.raster.handles import is_local_file
from geoseg.raster.regrid import Extent, common_grid
from geoseg.raster.scene import Scene


def open_products(
    sources: Sequence[str],
    *,
    sensor: str | None = None,
    band_names: Sequence[str] | None = None,
    quality: str | None = None,
) -> list[Product]:
    """Open products in the order given, what is named twice once.

    Parameters
    ----------
    sources
        Folders, files, addresses, or patterns of them ("2018/LC08*"), whose matches come in order
        of their names.
    sensor, band_names, quality
        See `geoseg.compositing.products.open_product`.

    Raises
    ------
    InputError
        Nothing is there, or it is no product.
    OptionError
        An option is not known, or does not go with a product.
    """
    paths: list[str] = []
    for source in sources:
        if not is_local_file(source) or Path(source).exists() or not glob.has_magic(source):
            paths.append(source)
            continue
        found = sorted(glob.glob(source))
        if not found:
            raise RasterReadError(f"{source}: no file or folder matches; check the pattern")
        paths += found
    return [
        open_product(path, sensor=sensor, band_names=band_names, quality=quality)
        for path in dict.fromkeys(paths)
    ]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A grid, and what it leaves out."""

    grid: Grid
    """Where the composite lies."""
    left_out: float
    """Share of the ground between the scenes' outermost borders that it does not cover; 0 where the
    user chose what to cover."""


def target_grid(
    products: Sequence[Product],
    names: Sequence[str],
    *,
    like: str | None = None,
    crs: str | None = None,
    resolution: float | None = None,
    extent: Extent | None = None,
) -> Target:
    """Choose the grid of a composite.

    Parameters
    ----------
    products
        One at least. Of a product with pixels of several sizes the smallest count.
    names
        Bands of the composite.
    like
        A raster whose grid to take; instead of all that follows.
    crs, resolution, extent
        See `geoseg.raster.regrid.common_grid`; by default those of the first product.

    Raises
    ------
    InputError
        A file cannot be read, or grids do not lie to each other.
    OptionError
        Options that exclude each other, or mean nothing.
    """
    if like is not None:
        if crs is not None or resolution is not None or extent is not None:
            raise OptionError(
                "--like takes the whole grid of a raster; leave out --crs, --resolution, --extent"
            )
        with Scene.open(like) as scene:
            return Target(grid=scene.grid, left_out=0.0)
    if not products:
        raise OptionError("there is no scene to make a composite of")
    grids = [_finest(product, names) for product in products]
    grid = common_grid(grids, crs=crs, resolution=resolution, extent=extent or "first")
    left_out = 0.0
    if extent is None:
        try:
            union = common_grid(grids, crs=crs, resolution=resolution, extent="union")
        except GridError:  # some scene has no place; who brings it to the grid says so
            union = grid
        left_out = 1 - (grid.height * grid.width) / (union.height * union.width)
    return Target(grid=grid, left_out=left_out)


def _finest(product: Product, names: Sequence[str]) -> Grid:
    grids = [scene.grid for scene in product.scenes(names)]
    return min(grids, key=lambda grid: abs(grid.transform.determinant))
