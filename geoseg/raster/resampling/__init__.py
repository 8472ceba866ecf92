"""Pixels of one grid out of those of another."""
