"""From a part of a description to a validated model, with errors in the project's own words.

Pydantic finds what is wrong; this module says it: place, key path, value, what is allowed, the
nearest known name. Any pydantic model can be used, at any depth of the description.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tectum.errors import TectumError
from tectum_launch.document import Document
from tectum_launch.findings import KeyPath, allowed_names

__all__ = ["Model", "known_keys", "validated"]

Model = TypeVar("Model", bound=BaseModel)

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping, `key: value`",
    "mapping": "a mapping, `key: value`",
    "model": "a mapping, `key: value`",
    "dataclass": "a mapping, `key: value`",
}
"""What a value should have been, by the first word of pydantic's error type."""


def validated(
    document: Document,
    path: KeyPath,
    model: type[Model],
    value: Any,
    reserved: Iterable[str] = (),
) -> Model | None:
    """Return `value`, which stands at `path`, as a `model`; errors become findings.

    `reserved` are keys that are allowed beside those of the model, named with them in messages.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        reporter = _Reporter(document, path, model, value, tuple(reserved))
        for details in error.errors(include_url=False):
            reporter.report(details)
    except TectumError as error:  # a validator of a node's own that looks at several keys
        document.report(path, f"{error}")
    return None


def known_keys(model: Any, location: Iterable[str | int]) -> list[str]:
    """Return the keys that `model` allows at `location` inside it."""
    records = [model]
    for part in location:
        # List positions and the tags of unions name no field: they stay in the same record.
        records = [
            inner
            for record in records
            if part in _fields(record)
            for inner in _records(_fields(record)[part])
        ] or records
    return list(dict.fromkeys(str(key) for record in records for key in _fields(record)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Reporter:
    """Says what pydantic found about `raw`, which stands at `path`."""

    document: Document
    path: KeyPath
    model: type[BaseModel]
    raw: Any
    reserved: tuple[str, ...]

    def report(self, details: ErrorDetails) -> None:
        kind, location = details["type"], details["loc"]
        where = (*self.path, *self._in_file(location))
        if kind == "extra_forbidden":
            message = f"unknown key {location[-1]!r}{self._allowed(location)}"
            self.document.report(where, message, key=True, value=details["input"])
        elif kind == "missing":
            keys = ", ".join(known_keys(self.model, location[:-1]))
            message = f"the key {location[-1]!r} is missing here; keys: {keys}"
            self.document.report((*where, location[-1]), message)
        else:
            self.document.report(where, _message(details), value=details["input"])

    def _allowed(self, location: KeyPath) -> str:
        reserved = self.reserved if len(location) == 1 else ()
        return allowed_names(location[-1], [*reserved, *known_keys(self.model, location[:-1])])

    def _in_file(self, location: KeyPath) -> KeyPath:
        """Return the parts of `location` that the file has: pydantic adds tags of its own."""
        found: KeyPath = ()
        value = self.raw
        for part in location:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                continue
            found = (*found, part)
        return found


def _message(details: ErrorDetails) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in {"literal_error", "enum"}:
        names = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"{value!r} is not known here{allowed_names(value, names)}"
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected and kind.split("_")[-1] in {"type", "parsing", "float"}:
        return f"{value!r} is not {expected}"
    return details["msg"].replace("Input", repr(value), 1)


def _records(kind: Any) -> list[Any]:
    """Return the models and dataclasses in `kind`, inside lists, mappings and unions too."""
    if _fields(kind):
        return [kind]
    return [record for argument in get_args(kind) for record in _records(argument)]


def _fields(kind: Any) -> dict[str | int, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {info.alias or name: info.annotation for name, info in kind.model_fields.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return {item.name: hints[item.name] for item in dataclasses.fields(kind)}
    return {}
