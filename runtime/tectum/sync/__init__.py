"""Alignment: which sample of an input belongs to a trigger."""
