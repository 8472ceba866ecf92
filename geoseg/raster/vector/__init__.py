"""Polygons in, footprints out: the only package that reads and writes vector files.

Importing it is slow (GEOS, GDAL's vector side), so modules import it only where polygons are at
hand.
"""

from geoseg.raster.vector.digest import fingerprint_polygons
from geoseg.raster.vector.options import configured
from geoseg.raster.vector.reading import (
    Features,
    Purpose,
    Region,
    crs_of,
    read_features,
    read_region,
    read_tags,
)
from geoseg.raster.vector.writing import (
    fields_of,
    points_at,
    wgs84,
    write_footprints,
    write_layer,
)

__all__ = [
    "Features",
    "Purpose",
    "Region",
    "configured",
    "crs_of",
    "fields_of",
    "fingerprint_polygons",
    "points_at",
    "read_features",
    "read_region",
    "read_tags",
    "wgs84",
    "write_footprints",
    "write_layer",
]
