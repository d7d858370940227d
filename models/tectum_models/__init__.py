"""The shipped models: one folder each, with its manifest and its exported variants."""
