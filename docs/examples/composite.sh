geoseg composite may.tif june.tif july.tif --bands red,nir -o summer.tif
geoseg composite may.tif june.tif july.tif --bands red,nir --cluster local -o fast.tif
