"""`tectum models`: which there are, what a manifest says, how fast one is; pulled and new ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tectum_launch.commands.models_add import add
from tectum_launch.commands.models_bench import bench
from tectum_launch.commands.models_pull import pull

if TYPE_CHECKING:
    from tectum.inference.manifest import Manifest, Variant

__all__ = ["models"]


@click.group()
def models() -> None:
    """List the models that a graph can name; show, pull, measure or add one."""


models.add_command(bench)
models.add_command(add)
models.add_command(pull)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def list_models(*, as_json: bool) -> None:
    """List the models that come with Tectum."""
    from tectum.inference.manifest import read_manifest  # noqa: PLC0415 - start-up
    from tectum_models.catalogue import find, names  # noqa: PLC0415

    manifests = {name: read_manifest(find(name)) for name in names()}
    if as_json:
        tasks = {name: _document(manifest) for name, manifest in manifests.items()}
        click.echo(json.dumps(tasks, indent=1))
        return
    width = max(map(len, manifests))
    for name, manifest in manifests.items():
        click.echo(f"{name:<{width}}  {' '.join(manifest.task.split())}")


@models.command()
@click.argument("name", metavar="MODEL")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Show what MODEL takes and gives, its variants, and where its files are."""
    from tectum.inference.manifest import read_manifest  # noqa: PLC0415 - start-up
    from tectum_models.catalogue import find  # noqa: PLC0415

    manifest = read_manifest(find(name))
    if as_json:
        click.echo(json.dumps(_document(manifest), indent=1))
        return
    for line in _lines(manifest):
        click.echo(line)


def _document(manifest: Manifest) -> dict[str, Any]:
    return {
        "model": manifest.model,
        "version": manifest.version,
        "task": " ".join(manifest.task.split()),
        "licence": manifest.licence,
        "modalities": list(manifest.modalities) or [manifest.modality],
        "on": manifest.on,
        "folder": str(manifest.folder),
        "inputs": [
            {"name": item.name, "kind": item.kind, "dtype": item.dtype, "shape": list(item.shape)}
            for item in manifest.inputs
        ],
        "results": [
            {"name": item.name, "role": item.role, "labels": list(item.labels)}
            for item in manifest.results
        ],
        "variants": [
            {
                "name": variant.name,
                "file": _file(manifest, variant),
                "latency_ms": dict(variant.latency_ms),
                "quality": dict(variant.quality),
            }
            for variant in manifest.variants
        ],
    }


def _lines(manifest: Manifest) -> Iterator[str]:
    document = _document(manifest)
    yield f"{manifest.model} (version {manifest.version}, {manifest.licence})"
    yield document["task"]
    yield f"senses: {', '.join(document['modalities'])}; runs on each {manifest.on}"
    for item in document["inputs"]:
        yield f"  takes {item['name']}: {item['kind']}, {item['dtype']} {item['shape']}"
    for item in document["results"]:
        labels = f" of {len(item['labels'])} labels" if item["labels"] else ""
        yield f"  gives {item['name']}: {item['role']}{labels}"
    for variant in document["variants"]:
        costs = ", ".join(f"{value:g} ms on {key}" for key, value in variant["latency_ms"].items())
        quality = ", ".join(f"{key} {value:g}" for key, value in variant["quality"].items())
        claims = "; ".join(text for text in (costs, quality) if text)
        yield f"  variant {variant['name']}: {variant['file']}" + (f" ({claims})" if claims else "")


def _file(manifest: Manifest, variant: Variant) -> str:
    """Return where the variant's file is, or why it is not there."""
    from tectum.errors import ModelError  # noqa: PLC0415 - start-up
    from tectum.inference.files import find_file  # noqa: PLC0415

    try:
        return str(find_file(manifest, variant))
    except ModelError as error:
        return f"not here: {error}"
