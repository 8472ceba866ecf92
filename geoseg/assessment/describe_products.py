"""What geoseg sees of a product as it is downloaded: a folder of it, its metadata, a STAC item.

Bands are called as a composite of it calls them; readings are as in the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.assessment.describe_makers import read_document
from geoseg.errors import InputError, RasterReadError

if TYPE_CHECKING:
    from geoseg.compositing.product import Product

_COMPOSITE = (
    "these are the bands of its composite (geoseg composite); other commands take its files as they"
    " are, with bands as named there"
)


def product_at(path: Path) -> Product | None:
    """Open the product that a folder or a file of metadata stands for.

    Returns
    -------
    None of what is none. A folder of several products is none either: its rasters are scenes.

    Raises
    ------
    RasterReadError
        A file of metadata is damaged, or leads to no band or to several scenes.
    """
    from geoseg.compositing import landsat, sentinel  # noqa: PLC0415 — loads rasterio
    from geoseg.compositing.products import open_product  # noqa: PLC0415

    known = landsat.is_one(path) or sentinel.is_one(path)
    if path.is_dir():
        try:
            return open_product(path) if known else None
        except InputError:
            return None
    content = None if known or path.suffix.lower() != ".json" else read_document(path)
    if content is not None and "stac_version" in content:
        if content.get("type") in ("Catalog", "Collection"):
            raise RasterReadError(
                f"{path}: is a STAC {content['type'].lower()} and no scene; geoseg composite makes"
                " one scene of what it leads to"
            )
        known = content.get("type") == "Feature"
    return open_product(path) if known else None


def describe_product(product: Product) -> Iterator[dict[str, Any]]:
    """Describe a product, a scene for each size of pixels.

    Yields
    ------
    Descriptions of scenes (`geoseg.raster.describe.describe_scene`) that have also ``sensor``
    (``name`` and ``title``; None of an item of another), ``acquired`` (the day, or None),
    ``cloud_cover`` (percent, or None) and ``quality`` (names of the quality bands). Scale and
    offset of bands are the product's, and ``in_files`` is what its files call a band.

    Raises
    ------
    RasterReadError
        A file cannot be read.
    """
    from geoseg.raster.describe import describe_scene  # noqa: PLC0415 — loads rasterio

    sensor = product.sensor
    for scene in product.scenes(product.band_names):
        with scene:
            found = describe_scene(scene)
        for band in found["bands"]:
            known = product.band(band["name"])
            band["scale"], band["offset"] = known.scale, known.offset
            band["in_files"] = known.aliases[0] if known.aliases else known.name
        yield found | {
            "name": product.name,
            "sensor": None if sensor is None else {"name": sensor.name, "title": sensor.title},
            "acquired": None if product.acquired is None else product.acquired.isoformat(),
            "cloud_cover": product.cloud_cover,
            "quality": [band.name for band in product.quality_bands],
            "remarks": [*found["remarks"], _COMPOSITE],
        }


def products_in(folder: Path) -> list[Product]:
    """Open the products whose folders lie in a folder; in order of their names."""
    inside = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    return [product for product in map(product_at, inside) if product is not None]


def others_beside(product: Product, folder: Path) -> list[str]:
    """Return the rasters in a product's folder that are not of it."""
    from geoseg.raster.naming import stem  # noqa: PLC0415
    from geoseg.raster.opening.heads import expand  # noqa: PLC0415 — loads rasterio

    try:
        there = expand([folder])
    except InputError:
        return []  # its rasters are deeper within
    bands = (*product.bands, *product.quality_bands)
    own = {Path(band.path).resolve() for band in bands}
    return [
        path
        for path in there
        if Path(path).resolve() not in own and not stem(path).startswith(f"{product.name}_")
    ]
