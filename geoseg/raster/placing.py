"""A grid around polygons, and where on Earth a grid lies."""

from __future__ import annotations

import math
import re

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from geoseg.errors import GridError, OptionError, VectorError
from geoseg.raster.cog.head import crs_definition
from geoseg.raster.grid import Grid, crs_text
from geoseg.raster.resampling.regrid import parse_crs

_SNAP = 1e-3
"""A border this near to a multiple of the pixel, in pixels, lies on it."""
_LONGITUDE_LATITUDE = "EPSG:4326"
_SIDE = np.linspace(0, 1, 33)
_NUMBERS = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

Points = NDArray[np.float64]


def grid_around(
    source: str, *, resolution: float, crs: str | None = None, box: bool | None = None
) -> Grid:
    """Return the grid of square pixels that covers an area.

    Borders of pixels lie at multiples of their size; rows run east, columns south.

    Parameters
    ----------
    source
        A vector file of polygons, or ``"xmin,ymin,xmax,ymax"`` in `crs`.
    resolution
        Side of a pixel in units of the coordinate system.
    crs
        Coordinate system, EPSG:32633 say; by default that UTM zone (of WGS 84) in which the middle
        of the area lies.
    box
        Whether `source` is four numbers; by default it is looked at.

    Raises
    ------
    OptionError
        The resolution is not above 0, the system is not known, or numbers have none.
    VectorError
        The file cannot be read, or has no coordinate system.
    GridError
        The area does not lie where the coordinate system is defined, or no UTM zone holds it.
    """
    if not (math.isfinite(resolution) and resolution > 0):
        raise OptionError(f"pixels of {resolution:g} have no area; give a size above 0")
    wanted = None if crs is None else parse_crs(crs)
    if _is_box(source) if box is None else box:
        if wanted is None:
            raise OptionError(
                f"the region {source} is numbers of no coordinate system; say which (--crs)"
            )
        xmin, ymin, xmax, ymax = (float(n) for n in _NUMBERS.findall(source))
        if not (xmin < xmax and ymin < ymax):
            raise VectorError(
                f"the region {source} is empty: give xmin,ymin,xmax,ymax with xmin < xmax and "
                "ymin < ymax"
            )
        return _lattice(wanted, np.array([[xmin, ymin], [xmax, ymax]]), resolution)
    points, here = _border(source)
    if wanted is None:
        wanted = utm_zone(_moved(points, here, _LONGITUDE_LATITUDE, source))
    return _lattice(wanted, _moved(points, here, crs_definition(wanted), source), resolution)


def utm_zone(places: Points) -> CRS:
    """Return the UTM zone (WGS 84) of the middle of some places.

    Parameters
    ----------
    places
        (n, 2): longitude and latitude in degrees.

    Raises
    ------
    GridError
        They lie too near to a pole, or far apart.
    """
    (west, south), (east, north) = places.min(axis=0), places.max(axis=0)
    if east - west > 180:
        raise GridError(
            "the region reaches around half of the Earth, or across the 180th meridian, where no "
            "UTM zone holds it; choose a coordinate system (--crs)"
        )
    longitude, latitude = (west + east) / 2, (south + north) / 2
    if not -80 <= latitude <= 84:
        raise GridError(
            f"no UTM zone reaches latitude {latitude:.1f}°; choose a coordinate system (--crs)"
        )
    zone = min(60, math.floor((longitude + 180) / 6) % 60 + 1)
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def outline(grid: Grid) -> list[tuple[float, float]]:
    """Return where a grid's border runs: longitudes and latitudes (WGS 84), in degrees, closed.

    Longitudes run on beyond 180° where the border crosses that meridian.

    Raises
    ------
    GridError
        The grid has no coordinate system, or lies where its own is not defined.
    """
    if grid.crs is None:
        raise GridError("the grid has no coordinate system, so where it lies is not known")
    zero, one = np.zeros_like(_SIDE), np.ones_like(_SIDE)
    rows = np.concatenate([zero, _SIDE, one, _SIDE[::-1]]) * grid.height
    cols = np.concatenate([_SIDE, one, _SIDE[::-1], zero]) * grid.width
    t = grid.transform
    xy = np.column_stack([t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f])
    lonlat = _moved(xy, crs_definition(grid.crs), _LONGITUDE_LATITUDE, "the grid")
    lonlat[:, 0] = np.unwrap(lonlat[:, 0], period=360)
    return [(float(longitude), float(latitude)) for longitude, latitude in lonlat]


def definition(grid: Grid) -> tuple[str, bool]:
    """Return a grid's coordinate system as text, and whether that is a code of EPSG.

    What has none is WKT of version 1, which every program reads.

    Raises
    ------
    GridError
        The grid has no coordinate system.
    """
    if grid.crs is None:
        raise GridError("the grid has no coordinate system, so where it lies is not known")
    text = crs_definition(grid.crs)
    if text.startswith("EPSG:"):
        return text, True
    return str(grid.crs.to_wkt()), False


def is_metric(crs: str | None) -> bool:
    """Tell whether a coordinate system, by default a UTM zone, has metres for units.

    Raises
    ------
    OptionError
        It is not known.
    """
    if crs is None:
        return True
    system = parse_crs(crs)
    return bool(system.is_projected and system.linear_units_factor[1] == 1)


def _is_box(source: str) -> bool:
    parts = [part for part in re.split(r"[,;\s]+", source.strip()) if part]
    return len(parts) == 4 and all(_NUMBERS.fullmatch(part) for part in parts)


def _border(source: str) -> tuple[Points, str]:
    """Vertices of polygons, close enough to each other to bend, and their coordinate system."""
    from geoseg.raster.vector import Purpose, read_features  # noqa: PLC0415 — imports geopandas

    features = read_features(
        source,
        purpose=Purpose(
            name="a region",
            hint="a region is a file of polygons, or xmin,ymin,xmax,ymax together with --crs",
        ),
    )
    if features.crs is None:
        raise VectorError(
            f"{source} has no coordinate system, so nobody knows where it lies; give it one"
        )
    shapes = features.shapes[~shapely.is_empty(features.shapes)]
    if not len(shapes):
        raise VectorError(f"{source} holds no polygon; a region needs some")
    xmin, ymin, xmax, ymax = shapely.total_bounds(shapes)
    longest = max(xmax - xmin, ymax - ymin) / 200
    bent = shapely.segmentize(shapes, longest) if longest > 0 else shapes
    points: Points = shapely.get_coordinates(bent)
    return points, features.crs


def _moved(points: Points, here: str, there: str, source: str) -> Points:
    """Transform (n, 2) x and y to another coordinate system."""
    try:
        move = pyproj.Transformer.from_crs(here, there, always_xy=True)
        moved = np.column_stack(move.transform(points[:, 0], points[:, 1]))
    except ProjError as error:
        words = " ".join(str(error).split())
        raise GridError(f"{source}: its coordinate system cannot be used: {words}") from error
    if not np.isfinite(moved).all():
        raise GridError(
            f"{source} reaches beyond where the coordinate system {there[:40]} is defined; choose "
            "another (--crs)"
        )
    return moved


def _lattice(crs: CRS, points: Points, side: float) -> Grid:
    low, high = points.min(axis=0) / side, points.max(axis=0) / side
    west, south = (math.floor(value + _SNAP) for value in low)
    east, north = (math.ceil(value - _SNAP) for value in high)
    height, width = max(1, north - south), max(1, east - west)
    if max(height, width) > 1 << 24:
        raise GridError(
            f"{width} × {height} pixels of {side:g} are needed to cover the region in "
            f"{crs_text(crs)}; is the size of a pixel in its units?"
        )
    return Grid(
        crs=crs,
        transform=Affine(side, 0.0, west * side, 0.0, -side, north * side),
        height=height,
        width=width,
    )
