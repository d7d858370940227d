"""`parameters:` and `${name}`: what a graph leaves open, and the values that stand in for it.

    parameters:
      seed: 7
      clip: {default: talk.mp4, description: A video with sound}

`${name}` is a parameter, else an environment variable; `${env:NAME}` is always the environment's;
`${name:-default}` has a default. A value that is one reference keeps its type. All this happens
before validation, so that a wrong value is reported like one of the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tectum.errors import nearest_name
from tectum_launch.document import Document, parse_value
from tectum_launch.findings import KeyPath

__all__ = ["Parameter", "declared_parameters", "fill_parameters", "fill_tree"]

_REFERENCE = re.compile(r"\$\{(env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_DECLARED = {"default", "description"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that a graph leaves open."""

    name: str
    default: Any
    """None: it has to be given."""
    description: str = ""


def declared_parameters(document: Document) -> tuple[Parameter, ...]:
    """Return the parameters of `document`, and leave only their values in its tree."""
    found = document.tree.get("parameters", {})
    if not isinstance(found, dict):
        document.report(("parameters",), "expected `name: default value` lines here")
        document.tree["parameters"] = {}
        return ()
    parameters = tuple(_declared(document, name, value) for name, value in found.items())
    found.update({parameter.name: parameter.default for parameter in parameters})
    document.described |= {each.name: each.description for each in parameters if each.description}
    return parameters


def _declared(document: Document, name: str, value: Any) -> Parameter:
    if not (isinstance(value, dict) and value and set(value) <= _DECLARED):
        return Parameter(name, value, document.described.get(name, ""))
    description = value.get("description", "")
    if not isinstance(description, str):
        message = f"{description!r} is not text"
        document.report(("parameters", name, "description"), message, value=description)
        description = ""
    document.values["parameters", name] = document.place(("parameters", name, "default"))
    return Parameter(name, value.get("default"), description)


def fill_parameters(document: Document, environment: Mapping[str, str] | None = None) -> None:
    """Replace every `${name}` in the tree; a name without a value becomes a finding."""
    declared_parameters(document)
    parameters = document.tree.pop("parameters", {})
    fill_tree(document, parameters, environment)


def fill_tree(
    document: Document,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    *,
    leave: bool = False,
) -> None:
    """Replace the references to `parameters` in the tree; `leave` those that are not among them."""
    filler = _Filler(document, parameters, os.environ if environment is None else environment)
    filler.leave = leave
    for key, value in document.tree.items():
        if key != "parameters":
            document.tree[key] = filler.filled(value, (key,))


class _Filler:
    """Replaces references in one document: to its parameters, then to the environment."""

    def __init__(
        self, document: Document, parameters: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        self._document = document
        self._environment = environment
        self._parameters = parameters
        self.leave = False

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
        only_environment, name, default = match.groups()
        if self.leave and (only_environment or name not in self._parameters):
            return match.group()
        value, lacking = (None, "") if only_environment else self._parameter(name)
        if value is None and not lacking:
            value = self._environment.get(name)
        if value is None and default is not None:
            value = parse_value(default)
        if value is None and self.leave:
            return match.group()
        if value is None:
            if name not in self._document.unfilled.values():
                message = self._unset(name, lacking, only_environment=bool(only_environment))
                self._document.report(path, message, value=match.group())
            self._document.unfilled[path] = name
            return match.group()
        return value

    def _parameter(self, name: str) -> tuple[Any, str]:
        """Return the parameter's value, or None and the environment variable that it lacks."""
        value = self._parameters.get(name)
        if not isinstance(value, str) or self.leave:
            return value, ""
        for match in _REFERENCE.finditer(value):
            if match.group(2) not in self._environment and match.group(3) is None:
                return None, match.group(2)
        return _REFERENCE.sub(self._from_environment, value), ""

    def _from_environment(self, match: re.Match[str]) -> str:
        return self._environment.get(match.group(2), match.group(3) or "")

    def _unset(self, name: str, variable: str, *, only_environment: bool) -> str:
        if only_environment:
            return (
                f"the environment variable {name} is not set: set it, or write "
                f"${{env:{name}:-default}}"
            )
        meaning = self._document.described.get(name, "")
        called = f"the parameter {name!r}" + (f" ({meaning})" if meaning else "")
        way_out = f"give {called} a value with --set {name}=VALUE"
        if variable:
            return f"the environment variable {variable} is not set: set it, or {way_out}"
        if name in self._parameters:
            way_out = f"give it one with --set {name}=VALUE"
            return f"{called} has no value: {way_out}"
        known = ", ".join(self._parameters) or "none"
        near = nearest_name(name, self._parameters)
        return (
            f"{name!r} is neither a parameter of this graph ({known}) nor set in the environment: "
            f"set it, or write ${{{name}:-default}}{near}"
        )
