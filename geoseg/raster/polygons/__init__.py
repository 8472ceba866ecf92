"""Class rasters as polygons that share their borders, traced in bands of rows."""
