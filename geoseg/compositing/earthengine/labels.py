"""Labels from Earth Engine: which image, which band, and what its values are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ee
import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.earthengine.client import Asker
from geoseg.compositing.earthengine.expression import labels, overlapping
from geoseg.compositing.earthengine.settings import LabelChoice, Period
from geoseg.errors import BandError, EarthEngineError, LabelError
from geoseg.raster.legend import NODATA, Legend

_HEXADECIMAL = re.compile(r"#?([0-9a-fA-F]{6})")
MOST = 65_534
"""The highest label; one more is nodata of 16 bits."""


@dataclass(frozen=True, kw_only=True)
class LabelSource:
    """Labels as the server has them."""

    id: str
    """Of the image or collection."""
    band: str
    """Which band."""
    image: Any
    """ee.Image of `geoseg.compositing.earthengine.expression.labels`."""
    names: tuple[tuple[int, str, str | None], ...]
    """(value, name, colour "#rrggbb") of the classes, as the server tells; empty if it does not."""

    def legend(self, present: Iterable[int]) -> Legend | None:
        """Return a legend of the values that are there; None where 8 bits do not hold them.

        Parameters
        ----------
        present
            Values.

        Raises
        ------
        LabelError
            A value is below 0 or above `MOST`, or there is none at all.
        """
        values = sorted(set(present))
        if not values:
            raise LabelError(f"{self.id}: no pixel of the region has a label")
        if values[0] < 0 or values[-1] > MOST:
            wrong = values[0] if values[0] < 0 else values[-1]
            raise LabelError(
                f"{self.id}: band {self.band} holds {wrong}; labels are from 0 to {MOST}"
            )
        if values[-1] >= NODATA:
            return None
        known = {value: (name, color) for value, name, color in self.names}
        rows = []
        taken: set[str] = set()
        for value in values:
            name, color = known.get(value, (f"class {value}", None))
            # The Cropland Data Layer has two values called Barren, and two Shrubland.
            name = name if name not in taken else f"{name} ({value})"
            taken.add(name)
            rows.append({"id": value, "name": name} | ({"color": color} if color else {}))
        return Legend.from_json(rows)


def label_source(
    name: str,
    *,
    band: str | None,
    choice: LabelChoice,
    period: Period,
    outline: Sequence[tuple[float, float]],
    asker: Asker,
) -> LabelSource:
    """Find out about labels.

    Parameters
    ----------
    name
        Id of an image, or of a collection.
    band
        Its band; by default the only one, or the only one whose values it names.
    choice
        What of several images of a collection: the latest that has a label, pixel by pixel, or the
        commonest label.
    period
        Images of a collection that overlap it in time are taken.
    outline
        Longitudes and latitudes around the ground.
    asker
        Asks.

    Raises
    ------
    EarthEngineError
        There is no such thing, or no image of it.
    BandError
        Which band is not clear, there is none of that name, or it holds no whole numbers.
    """
    kind = asker.ask(f"{name}, which labels are to come from", lambda: ee.data.getAsset(name))
    if kind.get("type") not in ("IMAGE", "IMAGE_COLLECTION"):
        raise EarthEngineError(
            f"{name} is {kind.get('type', 'nothing known')} on Earth Engine; labels are an image "
            "or a collection of images"
        )
    if kind["type"] == "IMAGE":
        whole = latest = ee.Image(name)
    else:
        images = overlapping(ee.ImageCollection(name), period, outline).sort("system:time_start")
        latest = images.sort("system:time_start", False).first()
        whole = images.mosaic() if choice == "latest" else images.mode()
    told = asker.ask(f"what {name} holds", latest.getInfo)
    if not told:
        raise EarthEngineError(
            f"{name} has no image between {period.start} and {period.end} that touches the region; "
            "choose other days or other labels"
        )
    properties = told.get("properties") or {}
    chosen = _band(name, told.get("bands") or [], properties, band)
    return LabelSource(
        id=name,
        band=chosen,
        image=labels(whole, chosen),
        names=_names(properties, chosen),
    )


def _band(name: str, bands: Sequence[Any], properties: dict[str, Any], wanted: str | None) -> str:
    there = [str(band["id"]) for band in bands]
    if wanted is None:
        named = [one for one in there if f"{one}_class_values" in properties]
        candidates = there if len(there) == 1 else named
        if len(candidates) != 1:
            raise BandError(
                f"{name} has several bands ({', '.join(there[:12])}); say which holds the labels "
                "(--labels-band)"
            )
        wanted = candidates[0]
    if wanted not in there:
        raise BandError(f"{name}: has no band “{wanted}”; there are: {', '.join(there[:24])}")
    kind = bands[there.index(wanted)].get("data_type") or {}
    if kind.get("precision", "int") != "int":
        raise BandError(f"{name}: band {wanted} holds measurements, not classes")
    return wanted


def _names(properties: dict[str, Any], band: str) -> tuple[tuple[int, str, str | None], ...]:
    """Return what the server calls the values; nothing where its lists do not match.

    Whoever owns a collection writes these lists: values that are no whole numbers and colours that
    are not written as six hexadecimal digits are passed over.
    """
    values = properties.get(f"{band}_class_values") or []
    names = properties.get(f"{band}_class_names") or []
    palette = properties.get(f"{band}_class_palette") or [None] * len(values)
    if not len(values) == len(names) == len(palette):
        return ()
    found = []
    for value, name, color in zip(values, names, palette, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            continue
        text = " ".join(str(name).split()) or f"class {int(value)}"
        digits = _HEXADECIMAL.fullmatch(str(color))
        found.append((int(value), text, f"#{digits[1]}" if digits else None))
    return tuple(found)


def as_stored(pixels: NDArray[Any], legend: Legend | None) -> NDArray[Any]:
    """Turn fetched labels into pixels of the raster.

    Parameters
    ----------
    pixels
        (rows, cols) with the fields "label" and "known".
    legend
        That of the raster; None for 16 bits.

    Returns
    -------
    (rows, cols) uint8 with 255 where there is none; or uint16 with 65535.
    """
    known = pixels["known"] != 0
    if legend is None:
        return np.where(known, pixels["label"], MOST + 1).astype(np.uint16)
    return np.where(known, pixels["label"], NODATA).astype(np.uint8)
