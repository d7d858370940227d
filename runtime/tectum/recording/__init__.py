"""Recordings: MCAP files that others can open, and the journal."""
