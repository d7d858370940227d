"""`tectum models bench`: how long a model takes here, by variant and device."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tectum.inference.device import Device
    from tectum.inference.manifest import Manifest
    from tectum.inference.measure import Latency

__all__ = ["bench"]


@click.command(short_help="Measure a model, and note it in its manifest.")
@click.argument("name", metavar="MODEL")
@click.option("--device", "names", multiple=True, help="Measure on this device; may be repeated. "
              "Default: the CPU, and the GPU if there is one.")  # fmt: skip
@click.option("--repeats", type=click.IntRange(1, 10_000), default=50, help="Runs of each.")
@click.option("--write/--no-write", default=True, help="Note the medians in the manifest.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def bench(name: str, names: tuple[str, ...], repeats: int, *, write: bool, as_json: bool) -> None:
    """Measure every variant of MODEL, on the sample that it warms up with.

    The medians become `latency_ms` of its manifest, which `tectum check` and the planner of a
    fusion node go by until they have measured themselves.
    """
    from tectum.inference.manifest import read_manifest  # noqa: PLC0415 - start-up
    from tectum_launch.model_folder import write_latencies  # noqa: PLC0415
    from tectum_models.catalogue import find  # noqa: PLC0415

    folder = Path(find(name))
    manifest = read_manifest(folder)
    medians: dict[str, dict[str, float]] = {}
    for device in _devices(names):
        latencies: list[Latency] = []
        for latency in _measured(manifest, device, repeats):
            latencies.append(latency)
            medians.setdefault(latency.variant, {})[device.name] = latency.median_ms
            click.echo(_line(device.name, latency), err=as_json)
        for line in _warnings(device.name, latencies):
            click.echo(line, err=True)
    if as_json:
        click.echo(json.dumps({"model": manifest.model, "latency_ms": medians}, indent=1))
    if write:
        write_latencies(folder, medians)


def _devices(names: Sequence[str]) -> list[Device]:
    """Return the devices that are asked for, which must be there; else what a graph would use."""
    from tectum.inference.device import CPU, choose_device  # noqa: PLC0415 - start-up

    if names:
        return [choose_device(name) for name in names]
    best = choose_device()
    return [best, CPU] if best.is_gpu else [CPU]


def _measured(manifest: Manifest, device: Device, repeats: int) -> Iterator[Latency]:
    from tectum.clock import GraphClock  # noqa: PLC0415 - start-up
    from tectum.inference.measure import measure  # noqa: PLC0415
    from tectum.inference.stages import model_stage  # noqa: PLC0415

    stage = model_stage(manifest, device)
    try:
        for variant in stage.variants:
            yield measure(stage, variant, GraphClock(), repeats)
    finally:
        stage.close()


def _warnings(device: str, latencies: Sequence[Latency]) -> Iterator[str]:
    from tectum.inference.measure import no_faster  # noqa: PLC0415 - start-up

    for cheaper, better in no_faster(latencies):
        yield (
            f"warning: {cheaper} is no faster than {better} on {device}: a graph that is late "
            "gains nothing by it there"
        )


def _line(device: str, latency: Latency) -> str:
    from tectum.units import duration_text  # noqa: PLC0415 - start-up

    p50, p99 = (duration_text(latency.quantile_ns(share)) for share in (0.5, 0.99))
    return f"{latency.variant} on {device}: {p50} (p99 {p99}) of {len(latency.runs_ns)} runs"
