"""`--set a.b=c` and `${name}`: values that come from outside the file, put into its tree.

Both happen before validation, so that a wrong value is reported like one of the file. `--set`
values are YAML; a path that names a node or an input must exist, other keys may be new. `${name}`
is a parameter of the graph (`parameters:`), else an environment variable; `${name:-default}` has
a default. A parameter is also set by its bare name: `--set clip=talk.mpg`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tectum.errors import nearest_name
from tectum_launch.document import Document, parse_value
from tectum_launch.findings import Finding, GraphError, KeyPath, Place, allowed_names

__all__ = ["Addition", "add_nodes", "apply_overrides", "fill_parameters"]

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
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


def fill_parameters(document: Document, environment: Mapping[str, str] | None = None) -> None:
    """Replace every `${name}` in the tree; a name without a value becomes a finding."""
    filler = _Filler(document, os.environ if environment is None else environment)
    for key, value in document.tree.items():
        if key != "parameters":
            document.tree[key] = filler.filled(value, (key,))
    document.tree.pop("parameters", None)


class _Filler:
    """Replaces references in one document: to its parameters, then to the environment."""

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self._document = document
        self._environment = environment
        self._parameters = document.tree.get("parameters", {})
        if not isinstance(self._parameters, dict):
            document.report(("parameters",), "expected `name: default value` lines here")
            self._parameters = {}

    def filled(self, value: Any, path: KeyPath) -> Any:
        """Return `value` with its references replaced, at every depth."""
        if isinstance(value, dict):
            return {key: self.filled(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return self._value(whole, path)
        return _REFERENCE.sub(lambda match: str(self._value(match, path)), value)

    def _value(self, match: re.Match[str], path: KeyPath) -> Any:
        name, default = match.group(1), match.group(2)
        value, lacking = self._parameter(name)
        if value is None and not lacking:
            value = self._environment.get(name)
        if value is None and default is not None:
            value = parse_value(default)
        if value is None:
            if name not in self._document.unfilled.values():
                self._document.report(path, self._unset(name, lacking), value=match.group())
            self._document.unfilled[path] = name
            return match.group()
        return value

    def _parameter(self, name: str) -> tuple[Any, str]:
        """Return the parameter's value, or None and the environment variable that it lacks."""
        value = self._parameters.get(name)
        if not isinstance(value, str):
            return value, ""
        for match in _REFERENCE.finditer(value):
            if match.group(1) not in self._environment and match.group(2) is None:
                return None, match.group(1)
        return _REFERENCE.sub(self._from_environment, value), ""

    def _from_environment(self, match: re.Match[str]) -> str:
        return self._environment.get(match.group(1), match.group(2) or "")

    def _unset(self, name: str, variable: str) -> str:
        way_out = f"give the parameter {name!r} a value with --set {name}=VALUE"
        if variable:
            return f"the environment variable {variable} is not set: set it, or {way_out}"
        if name in self._parameters:
            return f"the parameter {name!r} has no value: {way_out}"
        known = ", ".join(self._parameters) or "none"
        near = nearest_name(name, self._parameters)
        return (
            f"{name!r} is neither a parameter of this graph ({known}) nor set in the environment: "
            f"set it, or write ${{{name}:-default}}{near}"
        )
