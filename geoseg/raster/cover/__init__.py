"""What polygons and cells cover of pixels, exactly, and where on the ground that lies."""
