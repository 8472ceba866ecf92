"""Scenes made ready for work: products of known sensors, clear pixels, many dates made one."""
