"""`include`: other graph files whose keys stand under those of this one.

    include: driving                                   # a shipped graph, or a file beside this one
    include:
      - sensors.yaml
      - {file: camera.yaml, prefix: left_, parameters: {device: 1}}

Mappings are merged, everything else is replaced: later files over earlier ones, the including file
over all. A node that is `null` is left out. `prefix` goes before the names of the file's nodes, in
its topics too, so that one file can be had twice. Parameters that are given are put into that file
alone; the others are parameters of the whole. Findings name the file that each value came from.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from tectum.errors import ConfigError
from tectum.node.base import NodeConfig
from tectum_launch.document import Document, read_document
from tectum_launch.findings import GraphError, KeyPath, allowed_names
from tectum_launch.parameters import declared_parameters, fill_tree
from tectum_launch.shipped import shipped_graphs
from tectum_launch.validation import validated

__all__ = ["Include", "Included", "include_files"]

MOST_LEVELS = 16
_TOPICS = ("topic", "topics")


class Included(NodeConfig):
    """One entry of `include`."""

    file: str
    """A file beside this one, or the name of a shipped graph."""
    prefix: str = ""
    """Before the names of its nodes."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Values for its parameters."""


Include = str | Included | list[str | Included]
"""What `include` takes."""


def include_files(document: Document) -> None:
    """Merge what `document` includes into it, in place; what is wrong becomes a finding of it."""
    _include(document, (Path(document.source).resolve(),))
    nodes = document.tree.get("nodes")
    if isinstance(nodes, dict):
        document.tree["nodes"] = {key: node for key, node in nodes.items() if node is not None}


def _include(document: Document, above: tuple[Path, ...]) -> None:
    """Do so; `above` are the files that are being read, from the outermost in."""
    entries = document.tree.pop("include", [])
    included = None
    for index, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        path: KeyPath = ("include", index) if isinstance(entries, list) else ("include",)
        given = {"file": entry} if isinstance(entry, str) else entry
        config = validated(document, path, Included, given)
        other = _read(document, path, config, above) if config else None
        if other:
            included = _over(other, included) if included else other
    if included:
        whole = _over(document, included)
        for name in ("tree", "keys", "values", "findings", "folders", "described"):
            setattr(document, name, getattr(whole, name))


def _read(
    document: Document, path: KeyPath, config: Included, above: tuple[Path, ...]
) -> Document | None:
    try:
        file = _file(config.file, document.folder_at(path)).resolve()
        other = read_document(file)
    except GraphError as error:
        document.findings += error.findings
        return None
    except ConfigError as error:
        document.report(path, f"{error}", value=config.file)
        return None
    if file in above or len(above) >= MOST_LEVELS:
        document.report(path, f"{config.file} includes itself", value=config.file)
        return None
    other.folders[other.source] = other.folder
    _include(other, (*above, file))
    declared_parameters(other)
    _give(document, path, config, other)
    other.tree.pop("graph", None)
    if config.prefix:
        _rename(other, config.prefix)
    return other


def _file(name: str, folder: Path) -> Path:
    beside, shipped = folder / Path(name).expanduser(), shipped_graphs()
    if beside.is_file() or name in shipped:
        return beside if beside.is_file() else shipped[name]
    msg = f"there is no file {name!r} in {folder}, nor a shipped graph of that name"
    raise ConfigError(msg + allowed_names(name, shipped))


def _give(document: Document, path: KeyPath, config: Included, other: Document) -> None:
    """Put the given parameters into `other`."""
    known = other.tree.get("parameters", {})
    for name in config.parameters:
        if name not in known:
            message = f"{config.file} has no parameter {name!r}{allowed_names(name, known)}"
            document.report((*path, "parameters", name), message, key=True)
    given = {name: value for name, value in config.parameters.items() if name in known}
    if given:
        fill_tree(other, given, leave=True)
        other.tree["parameters"] = {k: v for k, v in known.items() if k not in given}


def _over(upper: Document, lower: Document) -> Document:
    """Return `lower` with all that `upper` says in its place."""
    return Document(
        source=upper.source,
        tree=_merged(upper.tree, lower.tree),
        keys={**lower.keys, **upper.keys},
        values={**lower.values, **upper.values},
        findings=[*lower.findings, *upper.findings],
        folder=upper.folder,
        folders={**lower.folders, **upper.folders},
        described={**lower.described, **upper.described},
    )


def _merged(upper: Any, lower: Any) -> Any:
    if not isinstance(upper, dict) or not isinstance(lower, dict):
        return copy.deepcopy(upper)
    return {
        **lower,
        **{key: _merged(value, lower.get(key)) for key, value in upper.items()},
    }


def _rename(other: Document, prefix: str) -> None:
    """Put `prefix` before the names of the nodes of `other`, and before their topics."""
    nodes = other.tree.get("nodes")
    if not isinstance(nodes, dict):
        return
    names = tuple(nodes)
    other.tree["nodes"] = {
        f"{prefix}{name}": _retopic(nodes[name], names, prefix) for name in nodes
    }
    for fault in other.tree.get("faults") or ():
        _refault(fault, names, prefix)
    links = other.tree.get("links")
    if isinstance(links, dict):
        other.tree["links"] = {_topic(key, names, prefix): value for key, value in links.items()}
    for places in (other.keys, other.values):
        for path in [path for path in places if len(path) > 1 and path[0] == "nodes"]:
            places["nodes", f"{prefix}{path[1]}", *path[2:]] = places.pop(path)


def _refault(fault: Any, names: tuple[str, ...], prefix: str) -> None:
    """Let a fault strike the renamed node, or the input of one."""
    for key in ("node", "input"):
        struck = fault.get(key) if isinstance(fault, dict) else None
        if isinstance(struck, str) and struck.partition(".")[0] in names:
            node_or_both = key == "node" or "." in struck
            fault[key] = f"{prefix}{struck}" if node_or_both else struck


def _retopic(value: Any, names: tuple[str, ...], prefix: str) -> Any:
    if isinstance(value, list):
        return [_retopic(item, names, prefix) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _topics(item, names, prefix) if key in _TOPICS else _retopic(item, names, prefix)
        for key, item in value.items()
    }


def _topics(value: Any, names: tuple[str, ...], prefix: str) -> Any:
    if isinstance(value, list):
        return [_topic(item, names, prefix) for item in value]
    return _topic(value, names, prefix)


def _topic(value: Any, names: tuple[str, ...], prefix: str) -> Any:
    ours = isinstance(value, str) and value.partition("/")[0] in names and "/" in value
    return f"{prefix}{value}" if ours else value
