"""From scenes and labels to a data set of patches."""
