"""Classes: their ids, names and colours; how files say them, and how programs are told.

`classes` knows no files. `written` reads what people write, `carried` what rasters say themselves,
`far` the same of rasters on a server; `style` is for QGIS and GDAL.
"""

from geoseg.raster.legend.classes import NODATA, Color, Legend, LegendClass, Ramp

__all__ = ["NODATA", "Color", "Legend", "LegendClass", "Ramp"]
