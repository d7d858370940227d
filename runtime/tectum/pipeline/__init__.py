"""The pipeline: facts in, orders out."""
