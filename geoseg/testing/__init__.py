"""Scenes and labels made to order, for tests, benchmarks and the demo."""
