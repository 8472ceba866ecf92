geoseg vectorise labels.tif -o plots.gpkg
geoseg rasterise plots.gpkg --like scene.tif --field name -o drawn.tif
