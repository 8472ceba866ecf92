"""Opening products: what a user has of one date, whatever form it has.

A Landsat folder or its MTL file, a Sentinel-2 folder (SAFE), a STAC item, or any raster. Bands
whose files are not there are missed when they are asked for, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.compositing import landsat, plain, sentinel, stac
from geoseg.compositing.product import Product, ProductBand
from geoseg.errors import RasterReadError
from geoseg.raster.opening.handles import is_local_file

__all__ = ["Product", "ProductBand", "open_product"]


def open_product(
    path: str | Path,
    *,
    sensor: str | None = None,
    band_names: Sequence[str] | None = None,
    quality: str | None = None,
) -> Product:
    """Open what a user has of one date.

    Parameters
    ----------
    path
        A folder of a Landsat or Sentinel-2 product, a Landsat MTL file (text, JSON or XML), a
        STAC item (JSON), or any raster (or folder of bands).
    sensor
        Of a raster: what took it, a name of `geoseg.compositing.sensors`. Its bands then get their
        common names, whole numbers their scale and offset where the file has none.
    band_names
        Of a raster: names of its bands, quality bands among them, one a band.
    quality
        "none" for no quality bands. Of a raster also KIND=BAND ("fmask=8", by number or name). By
        default what the product has; of a raster, what is called as quality bands are.

    Raises
    ------
    RasterReadError
        Nothing is there, or it cannot be read.
    InputError
        What is there makes no sense; the message says where.
    OptionError
        An option is for rasters alone, or not known.
    """
    text = str(path)
    options = plain.Options(sensor=sensor, band_names=band_names, quality=quality)
    if not is_local_file(text):
        return plain.open_raster(text, options)
    place = Path(text)
    if not place.exists():
        raise RasterReadError(f"{text}: no such file or folder; check the path")
    for opener in (landsat, sentinel, stac):
        if opener.is_one(place):
            options.refuse(text)
            product: Product = opener.open_one(place, with_quality=quality != "none")
            return product
    return plain.open_raster(text, options)
