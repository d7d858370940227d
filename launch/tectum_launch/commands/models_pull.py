"""`tectum models pull`: other people's model files, fetched, checked and installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tectum.inference.manifest import Manifest
    from tectum_models.pulling import Progress, Pulled

__all__ = ["pull"]


@click.command(short_help="Fetch a model that Tectum does not ship.")
@click.argument("names", nargs=-1, metavar="MODEL...")
@click.option("--all", "everything", is_flag=True, help="Every model that can be pulled.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Install there; name it in TECTUM_MODELS then. Default: your own folder of "
              "models.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def pull(names: tuple[str, ...], into: Path | None, *, everything: bool, as_json: bool) -> None:
    """Fetch the files of each MODEL from where its manifest says, check and install them.

    A file in a folder that TECTUM_MODELS names is taken from there. A download that was cut goes
    on where it was. A file whose hash is not the manifest's is refused, and nothing is kept of it.
    """
    from tectum.errors import ModelError  # noqa: PLC0415 - start-up
    from tectum_models.pulling import pull as pull_model  # noqa: PLC0415

    done: dict[str, list[Pulled]] = {}
    failed: list[str] = []
    for manifest in _wanted(names, everything=everything):
        try:
            with _bar(quiet=as_json) as progress:
                done[manifest.model] = pull_model(manifest, progress, into)
        except ModelError as error:
            if not everything:
                raise
            failed.append(str(error))
            click.echo(f"tectum: {error}", err=True)
            continue
        for item in done[manifest.model]:
            click.echo(_line(manifest, item), err=as_json)
    if as_json:
        click.echo(json.dumps({"pulled": _documents(done), "failed": failed}, indent=1))
    if failed:
        raise SystemExit(1)


def _wanted(names: tuple[str, ...], *, everything: bool) -> list[Manifest]:
    from tectum.errors import ConfigError  # noqa: PLC0415 - start-up
    from tectum.inference.manifest import read_manifest  # noqa: PLC0415
    from tectum_models.catalogue import find  # noqa: PLC0415
    from tectum_models.catalogue import names as shipped  # noqa: PLC0415

    foreign = [
        manifest
        for manifest in (read_manifest(find(name)) for name in shipped())
        if any(variant.source for variant in manifest.variants)
    ]
    if everything:
        return foreign
    if not names:
        known = ", ".join(manifest.model for manifest in foreign)
        msg = f"name the models to pull, or say --all; there are: {known}"
        raise ConfigError(msg)
    wanted = [read_manifest(find(name)) for name in names]
    for manifest in wanted:
        if not any(variant.source for variant in manifest.variants):
            msg = f"{manifest.model} comes with Tectum: there is nothing to pull"
            raise ConfigError(msg)
    return wanted


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Progress]:
    """Give what draws a progress bar, where a terminal is."""
    from rich.console import Console  # noqa: PLC0415 - start-up
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    tasks: dict[str, TaskID] = {}
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bars:

        def draw(name: str, have: int, of: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=of)
            bars.update(tasks[name], completed=have)

        yield draw


def _line(manifest: Manifest, item: Pulled) -> str:
    state = f"from {item.origin}" if item.origin else "is here, and whole"
    return f"{manifest.model} ({manifest.licence}): {item.path} {state}"


def _documents(done: dict[str, list[Pulled]]) -> dict[str, list[dict[str, object]]]:
    return {
        model: [
            {"variant": item.variant, "path": str(item.path), "origin": item.origin,
             "bytes": item.nbytes}
            for item in items
        ]
        for model, items in done.items()
    }  # fmt: skip
