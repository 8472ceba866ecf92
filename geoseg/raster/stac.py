"""A class raster as a STAC item: where it lies, what its pixels mean, what it was made of."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import crs_code
from geoseg.raster.scene import Scene

EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
)
_STEPS = 8
_DIGITS = 7
_GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"


def map_item(
    scene: Scene,
    classes: Sequence[Mapping[str, Any]],
    *,
    name: str,
    href: str,
    date: str,
    derived_from: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the STAC item of a map.

    Parameters
    ----------
    scene
        The class raster, open.
    classes
        Its classes, as the extension "classification" has them.
    name
        The item's identifier.
    href
        Where the raster lies, as seen from the item.
    date
        When the ground looked so: RFC 3339, or a day.
    derived_from
        Addresses of what it was made of; by default the names of the inputs that the raster's
        metadata tell of.

    Raises
    ------
    GridError
        It has no place on Earth.
    OptionError
        The date is none.
    """
    grid, band = scene.grid, scene.bands[0]
    if grid.crs is None:
        raise GridError(f"{scene.name} has no coordinate system; a STAC item needs its place")
    ring = _outline(scene)
    lon, lat = [x for x, _ in ring], [y for _, y in ring]
    bbox = [min(lon), min(lat), max(lon), max(lat)]
    code = crs_code(grid.crs)
    t = grid.transform
    properties: dict[str, Any] = {
        "datetime": moment(date),
        "proj:code": code,
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [t.a, t.b, t.c, t.d, t.e, t.f],
        "proj:bbox": list(grid.bounds()),
    }
    if code is None:
        properties["proj:wkt2"] = grid.crs.to_wkt(version="WKT2_2019")
    made = scene.tags.get("GEOSEG_COMMAND")
    if made is not None:
        properties["processing:software"] = {"geoseg": scene.tags.get("GEOSEG_VERSION", "")}
        properties["description"] = made
    if grid.crs.is_projected:
        properties["gsd"] = max(grid.resolution) * float(grid.crs.units_factor[1])
    read = list(derived_from) or _inputs(scene.tags)
    asset_band: dict[str, Any] = {
        "name": "class",
        "data_type": np.dtype(scene.dtype).name,
        "raster:sampling": "area",
        "classification:classes": list(classes),
    }
    if band.nodata is not None and math.isfinite(band.nodata):
        asset_band["nodata"] = band.nodata
    extensions = list(EXTENSIONS)
    if made is not None:
        extensions.append("https://stac-extensions.github.io/processing/v1.2.0/schema.json")
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": extensions,
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "bbox": bbox,
        "properties": properties,
        "links": [{"rel": "derived_from", "href": place, "title": place} for place in read],
        "assets": {
            "map": {
                "href": href,
                "type": _GEOTIFF,
                "title": "classes",
                "roles": ["data", "classification"],
                "bands": [asset_band],
            }
        },
    }


def moment(text: str) -> str:
    """Return a date or time as RFC 3339 in UTC.

    Raises
    ------
    OptionError
        It is none.
    """
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise OptionError(
            f"{text!r} is no date; write 2020-07-14, or 2020-07-14T18:05:00Z"
        ) from error
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def _outline(scene: Scene) -> list[list[float]]:
    """Return the raster's border as longitudes and latitudes, anticlockwise, not closed.

    Raises
    ------
    GridError
        It has no place in degrees, or lies on both sides of the date line.
    """
    grid = scene.grid
    height, width = grid.height, grid.width
    along = [i / _STEPS for i in range(_STEPS)]
    cols = [0] * _STEPS + [s * width for s in along] + [width] * _STEPS
    cols += [(1 - s) * width for s in along]
    rows = [s * height for s in along] + [height] * _STEPS
    rows += [(1 - s) * height for s in along] + [0] * _STEPS
    t = grid.transform
    places = [(float(col), float(row)) for col, row in zip(cols, rows, strict=True)]
    xs = [t.a * col + t.b * row + t.c for col, row in places]
    ys = [t.d * col + t.e * row + t.f for col, row in places]
    lon, lat = transform_points(grid.crs, CRS.from_epsg(4326), xs, ys)
    if not all(map(math.isfinite, [*lon, *lat])):
        raise GridError(f"{scene.name} has no place in degrees; a STAC item needs one")
    if max(lon) - min(lon) > 180:
        raise GridError(f"{scene.name} lies on both sides of the date line; cut it there first")
    ring = [[round(x, _DIGITS), round(y, _DIGITS)] for x, y in zip(lon, lat, strict=True)]
    ends = zip(ring, [*ring[1:], ring[0]], strict=True)
    turning = sum(a[0] * b[1] - b[0] * a[1] for a, b in ends)
    return ring if turning > 0 else ring[::-1]


def _inputs(tags: Mapping[str, str]) -> list[str]:
    """Names of what a raster's metadata say that it was made of: scenes and models."""
    try:
        words = shlex.split(tags.get("GEOSEG_COMMAND", ""))[2:]
    except ValueError:
        return []
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    models = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--model"]
    return list(dict.fromkeys([*words[:first], *models]))
