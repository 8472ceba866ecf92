"""Models run over scenes: tiles blended into maps, and maps cleaned."""
