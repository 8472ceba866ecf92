"""What is measured beyond counts of a whole map: rows of class indices in, numbers out."""
