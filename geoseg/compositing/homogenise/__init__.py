"""Many images to one colour; see `geoseg.compositing.homogenise.run`."""
