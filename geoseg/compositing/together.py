"""Products brought to the grid of a composite, each a date."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.compositing.dates import Date
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.product import Product
from geoseg.errors import GridError
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import Handles
from geoseg.raster.opening.heads import heads_kept
from geoseg.raster.resampling.regrid import overlap
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window


def _check_placed(scenes: Sequence[Scene], grid: Grid) -> None:
    """Refuse scenes of which it cannot be known where they lie on a grid."""
    for scene in scenes:
        if (scene.grid.crs is None) != (grid.crs is None):
            which = "it has" if scene.grid.crs is None else "the composite's grid has"
            raise GridError(
                f"{scene.paths[0]}: {which} no coordinate system, so where it lies is not known; "
                "give it one (gdal_edit -a_srs), or leave it out"
            )


@heads_kept()
def bring_together(
    products: Sequence[Product],
    names: Sequence[str],
    grid: Grid,
    *,
    rule: ClearRule,
    handles: Handles,
    resampling: str = "nearest",
) -> tuple[list[Date], list[str]]:
    """Bring products to a grid.

    Parameters
    ----------
    products
        What there is.
    names
        Bands, by common name or alias, in the order of the composite.
    grid
        Where to.
    rule
        What counts as clear.
    handles
        What opens the files.
    resampling
        "nearest": each pixel gets the reading in which its centre lies. "bilinear" and "cubic": see
        `geoseg.compositing.interpolated`.

    Returns
    -------
    dates, outside
        Those that lie on the grid, in the order given; names of those that do not.

    Raises
    ------
    BandError
        A product has no such band, or one is named twice.
    GridError
        It cannot be known where a product lies.
    """
    reach = rule.reach
    wide = grid.crop(Window(-reach, -reach, grid.height + 2 * reach, grid.width + 2 * reach))
    dates: list[Date] = []
    outside: list[str] = []
    for product in products:
        bands = tuple(product.band(name) for name in names)
        scenes = product.scenes([band.name for band in bands])
        _check_placed(scenes, grid)
        if not all(overlap(scene.grid, grid) for scene in scenes):
            outside.append(product.name)
            continue
        scenes = [scene.opened_by(handles) for scene in scenes]
        quality = product.quality()
        quality = None if quality is None else quality.opened_by(handles)
        date = Date(
            name=product.name,
            word=product.word,
            scenes=tuple(scene.on_grid(wide) for scene in scenes),
            bands=bands,
            quality=None if quality is None else quality.on_grid(wide),
            kind=product.quality_kind or "",
            rule=rule,
        )
        if resampling != "nearest":
            from geoseg.compositing.interpolated import interpolated  # noqa: PLC0415 — compiles

            date = interpolated(date, scenes, quality, grid, resampling)
        dates.append(date)
    return dates, outside
