"""How good a graph's answers are on recordings: offline, streaming, and when something is wrong."""
