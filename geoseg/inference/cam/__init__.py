"""Class activation maps of a whole scene, and weak labels made of them."""
