"""Latency: what computations cost, and what still fits before a deadline."""
