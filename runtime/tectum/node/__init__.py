"""Nodes: what one is, and the process and loop it lives in."""
