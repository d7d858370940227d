"""`python -m tectum_launch`: the same as `tectum`."""

from tectum_launch.cli import main

main(prog_name="tectum")
