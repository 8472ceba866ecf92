"""Maps measured: counts, scores, shares, and what geoseg sees of a file."""
