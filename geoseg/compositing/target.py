"""The grid that a composite of products lies on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geoseg.compositing.product import Product
from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.resampling.regrid import Extent, common_grid
from geoseg.raster.scene import Scene


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
        See `geoseg.raster.resampling.regrid.common_grid`; by default those of the first product.

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
            grid = scene.grid
        if grid.crs is None and products and _finest(products[0], names).crs is not None:
            raise GridError(
                f"{like}: has no coordinate system, so where the composite would lie is not known; "
                "give it one (gdal_edit -a_srs), or say the grid by --crs and --resolution"
            )
        return Target(grid=grid, left_out=0.0)
    if not products:
        raise OptionError("there is no scene to make a composite of")
    grids = [_finest(product, names) for product in products]
    grid = common_grid(grids, crs=crs, resolution=resolution, extent=extent or "first")
    left_out = 0.0
    if extent is None:
        try:
            union = common_grid(grids, crs=crs, resolution=resolution, extent="union")
        except (GridError, OptionError):  # some scene has no place, or one far from all others
            union = grid
        left_out = 1 - (grid.height * grid.width) / (union.height * union.width)
    return Target(grid=grid, left_out=left_out)


def _finest(product: Product, names: Sequence[str]) -> Grid:
    grids = [scene.grid for scene in product.scenes(names)]
    return min(grids, key=lambda grid: abs(grid.transform.determinant))
