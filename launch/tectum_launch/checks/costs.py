"""What one run of a stage costs: measured on this machine, or assumed from a file.

A file names fusion nodes, their stages and, where they differ, the variants:

    perception:
      encode_camera: {fp32: 12ms, int8: 4ms}
      head: 1ms

What neither says is what the manifests claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tectum.clock import GraphClock
from tectum.errors import ConfigError
from tectum.inference.keys import Keys
from tectum.inference.measure import measure
from tectum.units import duration_text, parse_duration_ns
from tectum_launch.graph import Graph, fusion_config

__all__ = ["Costs", "costs_text", "measured_costs", "read_costs"]

Costs = Mapping[str, Mapping[str, int]]
"""Fusion node -> `stage/variant` -> ns."""

_SHARE = 0.99
"""A budget is kept when nearly all runs keep it."""


def read_costs(path: Path, graph: Graph) -> Costs:
    """Return the costs in the file at `path`.

    Raises:
        ConfigError: it cannot be read, or names a node, stage or variant that `graph` lacks.
    """
    document = Keys(_parse(path), str(path))
    costs: dict[str, dict[str, int]] = {}
    for node in graph.nodes:
        if node.fusion is None:
            continue
        stages = document.below(node.name)
        costs[node.name] = {}
        for stage in node.fusion.plan.stages:
            for variant, cost in _of_stage(stages, stage.name, stage.variants).items():
                costs[node.name][f"{stage.name}/{variant}"] = cost
        stages.finish()
    document.finish()
    return costs


def measured_costs(graph: Graph, repeats: int = 30) -> Costs:
    """Return how long each stage of `graph` takes here, at p99, on the sample it warms up with.

    Raises:
        TectumError: a stage cannot be built.
    """
    from tectum_nodes.fusion import FusionConfig, build_stages  # noqa: PLC0415 - loads all of it

    costs: dict[str, dict[str, int]] = {}
    for node in graph.nodes:
        if node.fusion is None:
            continue
        config = FusionConfig.model_validate(fusion_config(node.fusion, graph.rig))
        stages = build_stages(node.fusion.plan, config)
        costs[node.name] = {
            f"{name}/{variant}": measure(stage, variant, GraphClock(), repeats).quantile_ns(_SHARE)
            for name, stage in stages.items()
            for variant in stage.variants
        }
        for stage in stages.values():
            stage.close()
    return costs


def costs_text(costs: Costs) -> str:
    """Return `costs` as a file that `read_costs` takes."""
    lines = []
    for node, table in costs.items():
        lines.append(f"{node}:")
        stages: dict[str, list[str]] = {}
        for key, cost in table.items():
            stage, _, variant = key.partition("/")
            stages.setdefault(stage, []).append(f"{variant}: {_exact_text(cost)}")
        lines += [f"  {stage}: {{{', '.join(told)}}}" for stage, told in stages.items()]
    return "\n".join([*lines, ""])


def _of_stage(stages: Keys, name: str, variants: tuple[str, ...]) -> dict[str, int]:
    """Return variant -> ns; one duration is the cost of every variant."""
    value = stages.rest_of(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(variants, _duration(stages, name, value))
    table = Keys(value, stages.place, stages.at(name))
    costs = {
        variant: _duration(table, variant, given)
        for variant in variants
        if (given := table.rest_of(variant)) is not None
    }
    table.finish()
    return costs


def _duration(keys: Keys, key: str, value: object) -> int:
    try:
        return parse_duration_ns(value)
    except ConfigError as error:
        raise keys.error(value, key, "a duration, such as 12ms") from error


def _exact_text(cost_ns: int) -> str:
    return duration_text(cost_ns).replace(" ", "")


def _parse(path: Path) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up of the command line
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error
    except YAMLError as error:
        msg = f"{path} is not YAML: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error
