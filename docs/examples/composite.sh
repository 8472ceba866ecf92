geoseg composite may.tif june.tif july.tif --bands red,nir -o summer.tif
