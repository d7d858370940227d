"""`--set a.b=c` and nodes of options: what a command line puts into the tree of a graph file.

Before validation, so that a wrong value is reported like one of the file. Values are YAML; a path
that names a node or an input must exist, other keys may be new. A parameter of the graph is set by
its bare name: `--set clip=talk.mpg`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tectum_launch.document import Document, parse_value
from tectum_launch.findings import Finding, GraphError, KeyPath, Place, allowed_names

__all__ = ["Addition", "add_nodes", "apply_overrides"]

_NAMED = ("nodes", "inputs")
"""Keys below these are names that the file gave: `--set` never invents one."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A node that an option of the command line adds to a graph."""

    name: str
    entry: dict[str, Any]
    option: str
    """What findings about it name as their place: `--record drive.mcap`."""


def add_nodes(document: Document, additions: Iterable[Addition]) -> None:
    """Add nodes to the tree; a name that the graph has already gets a number."""
    nodes = document.tree.get("nodes")
    if not isinstance(nodes, dict):
        return  # which is an error of the file, and reported as one
    for addition in additions:
        name, number = addition.name, 2
        while name in nodes:
            name, number = f"{addition.name}_{number}", number + 1
        nodes[name] = addition.entry
        document.keys["nodes", name] = document.values["nodes", name] = Place(addition.option)


def apply_overrides(document: Document, settings: Iterable[str]) -> None:
    """Put each `a.b=c` of `settings` into the tree; what is wrong becomes a finding."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        place = Place(f"--set {setting}")
        if not equals or not key.strip():
            message = "expected KEY.KEY=VALUE, such as nodes.camera.rate=15Hz"
            document.findings.append(Finding(place, (), message))
            continue
        try:
            value = parse_value(text)
        except GraphError as error:
            document.findings.append(Finding(place, (), error.findings[0].message, text))
            continue
        _set(document, _path(document, key.strip()), value, place)


def _path(document: Document, key: str) -> KeyPath:
    parts = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    parameters = document.tree.get("parameters")
    if len(parts) == 1 and isinstance(parameters, dict) and parts[0] in parameters:
        return ("parameters", parts[0])
    return parts


def _set(document: Document, path: KeyPath, value: Any, place: Place) -> None:
    target: Any = document.tree
    for depth, part in enumerate(path[:-1]):
        above = path[depth - 1] if depth else ""
        if isinstance(target, dict) and part not in target and above not in _NAMED:
            target[part] = {}
        problem = _missing(target, part)
        if problem:
            document.findings.append(Finding(place, path[: depth + 1], problem, value))
            return
        target = target[part]
    problem = _unsettable(target, path)
    if problem:
        document.findings.append(Finding(place, path, problem, value))
        return
    target[path[-1]] = value
    document.keys[path] = document.values[path] = place


def _missing(target: Any, part: str | int) -> str:
    """Return why `target` has nothing at `part`, or an empty string."""
    if isinstance(target, dict):
        return "" if part in target else f"no {part!r} here{allowed_names(part, target)}"
    if isinstance(target, list) and isinstance(part, int):
        return "" if part < len(target) else f"the list has {len(target)} items, numbered from 0"
    return f"{target!r} has no {part!r} in it"


def _unsettable(target: Any, path: KeyPath) -> str:
    if isinstance(target, dict) and not (len(path) > 1 and path[-2] in _NAMED):
        return ""
    return _missing(target, path[-1])
