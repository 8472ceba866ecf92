"""What others drew or coded, brought to classes; images and labels, checked together."""
