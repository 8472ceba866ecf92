"""Files of polygons that grow by batches and appear when they are whole."""
