"""`tectum demo`: the simulated drive, fused in front of you."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from tectum_launch.commands.view import browser_option

__all__ = ["demo"]


@click.command(short_help="Watch a simulated drive being fused; needs no sensors, no network.")
@click.option("--duration", default="15s", metavar="TIME", help="How long to drive. Default: 15s.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("tectum-demo"),
    metavar="DIR",
    help="Where report, recording and picture are left. Default: tectum-demo.",
)
@click.option("--seed", default=50, metavar="N", help="Of the simulated world. Default: 50.")
@click.option("--weather", default="day", metavar="NAME", help="day, dusk, fog or rain.")
@browser_option
@click.pass_context
def demo(
    ctx: click.Context,
    duration: str,
    folder: Path,
    seed: int,
    weather: str,
    *,
    browser: bool | None,
) -> None:
    """Watch a simulated drive being fused: a camera, a lidar and a microphone.

    Needs no sensors and no network. In the middle the camera fails for a while.
    """
    from tectum.units import parse_duration_ns  # noqa: PLC0415 - start-up of the command line
    from tectum_launch.browser import has_browser  # noqa: PLC0415
    from tectum_launch.demo import run_demo  # noqa: PLC0415
    from tectum_launch.demo_words import demo_words  # noqa: PLC0415

    served = find_spec("aiohttp") is not None
    if browser and not served:
        msg = "--browser needs the extra `ui`: pip install 'tectum[ui]'"
        raise click.UsageError(msg)
    page = served and (has_browser() if browser is None else browser)
    duration_ns = parse_duration_ns(duration)
    done = run_demo(folder, duration_ns=duration_ns, seed=seed, weather=weather, page=page)
    for line in demo_words(done):
        click.echo(line)
    ctx.exit(done.exit_code)
