"""geoseg turns satellite and aerial scenes into maps.

Importing the package costs nothing: torch, rasterio and geopandas are imported by the modules that
use them.
"""

__version__ = "0.1.0"
