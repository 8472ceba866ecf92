"""Learning a network from a data set of patches."""
