"""Fusion rules over decisions, and the geometry of fusing objects."""
