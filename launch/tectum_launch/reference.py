"""What a node is, for people: its outputs, its keys, their types, defaults and meaning.

Read from the class and its configuration, so it cannot disagree with what a graph accepts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tectum.clock import NS_PER_MS, NS_PER_S, NS_PER_US
from tectum.node.base import Node, NodeConfig
from tectum_launch.draft import config_class
from tectum_launch.registry import load_node, target_of

__all__ = ["NodeReference", "node_reference"]


@dataclass(frozen=True, slots=True)
class NodeReference:
    """One node and the configuration that a graph gives it."""

    run: str
    target: str
    node: type[Node]
    config: type[NodeConfig]

    def text(self) -> str:
        """Return it for a terminal."""
        outputs = ", ".join(f"{name} ({kind})" for name, kind in self.node.outputs.items())
        lines = [
            f"{self.run}  ({self.target})",
            _first_paragraph(self.node.__doc__),
            "",
            f"outputs: {outputs or 'none, or as its configuration says'}",
            f"on_exit: {self.node.on_exit} unless the graph says otherwise",
            "",
        ]
        for name, field in self.config.model_fields.items():
            lines.append(f"  {field.alias or name}: {_default(self.config, name, field)}")
            lines.append(f"      {' '.join((field.description or '').split())}")
        return "\n".join(lines)

    def rows(self) -> list[str]:
        """Return its keys as the rows of a Markdown table: name, default, meaning."""
        rows = []
        for name, field in self.config.model_fields.items():
            default = _default(self.config, name, field)
            shown = f"`{default}`" if default and not default.startswith("(") else default
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            rows.append(f"| `{field.alias or name}` | {shown} | {meaning} |")
        return rows

    def document(self) -> dict[str, Any]:
        """Return it as plain data, the configuration as a JSON schema."""
        return {
            "run": self.run,
            "class": self.target,
            "doc": _first_paragraph(self.node.__doc__),
            "outputs": {name: kind.value for name, kind in self.node.outputs.items()},
            "on_exit": self.node.on_exit,
            "config": self.config.model_json_schema(),
        }


def node_reference(run: str) -> NodeReference:
    """Return what is known of the node that `run` names.

    Raises:
        ConfigError: there is no such node, or it cannot be imported.
    """
    node = load_node(run)
    return NodeReference(run, target_of(run), node, config_class(node))


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def _default(config: type[NodeConfig], name: str, field: FieldInfo) -> str:
    """Return the default as it would be written in a graph file."""
    if field.is_required():
        return "(must be given)"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return "(not given)"
    written = config.model_construct(**{name: value}).model_dump(mode="json", include={name})[name]
    if isinstance(written, str) and written.endswith("ns") and written[:-2].isdigit():
        return _shortest(int(written[:-2]))
    return json.dumps(written) if isinstance(written, (bool, list, dict)) else str(written)


def _shortest(duration_ns: int) -> str:
    """Return a duration in the largest unit that keeps it whole."""
    for unit, size_ns in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        if duration_ns % size_ns == 0:
            return f"{duration_ns // size_ns}{unit}"
    return f"{duration_ns}ns"
