"""Coverage: which share of the ground is of some classes, by cell, by zone or of the whole."""
