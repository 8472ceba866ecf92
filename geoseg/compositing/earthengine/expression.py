"""A composite as an expression that the server computes.

Nothing here asks the server. Values are computed in double precision and rounded to float32 at the
end, as local composites are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import reduce
from typing import Any

import ee

from geoseg.compositing.earthengine.collections import Collection, CollectionBand
from geoseg.compositing.earthengine.rules import BitTests, ClassTests, band_rules
from geoseg.compositing.earthengine.settings import Period
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.reduce import MOST_DATES, Reduction

__all__ = ["CLEAR", "KNOWN", "LABEL", "Recipe", "fingerprint"]

CLEAR = "clear"
"""Band that counts the clear images of a pixel; 0 also where the server has nothing to say."""
LABEL, KNOWN = "label", "known"
"""Bands of labels: the value, and 1 where there is one."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a composite is made of and how."""

    collections: tuple[Collection, ...]
    """Whose images are taken."""
    bands: tuple[tuple[CollectionBand, ...], ...]
    """(collections, bands)."""
    period: Period
    """When they were taken."""
    outline: tuple[tuple[float, float], ...]
    """Longitudes and latitudes around the ground."""
    reduction: Reduction
    """How images become one."""
    rule: ClearRule
    """What counts as clear."""

    @property
    def ids(self) -> tuple[str, ...]:
        """What the server's bands are called: common names without spaces."""
        return tuple(band.name.replace(" ", "_") for band in self.bands[0])

    def images(self, number: int) -> Any:
        """Return an ee.ImageCollection: one collection's images of the ground and the period."""
        return within(ee.ImageCollection(self.collections[number].id), self.period, self.outline)

    def composite(self) -> Any:
        """Return an ee.Image: the bands, float32, and `CLEAR`, uint16.

        An image counts for a pixel where it is clear and all bands have a reading. Bands mean
        nothing where `CLEAR` is 0.
        """
        prepared = [
            self.images(number).map(self._preparation(one, bands))
            for number, (one, bands) in enumerate(zip(self.collections, self.bands, strict=True))
        ]
        joined = reduce(lambda one, other: one.merge(other), prepared)
        values = joined.reduce(_reducer(self.reduction)).rename(list(self.ids))
        counts = joined.select([0], [CLEAR]).count().unmask(0)
        return values.toFloat().addBands(counts.toUint16())

    def _preparation(
        self, one: Collection, bands: Sequence[CollectionBand]
    ) -> Callable[[Any], Any]:
        """Return what is done to each image: mask, then scale."""

        def prepare(image: Any) -> Any:
            picked = image.select([band.id for band in bands], list(self.ids))
            if one.quality_kind is not None:
                picked = picked.updateMask(_clear(image, one, self.rule))
            # A pixel counts where all bands have a reading.
            picked = picked.updateMask(picked.mask().reduce(ee.Reducer.min()))
            values = picked.toDouble()
            if any(band.is_scaled for band in bands):
                values = values.multiply(ee.Image.constant([band.scale for band in bands]))
                values = values.add(ee.Image.constant([band.offset for band in bands]))
            return values

        return prepare


def within(images: Any, period: Period, outline: Sequence[tuple[float, float]]) -> Any:
    """Return the images of an ee.ImageCollection that began in a period and touch the ground."""
    days = images.filterDate(period.start.isoformat(), period.end.isoformat())
    return days.filterBounds(ground(outline))


def overlapping(images: Any, period: Period, outline: Sequence[tuple[float, float]]) -> Any:
    """Return the images of an ee.ImageCollection whose own span shares a moment with a period.

    A map of a year begins before the summer it is wanted for.
    """
    start, end = (_milliseconds(day) for day in (period.start, period.end))
    filters = ee.Filter.And(
        ee.Filter.lt("system:time_start", end),
        ee.Filter.Or(
            ee.Filter.gte("system:time_start", start), ee.Filter.gt("system:time_end", start)
        ),
    )
    return images.filter(filters).filterBounds(ground(outline))


def ground(outline: Sequence[tuple[float, float]]) -> Any:
    """Return an ee.Geometry of an outline, straight in longitude and latitude."""
    return ee.Geometry.Polygon([[list(place) for place in outline]], "EPSG:4326", False)


def labels(image: Any, band: str) -> Any:
    """Return an ee.Image of labels: `LABEL`, int32, and `KNOWN`, uint8, 0 where there is none."""
    picked = image.select([band], [LABEL])
    known = picked.mask().gt(0).rename([KNOWN]).unmask(0)
    return picked.toInt32().addBands(known.toUint8())


def fingerprint(image: Any) -> str:
    """Hash (hex) of an expression as it is sent."""
    text = ee.serializer.toJSON(image, for_cloud_api=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _milliseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _reducer(reduction: Reduction) -> Any:
    """Return the ee.Reducer; none estimates from a histogram, whatever the number of images."""
    if reduction.percentile is not None:
        return ee.Reducer.percentile([reduction.percentile], ["p"], maxRaw=MOST_DATES)
    if reduction.method == "mean":
        return ee.Reducer.mean()
    return ee.Reducer.median(maxRaw=MOST_DATES)


def _clear(image: Any, one: Collection, rule: ClearRule) -> Any:
    """Return an ee.Image that is 1 where an image is clear, by its quality bands."""
    ids = dict(one.quality_bands)
    rules = band_rules(str(one.quality_kind), tuple(ids), rule)
    fill = _either([_hidden(image.select(ids[r.band]), r.fill) for r in rules])
    masked = _either([_hidden(image.select(ids[r.band]), r.masked) for r in rules])
    if rule.dilate:
        # Fill is no cloud and does not grow.
        masked = masked.And(fill.Not()).focalMax(rule.dilate, "square", "pixels")
    return fill.Or(masked).Not()


def _hidden(codes: Any, tests: BitTests | ClassTests) -> Any:
    """Return an ee.Image that is 1 where a quality band hides a pixel."""
    if isinstance(tests, ClassTests):
        return codes.remap(list(tests.codes), [0] * len(tests.codes), 1)
    asked = [codes.bitwiseAnd(tests.any_of).neq(0)]
    asked += [codes.bitwiseAnd(bits).eq(bits) for bits in tests.all_of]
    return _either(asked)


def _either(images: Sequence[Any]) -> Any:
    return reduce(lambda one, other: one.Or(other), images)
