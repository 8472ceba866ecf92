"""What a user names, as products.

Patterns, folders of products and catalogs are spread out, what is there twice is taken once, and
days are chosen.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from geoseg.compositing import catalog, landsat, sentinel
from geoseg.compositing.plain import Options
from geoseg.compositing.product import Product
from geoseg.compositing.products import open_product
from geoseg.errors import OptionError, RasterReadError
from geoseg.raster.opening import objects
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.heads import RASTER_SUFFIXES, expand

_SHOWN = 3
"""Names that a note lists."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was opened."""

    products: tuple[Product, ...]
    """In the order given, one a date and sensor."""
    notes: tuple[str, ...]
    """What a user should know: what was left out and why, a sentence each without its full stop."""


def open_products(
    sources: Sequence[str],
    *,
    sensor: str | None = None,
    band_names: Sequence[str] | None = None,
    quality: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Opened:
    """Open products in the order given, what is there twice once.

    Parameters
    ----------
    sources
        Folders, files, addresses, or patterns of them ("2018/LC08*"), whose matches come in order
        of their names. A folder that holds nothing but folders of products stands for these; a STAC
        catalog, collection or list of items for its items.
    sensor, band_names, quality
        See `geoseg.compositing.products.open_product`.
    start, end
        First day wanted, and the day after the last one.

    Raises
    ------
    InputError
        Nothing is there, or it is no product; or no date is left.
    OptionError
        An option is not known, or does not go with a product.
    """
    if start is not None and end is not None and start >= end:
        raise OptionError(
            f"from {start} (--start) to {end} (--end) there is no day; the end is the day after "
            "the last one"
        )
    options = Options(sensor=sensor, band_names=band_names, quality=quality)
    opened = _Opening()
    for path in [path for source in sources for path in _matches(source)]:
        opened.add(path, options)
    products = opened.products
    if start is not None or end is not None:
        products = _between(products, start, end, opened.notes)
    return Opened(products=tuple(products), notes=(*opened.notes, *opened.twice()))


def _matches(source: str) -> list[str]:
    if objects.is_pattern(source):
        return expand([source])
    if not is_local_file(source) or Path(source).exists() or not glob.has_magic(source):
        return [source]
    found = sorted(glob.glob(source))
    if not found:
        raise RasterReadError(f"{source}: no file or folder matches; check the pattern")
    return found


@dataclass
class _Opening:
    """Products that are being opened."""

    products: list[Product] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _known: dict[object, Product] = field(default_factory=dict)
    _twice: list[str] = field(default_factory=list)

    def add(self, path: str, options: Options) -> None:
        """Open what is at a path."""
        place = Path(path)
        if is_local_file(path) and place.is_dir():
            for inner in self._spread(place):
                self._take(_open(inner, options), inner)
        elif is_local_file(path) and catalog.is_one(place):
            options.refuse(path)
            found, unusable = catalog.open_all(place, with_quality=options.quality != "none")
            for product in found:
                self._take(product, product.source)
            if unusable:
                names = [item.name for item in unusable]
                self.notes.append(
                    f"left out of {place.name}, for holding nothing that can be used: "
                    f"{some(names)} ({unusable[0].reason})"
                )
        else:
            self._take(_open(path, options), path)

    def _spread(self, folder: Path) -> list[str]:
        """Return the folders of products in a folder that holds nothing else, or itself."""
        if landsat.is_one(folder) or sentinel.is_one(folder):
            return [str(folder)]
        try:
            inside = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
        except OSError as error:
            raise RasterReadError(f"{folder}: cannot be listed ({error.strerror})") from error
        folders = [f for f in inside if f.is_dir()]
        if not folders or any(f.suffix.casefold() in RASTER_SUFFIXES for f in inside):
            return [str(folder)]
        others = [f.name for f in folders if not (landsat.is_one(f) or sentinel.is_one(f))]
        if others:
            raise RasterReadError(
                f"{folder}: holds folders and no raster, and not all are products "
                f"({some(others)}); name those to use ({folder}/*)"
            )
        self.notes.append(f"{folder} stands for the products in it: {len(folders)}")
        return [str(f) for f in folders]

    def _take(self, product: Product, given: str) -> None:
        """Keep a product unless it is there already."""
        keys = _keys(product)
        if any(key in self._known for key in keys):
            self._twice.append(given)
            return
        for key in keys:
            self._known[key] = product
        self.products.append(product)

    def twice(self) -> list[str]:
        """Say what was there twice."""
        if not self._twice:
            return []
        return [f"left out, for being given already in another form or path: {some(self._twice)}"]


def _open(path: str, options: Options) -> Product:
    return open_product(
        path, sensor=options.sensor, band_names=options.band_names, quality=options.quality
    )


def _keys(product: Product) -> list[object]:
    """By what a product is known again: its identifier, and its files."""
    files = frozenset(
        (str(Path(band.path).resolve()) if is_local_file(band.path) else band.path, band.index)
        for band in product.bands
    )
    if product.sensor is None or product.opened is not None:
        return [files]
    identity = landsat.Identity.of(product.name)
    return [files, (identity.name if identity else product.name).casefold()]


def _between(
    products: Sequence[Product], start: date | None, end: date | None, notes: list[str]
) -> list[Product]:
    """Choose products by their day."""
    kept: list[Product] = []
    dropped: list[str] = []
    for product in products:
        if product.acquired is None:
            raise RasterReadError(
                f"{product.source}: does not say its day, so --start and --end cannot choose it; "
                "put the day into its name (2018-07-01), or leave it or them out"
            )
        inside = (start is None or product.acquired >= start) and (
            end is None or product.acquired < end
        )
        if inside:
            kept.append(product)
        else:
            dropped.append(product.name)
    words = " ".join([f"from {start}" if start else "", f"before {end}" if end else ""]).strip()
    if products and not kept:
        days = sorted(p.acquired for p in products if p.acquired is not None)
        raise RasterReadError(f"no scene is {words}; those given are of {days[0]} to {days[-1]}")
    if dropped:
        notes.append(f"left out, for not being {words}: {some(dropped)}")
    return kept


def some(names: Sequence[str]) -> str:
    """Name the first few of what there is, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
