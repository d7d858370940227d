"""The dashboard: a graph at work, in a browser. `node` is the node, `page/` what a browser gets."""
