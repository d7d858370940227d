"""The commands of `tectum`, one file each. Heavy imports stay inside the functions."""
