"""Georeferenced pixels: the only floor that reads and writes rasters."""
