"""Graph files to checked plans to running processes; the command line; embedding."""
