geoseg pansharpen ms.tif pan.tif -o sharp.tif
