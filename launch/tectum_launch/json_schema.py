"""A JSON Schema of graph files, for editors that complete keys and check them while one writes.

Read from the classes that validate graph files, so it allows what they allow. What needs several
keys at once (a topic that nobody publishes, a window beyond its buffer) is for `tectum check`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from tectum.errors import ConfigError
from tectum.node.base import NodeConfig
from tectum_launch.draft import config_class
from tectum_launch.inclusion import Include
from tectum_launch.registry import load_node, registered
from tectum_launch.schema import EntryConfig, GraphConfig

__all__ = ["graph_json_schema"]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PLACE = "#/$defs/{model}"
_REFERENCE = {"type": "string", "pattern": r"\$\{"}
"""`${name}`, wherever something else than text is expected."""
_PARAMETER = {"description": "Default value, or {default, description}."}


def graph_json_schema(runs: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the schema; nodes are checked key by key for each of `runs` (default: all names).

    A node whose own libraries are not installed is left open.
    """
    nodes = {run: _config(run) for run in (registered() if runs is None else runs)}
    models: set[type[NodeConfig]] = {EntryConfig, GraphConfig, *filter(None, nodes.values())}
    order = sorted(models, key=_full_name)
    pairs: list[tuple[type[BaseModel], Literal["validation", "serialization"]]]
    pairs = [(model, "validation") for model in order]
    named, document = models_json_schema(pairs, ref_template=_PLACE)
    places = {model: place for (model, _), place in named.items()}
    definitions: dict[str, Any] = document["$defs"]
    entry = _inlined(definitions, places[EntryConfig])
    graph = _inlined(definitions, places[GraphConfig])
    cases = [
        _case(run, entry, _inlined(definitions, places[config]) if config else None)
        for run, config in nodes.items()
    ]
    run = {**entry["properties"]["run"], "anyOf": [{"enum": list(nodes)}, {"pattern": "[:$]"}]}
    properties = {**entry["properties"], "run": run}
    definitions["Node"] = {"type": ["object", "null"], "properties": properties, "allOf": cases}
    schema = {
        "$schema": _DRAFT,
        "title": "Tectum graph",
        "$defs": definitions,
        **_top(graph, definitions),
    }
    return {key: _open(value) for key, value in schema.items()}


def _full_name(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"


def _config(run: str) -> type[NodeConfig] | None:
    try:
        return config_class(load_node(run))
    except ConfigError:
        return None


def _inlined(definitions: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definitions[place["$ref"].rpartition("/")[2]]
    return found


def _case(run: str, entry: dict[str, Any], config: dict[str, Any] | None) -> dict[str, Any]:
    """Return what holds for a node that runs `run`."""
    of_node = {"properties": {"run": {"const": run}}, "required": ["run"]}
    if config is None:
        return {"if": of_node, "then": {}}
    properties = {**config["properties"], **entry["properties"]}
    then = {"description": config.get("description", ""), "properties": properties}
    return {"if": of_node, "then": {**then, "additionalProperties": False}}


def _top(graph: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    include = TypeAdapter(Include).json_schema(ref_template=_PLACE)
    definitions |= include.pop("$defs")
    properties = {
        **graph["properties"],
        "nodes": {
            "type": "object",
            "description": graph["properties"]["nodes"]["description"],
            "additionalProperties": {"$ref": "#/$defs/Node"},
        },
        "parameters": {"type": "object", "additionalProperties": _PARAMETER},
        "include": include,
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _open(schema: Any) -> Any:
    """Return `schema` with `${name}` allowed wherever a value is not text anyhow, nothing required.

    What a file lacks may stand in one that it includes, or that includes it.
    """
    if isinstance(schema, list):
        return [_open(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    opened = {
        key: value if key in ("if", "enum") else _open(value)
        for key, value in schema.items()
        if not (key == "required" and isinstance(value, list))
    }
    narrow = schema.get("type") in ("integer", "number", "boolean", "array") or "enum" in schema
    if not narrow:
        return opened
    aside = {key: opened.pop(key) for key in ("description", "title", "default") if key in opened}
    return {**aside, "anyOf": [opened, _REFERENCE]}
