"""`tectum view`: a recording in a browser, with a time line to go along."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["browser_option", "view"]

browser_option = click.option(
    "--browser/--no-browser", default=None,
    help="Open a browser, or only say the address. Default: open one where there is a screen.",
)  # fmt: skip


@click.command(short_help="Look at a recording in a browser, at any moment of it.")
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--port", default=0, metavar="N", help="Of this machine. Default: any that is free.")
@browser_option
def view(log: Path, port: int, *, browser: bool | None) -> None:
    """Show LOG in a browser until Ctrl-C: pictures, sound, clouds, answers, and why they came.

    Space plays and pauses, the arrow keys go a second on or back (with shift: ten), `n` goes to
    the next trigger that was not complete.
    """
    from tectum.clock import GraphClock  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.browser import open_page  # noqa: PLC0415
    from tectum_nodes.dashboard.viewing import Viewing  # noqa: PLC0415

    with Viewing(log, GraphClock(), port=port) as viewing:
        for complaint in viewing.recorded.reader.complaints:
            click.echo(f"tectum: {log}: {complaint}", err=True)
        click.echo(f"{log} is shown at {viewing.address} until Ctrl-C")
        open_page(viewing.address, browser)
        try:
            viewing.play()
        except KeyboardInterrupt:
            click.echo("")
