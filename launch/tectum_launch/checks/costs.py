"""What runs and ways cost, assumed from a file: how long stages take and samples are on their way.

A file names fusion nodes, their stages and, where they differ, the variants; per input, the time
from the end of a capture to its arrival; and the bytes of a message, where its node does not tell:

    perception:
      encode_camera: {fp32: 12ms, int8: 4ms}
      head: 1ms
      transport: {camera: 8ms}
      bytes: {camera: 6.2MB}

Times are those that 99 of 100 keep. What a file does not say is what the manifests claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError
from tectum.inference.keys import Keys
from tectum.pipeline.plan import Plan
from tectum.units import duration_text, parse_duration_ns, parse_size
from tectum_launch.graph import Graph

__all__ = ["Costs", "NodeCosts", "costs_text", "read_costs"]


@dataclass(frozen=True, slots=True)
class NodeCosts:
    """Of one fusion node, as far as they were measured or assumed."""

    stages: Mapping[str, int] = field(default_factory=dict)
    """`stage/variant` -> ns."""
    transport: Mapping[str, int] = field(default_factory=dict)
    """Input -> ns from the end of its capture to its arrival."""
    nbytes: Mapping[str, int] = field(default_factory=dict)
    """Input -> bytes of a message."""


Costs = Mapping[str, NodeCosts]
"""Fusion node -> its costs."""


def read_costs(path: Path, graph: Graph) -> Costs:
    """Return the costs in the file at `path`.

    Raises:
        ConfigError: it cannot be read, or names a node, stage, variant or input that `graph` lacks.
    """
    document = Keys(_parse(path), str(path))
    costs = {
        node.name: _of_node(document.below(node.name), node.fusion.plan)
        for node in graph.nodes
        if node.fusion
    }
    document.finish()
    return costs


def costs_text(costs: Costs) -> str:
    """Return `costs` as a file that `read_costs` takes."""
    lines = []
    for node, table in costs.items():
        lines.append(f"{node}:")
        stages: dict[str, list[str]] = {}
        for key, cost in table.stages.items():
            stage, _, variant = key.partition("/")
            stages.setdefault(stage, []).append(f"{variant}: {_exact_text(cost)}")
        ways = [f"{name}: {_exact_text(way)}" for name, way in table.transport.items()]
        if ways:
            stages["transport"] = ways
        lines += [f"  {stage}: {{{', '.join(told)}}}" for stage, told in stages.items()]
    return "\n".join([*lines, ""])


def _of_node(keys: Keys, plan: Plan) -> NodeCosts:
    stages = {
        f"{stage.name}/{variant}": cost
        for stage in plan.stages
        for variant, cost in _of_stage(keys, stage.name, stage.variants).items()
    }
    inputs = tuple(item.name for item in plan.inputs)
    transport = _table(keys.below("transport"), inputs, _duration)
    nbytes = _table(keys.below("bytes"), inputs, _size)
    keys.finish()
    return NodeCosts(stages, transport, nbytes)


def _of_stage(stages: Keys, name: str, variants: tuple[str, ...]) -> dict[str, int]:
    """Return variant -> ns; one duration is the cost of every variant."""
    value = stages.rest_of(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(variants, _duration(stages, name, value))
    return _table(Keys(value, stages.place, stages.at(name)), variants, _duration)


def _table(
    keys: Keys, names: tuple[str, ...], read: Callable[[Keys, str, object], int]
) -> dict[str, int]:
    """Return what stands at each of `names` that is there; other keys are refused."""
    values = {name: keys.rest_of(name) for name in names}
    keys.finish()
    return {name: read(keys, name, value) for name, value in values.items() if value is not None}


def _duration(keys: Keys, key: str, value: object) -> int:
    try:
        return parse_duration_ns(value)
    except ConfigError as error:
        raise keys.error(value, key, "a duration, such as 12ms") from error


def _size(keys: Keys, key: str, value: object) -> int:
    try:
        return parse_size(value)
    except ConfigError as error:
        raise keys.error(value, key, "a size, such as 6.2MB") from error


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
