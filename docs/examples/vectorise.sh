geoseg vectorise labels.tif --min-area 1ha --simplify 2px -o labels.gpkg
