"""Cloud Optimized GeoTIFFs: finished pixels in, one whole file with smaller copies out."""
