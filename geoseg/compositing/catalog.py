"""STAC catalogs: every item that a catalog, a collection or a list of items leads to.

Catalogs are walked by pystac, which knows their forms and versions; what an item is
`geoseg.compositing.stac` says, which forgives more. Links are followed where they are relative,
absolute or far away, each place once, whatever circle they make.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request, urlopen

from geoseg.compositing import stac
from geoseg.compositing.product import Product
from geoseg.errors import InputError, RasterReadError
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.trust import ADVICE, may_lead, trusted

_LARGEST = 256 << 20
"""Bytes; a list of a thousand items has some ten million."""
_MOST_PLACES = 100_000
"""Places to which a catalog may lead: a server can make them up as they are asked for."""
_PATIENCE = 30.0
"""Seconds to wait for a server."""
_KINDS = ("Catalog", "Collection", "FeatureCollection")


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """An item that is no product that can be used."""

    name: str
    """Its identifier, or where it is."""
    reason: str
    """One line."""


def is_one(place: Path) -> bool:
    """Tell whether a file is a STAC catalog, a collection or a list of items."""
    if not stac.is_one(place):
        return False
    try:
        whole = json.loads(_text(str(place)))
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(whole, dict):
        return False
    # Before STAC 1.0 catalogs said no type.
    old = "stac_version" in whole and "links" in whole
    return whole.get("type") in _KINDS or (old and "type" not in whole)


def open_all(place: Path, *, with_quality: bool) -> tuple[list[Product], list[Unusable]]:
    """Open every item that a catalog leads to.

    Parameters
    ----------
    place
        A file: Catalog, Collection or ItemCollection (FeatureCollection), JSON.
    with_quality
        Whether quality bands are wanted.

    Returns
    -------
    products, unusable
        In the order of the catalog's links, a catalog's own items before those of its children.

    Raises
    ------
    RasterReadError
        A place that is linked to cannot be reached or read, there is no item, or none can be used.
    """
    walk = _Walk(place)
    products: list[Product] = []
    unusable: list[Unusable] = []
    for item, where in walk.items():
        said = item.get("id")
        name = said if isinstance(said, str) and said else where
        try:
            products.append(
                stac.open_item(item, where, walk.folder(where), with_quality=with_quality)
            )
        except InputError as error:
            unusable.append(Unusable(name=name, reason=" ".join(str(error).split())))
    if not products and unusable:
        raise RasterReadError(
            f"{place}: none of its {len(unusable)} items can be used, the first because: "
            f"{unusable[0].reason}"
        )
    if not products:
        raise RasterReadError(
            f"{place}: leads to no item; give a catalog with items, or the items themselves"
        )
    return products, unusable


@dataclass
class _Walk:
    """A way through a catalog."""

    place: Path
    """Where it began."""
    seen: set[str] = field(default_factory=set)
    """Places that were read."""

    def folder(self, where: str) -> Path:
        """Where an item's files are looked for; of one far away, beside the catalog."""
        return Path(where).parent if is_local_file(where) else self.place.parent

    def items(self) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Yield the items under the place, each with where it is."""
        ahead = [str(self.place.resolve())]
        while ahead:
            where = ahead.pop()
            if where in self.seen:
                continue
            self.seen.add(where)
            if len(self.seen) > _MOST_PLACES:
                raise RasterReadError(
                    f"{self.place}: leads to more than {_MOST_PLACES} places; give a part of it"
                )
            whole = self.read(where)
            if whole.get("type") == "FeatureCollection":
                features = whole.get("features")
                found = features if isinstance(features, list) else []
                yield from ((_absolute(i, where), where) for i in found if isinstance(i, dict))
            elif whole.get("type") == "Feature":
                yield _absolute(whole, where), where
            else:
                ahead += reversed(self.links(whole, where))

    def links(self, whole: Mapping[str, Any], where: str) -> list[str]:
        """Where the items and then the children of a catalog are: paths and addresses."""
        import pystac  # noqa: PLC0415 — who gives no catalog does not pay for it

        try:
            found = pystac.StacIO.default().stac_object_from_dict(dict(whole), href=where)
            if not isinstance(found, pystac.Catalog):
                return []
            links = (*found.get_item_links(), *found.get_child_links())
            found_targets = [_target(link.get_absolute_href() or "") for link in links]
        except Exception as error:  # pystac raises what it runs into: KeyError, TypeError, …
            raise RasterReadError(
                f"{where}: is no STAC catalog that can be read ({type(error).__name__}: {error})"
            ) from error
        for target in found_targets:
            _check_leads(where, target)
        return found_targets

    def read(self, where: str) -> Mapping[str, Any]:
        """Read the JSON at a place."""
        asked = "" if where == str(self.place.resolve()) else f", to which {self.place} leads"
        try:
            whole = json.loads(_text(where))
        except (ValueError, RecursionError) as error:
            raise RasterReadError(
                f"{where}{asked}: is not JSON; repair it or take out the link"
            ) from error
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or " ".join(
                str(getattr(error, "reason", error)).split()
            )
            raise RasterReadError(
                f"{where}{asked}: cannot be reached ({why}); download it and link to it there, or "
                "take out the link"
            ) from error
        return whole if isinstance(whole, dict) else {}


def _target(href: str) -> str:
    """Return a path, or an address, of what a link says."""
    parts = urlsplit(href)
    if parts.scheme == "file":
        href = unquote(parts.path)
    if not href:
        raise ValueError("a link leads nowhere")
    return str(Path(href).resolve()) if is_local_file(href) else href


def _absolute(item: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return an item from far away with whole addresses."""
    assets = item.get("assets")
    if is_local_file(where) or not isinstance(assets, dict):
        return item
    moved = {
        key: asset | {"href": _joined(where, asset["href"])}
        if isinstance(asset, dict) and isinstance(asset.get("href"), str)
        else asset
        for key, asset in assets.items()
    }
    return {**item, "assets": moved}


def _joined(where: str, href: str) -> str:
    """Return the address of an asset of an item from far away; nothing of what is none."""
    try:
        found = urljoin(where, href)
    except ValueError:
        return ""
    _check_leads(where, found)
    return found


def _check_leads(where: str, target: str) -> None:
    """Refuse what lies far away and leads to files here.

    Raises
    ------
    RasterReadError
        It does.
    """
    if not is_local_file(where) and not trusted() and not may_lead(where, target):
        raise RasterReadError(f"{where}: leads to {target[:200]} on this machine; {ADVICE}")


def _text(where: str) -> str:
    """Text of a file or of what is at an address; ValueError where it is too large or no text."""
    if is_local_file(where):
        path = Path(where)
        if path.stat().st_size > _LARGEST or not path.is_file():  # a device, say
            raise ValueError("too large, or no file")
        return path.read_text(encoding="utf-8")
    if urlsplit(where).scheme not in {"http", "https"}:
        raise OSError(f"no address that is followed: {urlsplit(where).scheme}")
    with urlopen(Request(where, headers={"User-Agent": "geoseg"}), timeout=_PATIENCE) as answer:
        found: bytes = answer.read(_LARGEST + 1)
    if len(found) > _LARGEST:
        raise ValueError("too large")
    return found.decode("utf-8")
