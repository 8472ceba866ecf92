"""Outputs appear whole or not at all, and what a stopped run finished is kept for the next."""
