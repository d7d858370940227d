"""A YAML file as plain data that remembers where every key and value stands.

Promises: YAML 1.2 (`no` is text, `010` is ten), no tags, no code; every duplicate key is found,
with its line; aliases and merge keys work. Does not know what the data mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tectum.errors import ConfigError
from tectum_launch.findings import Finding, GraphError, KeyPath, Place

__all__ = ["Document", "parse_document", "parse_settings", "parse_value", "read_document"]

MOST_VALUES, MOST_LEVELS = 20_000, 64
"""More than any description has; a few nested aliases can stand for billions."""

_STANDARD_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = (f"{_STANDARD_TAG}map", f"{_STANDARD_TAG}seq")


@dataclass(slots=True)
class Document:
    """The tree of a description and the place of each of its keys and values."""

    source: str
    tree: dict[str, Any] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    folder: Path = field(default_factory=Path)
    """Relative file names in the description start here."""
    folders: dict[str, Path] = field(default_factory=dict)
    """The same for what other files gave: source -> its folder."""
    described: dict[str, str] = field(default_factory=dict)
    """What the parameters mean, for messages."""
    unfilled: dict[KeyPath, str] = field(default_factory=dict)
    """Values that wait for a parameter or variable which nobody has set: path -> its name."""

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Return where `path` stands, or the closest thing above it that the file has."""
        known = self.keys if key and path in self.keys else self.values
        while path and path not in known:
            path, known = path[:-1], self.values
        return known.get(path, Place(self.source))

    def folder_at(self, path: KeyPath) -> Path:
        """Return where relative file names at `path` start: beside the file that has them."""
        return self.folders.get(self.place(path).source, self.folder)

    def report(
        self,
        path: KeyPath,
        message: str,
        *,
        key: bool = False,
        value: Any = None,
        level: str = "error",
    ) -> None:
        """Add a finding about `path` (about its key rather than its value: `key`)."""
        self.findings.append(Finding(self.place(path, key=key), path, message, value, level))

    def is_filled(self, path: KeyPath) -> bool:
        """Return whether everything at and below `path` has a value."""
        return not any(waiting[: len(path)] == path for waiting in self.unfilled)

    def raise_errors(self) -> None:
        """Raise all errors found so far, in the order of the file.

        Raises:
            GraphError: there is at least one.
        """
        errors = [finding for finding in self.findings if finding.level == "error"]
        if errors:
            order = sorted(errors, key=lambda item: (item.place.line, item.place.column))
            raise GraphError(order)


def read_document(path: Path) -> Document:
    """Return the description in the file at `path`.

    Raises:
        ConfigError: the file cannot be read.
        GraphError: it is not YAML, or its top level is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"there is no file {path}"
        raise ConfigError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as text: {error}"
        raise ConfigError(msg) from None
    return parse_document(text, source=str(path), folder=path.resolve().parent)


def parse_document(text: str, *, source: str, folder: Path) -> Document:
    """Return the description in `text`; `source` names it in messages.

    Raises:
        GraphError: `text` is not YAML, or its top level is not a mapping.
    """
    document = Document(source, folder=folder)
    root = _compose(text, source)
    if not isinstance(root, MappingNode):
        raise GraphError([Finding(Place(source, 1, 1), (), "expected `key: value` lines here")])
    document.tree = _Reader(document).value(root, ())
    return document


def parse_value(text: str) -> Any:
    """Return the YAML value that `text` is: `3`, `30Hz`, `[a, b]`, `{x: 1}`.

    Raises:
        GraphError: `text` is not YAML.
    """
    document = Document(repr(text))
    root = _compose(text, document.source)
    value = None if root is None else _Reader(document).value(root, ())
    document.raise_errors()
    return value


def parse_settings(settings: Iterable[str], *, option: str = "", example: str) -> dict[str, Any]:
    """Return what `KEY=VALUE` texts set; `option` and `example` stand in the message.

    Raises:
        ConfigError: one has no `=`.
        GraphError: a value is not YAML.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            msg = f"{option} {setting!r}: expected KEY=VALUE, such as {example}".lstrip()
            raise ConfigError(msg)
        values[key.strip()] = parse_value(text)
    return values


def _compose(text: str, source: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    try:
        root: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
        raise GraphError([Finding(place, (), f"this is not YAML: {error.problem}")]) from None
    except YAMLError as error:
        raise GraphError([Finding(Place(source), (), f"this is not YAML: {error}")]) from None
    return root


class _Reader:
    """Turns composed nodes into plain data, noting places and problems in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._scalars = YAML(typ="safe", pure=True).constructor
        self._count = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        """Return the plain data of `node`, which stands at `path`."""
        self._document.values[path] = self._place(node)
        self._count += 1
        if self._count > MOST_VALUES or len(path) > MOST_LEVELS:
            message = f"more than {MOST_VALUES} values or {MOST_LEVELS} levels"
            raise GraphError([Finding(self._place(node), (), message)])
        if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
            self._problem(node, path, f"tags such as {node.tag} are not used in graph files")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        merged: list[tuple[Node, Node]] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_STANDARD_TAG}merge":
                merged += self._merged(value_node, path)
                continue
            key = self._key(key_node, path)
            if key in entries:
                self._duplicate(key_node, (*path, key))
                continue
            self._document.keys[*path, key] = self._place(key_node)
            entries[key] = self.value(value_node, (*path, key))
        for key_node, value_node in merged:
            key = self._key(key_node, path)
            if key not in entries:
                self._document.keys[*path, key] = self._place(key_node)
                entries[key] = self.value(value_node, (*path, key))
        return entries

    def _merged(self, node: Node, path: KeyPath) -> Iterator[tuple[Node, Node]]:
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(source, MappingNode):
                yield from source.value
            else:
                self._problem(source, path, "`<<` takes a mapping, or a list of mappings")

    def _key(self, node: Node, path: KeyPath) -> str:
        key = self._scalar(node, path) if isinstance(node, ScalarNode) else None
        if isinstance(key, str):
            return key
        self._problem(node, path, f"a key must be text, not {key!r}: put it in quotes")
        return str(key)

    def _duplicate(self, node: Node, path: KeyPath) -> None:
        first = self._document.keys[path]
        message = f"the key {path[-1]!r} stands twice: the first is in line {first.line}"
        self._problem(node, path, message)

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        if not str(node.tag).startswith(_STANDARD_TAG):
            self._problem(node, path, f"tags such as {node.tag} are not used in graph files")
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (YAMLError, ValueError) as error:
            self._problem(node, path, f"{node.value!r} cannot be read: {error}")
            return node.value

    def _problem(self, node: Node, path: KeyPath, message: str) -> None:
        self._document.findings.append(Finding(self._place(node), path, message))

    def _place(self, node: Node) -> Place:
        mark = node.start_mark
        return Place(self._document.source, mark.line + 1, mark.column + 1)
