"""`tectum import`: somebody else's recording as a log of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

__all__ = ["import_"]

_file = click.Path(dir_okay=False, path_type=Path)


@click.command("import", short_help="Make a log of somebody else's recording.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=_file, metavar="LOG", help="The new log.")
@click.option("--list", "only_list", is_flag=True, help="Only show what SOURCE has.")
@click.option(
    "--topic", "topics", multiple=True, metavar="NAME[=TOPIC]",
    help="Import only this (a name, or a pattern with *), under TOPIC: /cam/image_raw=camera. "
    "May be repeated. Default: everything, under names made of its own.",
)  # fmt: skip
@click.option("--start", default="", metavar="TIME", help="From then on: 4.5s after the begin, "
              "or 12:03:10 UTC.")  # fmt: skip
@click.option("--end", default="", metavar="TIME", help="Up to then.")
@click.option("--rig", type=_file, metavar="FILE", help="A rig file, instead of what SOURCE tells.")
@click.option("--format", "format_name", default="", metavar="NAME",
              help="ros2, kitti, nuscenes, pcap, media, sounds. Default: recognized.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="An option of the format: phase=90, rate=5Hz, scene=scene-0061, metadata=FILE, "
              "label=REGEX. May be repeated.")  # fmt: skip
@click.option("--images", type=click.Choice(["jpeg", "raw"]), default="jpeg",
              help="How pictures are stored that are not JPEG already.")  # fmt: skip
@click.option("--compression", type=click.Choice(["none", "lz4", "zstd"]), default="none",
              help="Of the log.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace LOG where it exists.")
@click.option("--json", "as_json", is_flag=True, help="What became of it, as JSON on stdout.")
def import_(
    source: Path,
    output: Path | None,
    topics: tuple[str, ...],
    start: str,
    end: str,
    rig: Path | None,
    format_name: str,
    settings: tuple[str, ...],
    images: str,
    compression: Any,
    *,
    only_list: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a log of SOURCE: a ROS 2 bag, a KITTI folder, nuScenes, a capture file, a video, sounds.

    What it says of calibration becomes the rig. What cannot be read is counted and left out.
    """
    from tectum_launch.importing import (  # noqa: PLC0415 - start-up of the command line
        ImportOrder,
        import_text,
        imported,
        listing,
        listing_text,
    )

    order = ImportOrder(
        source, format_name, settings, topics, start, end, rig,
        raw_images=images == "raw", compression=compression, overwrite=overwrite,
    )  # fmt: skip
    if only_list:
        found = listing(order)
        click.echo(json.dumps(found, indent=1) if as_json else listing_text(found))
        return
    if output is None:
        msg = "name the new log with -o LOG, or look at the source with --list"
        raise click.UsageError(msg)
    with _Bar() as bar:
        document = imported(order, output, bar.show)
    click.echo(json.dumps(document, indent=1) if as_json else import_text(document))


class _Bar:
    """Progress on a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - start-up of the command line
        from rich.progress import Progress  # noqa: PLC0415

        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("messages", total=None)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, count: int, whole: int | None) -> None:
        self._progress.update(self._task, completed=count, total=whole)
