"""Composites that Google Earth Engine computes: the only place that imports its client."""
