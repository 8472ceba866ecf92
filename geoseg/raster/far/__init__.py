"""Pixels far away: asked for again where reading fails, and not believed missing at once."""
