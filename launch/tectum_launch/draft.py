"""Drafts: each node of a graph file by itself, not yet wired to the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tectum.errors import TectumError
from tectum.message import Kind
from tectum.node.base import Node, NodeConfig
from tectum_launch.document import Document
from tectum_launch.findings import KeyPath
from tectum_launch.fusion_pieces import FusionPieces, pieces_of
from tectum_launch.fusion_schema import FusionConfig
from tectum_launch.registry import SHIPPED, load_node, target_of
from tectum_launch.schema import EntryConfig
from tectum_launch.validation import validated

__all__ = ["Draft", "config_class", "draft_node", "topic_name"]

T = TypeVar("T")

_ENTRY_KEYS = tuple(EntryConfig.model_fields)


@dataclass(frozen=True, slots=True)
class Draft:
    """A node whose class was found. What it publishes is known even where a key is wrong."""

    name: str
    entry: EntryConfig | None
    target: str
    node: type[Node]
    config: NodeConfig | None
    """None, like `entry`, where findings say what is wrong with it."""
    outputs: Mapping[str, Kind] = field(default_factory=dict)
    """Topic -> kind."""
    periods_ns: Mapping[str, int] = field(default_factory=dict)
    """Topic -> expected period, where the configuration tells."""
    nbytes: Mapping[str, int] = field(default_factory=dict)
    """Topic -> bytes of a message, where the configuration tells."""
    wants: tuple[tuple[str, KeyPath], ...] = ()
    """Topics or patterns that it subscribes to, and where in the file each stands."""
    rig: Mapping[str, Any] | None = None
    """Calibration that it gives, as a reader of recordings does."""
    fusion: FusionPieces | None = None
    """What could be read of it, where it is a fusion node."""

    @property
    def on_exit(self) -> str:
        """Return what its end means: as the graph says, else as its class does."""
        return (self.entry and self.entry.on_exit) or self.node.on_exit


def draft_node(document: Document, name: str, raw: dict[str, Any]) -> Draft | None:
    """Return the node called `name`, or None where its class was not found."""
    path: KeyPath = ("nodes", name)
    own = {key: value for key, value in raw.items() if key in _ENTRY_KEYS}
    entry = validated(document, path, EntryConfig, own)
    if not isinstance(raw.get("run"), str):
        return None
    try:
        target, node = target_of(raw["run"]), load_node(raw["run"])
    except TectumError as error:
        document.report((*path, "run"), f"{error}", value=raw["run"])
        return None
    rest = {key: value for key, value in raw.items() if key not in _ENTRY_KEYS}
    if _is_fusion(node):
        fusion_config = validated(document, path, FusionConfig, rest, reserved=_ENTRY_KEYS)
        bare = Draft(name, entry, target, node, fusion_config)
        return _fusion_draft(bare, pieces_of(rest, fusion_config))
    filled = document.is_filled(path)
    config = validated(document, path, node.Config, rest, reserved=_ENTRY_KEYS) if filled else None
    bare = Draft(name, entry, target, node, config, outputs=_topics(name, node.outputs))
    try:
        return _plain_draft(bare, config, rest) if config else bare
    except TectumError as error:
        document.report(path, f"{error}")
        return replace(bare, config=None)


def topic_name(node: str, output: str) -> str:
    """Return the topic of an output; a player of recordings has outputs named by whole topics."""
    return output if "/" in output else f"{node}/{output}"


def _answers(pieces: FusionPieces) -> dict[str, Kind]:
    """Return the outputs on which the heads of a fusion node answer."""
    return dict.fromkeys(pieces.head_names or ("result",), Kind.RESULT)


def _fusion_draft(bare: Draft, pieces: FusionPieces) -> Draft:
    others = {name: kind for name, kind in bare.node.outputs.items() if name != "result"}
    return replace(
        bare,
        outputs=_topics(bare.name, _answers(pieces) | others),
        wants=tuple(
            (topic, ("nodes", bare.name, "inputs", key, "topic"))
            for key, topic in pieces.topics.items()
        ),
        fusion=pieces,
    )


def _plain_draft(bare: Draft, config: NodeConfig, raw: dict[str, Any]) -> Draft:
    """Return `bare` with what its class says of its configuration."""
    name, node = bare.name, bare.node
    return replace(
        bare,
        outputs=_topics(name, node.outputs_of(config)),
        periods_ns=_topics(name, node.period_ns_of(config)),
        nbytes=_topics(name, node.nbytes_of(config)),
        wants=tuple(
            (topic, ("nodes", name, *_where(raw, topic))) for topic in node.topics_of(config)
        ),
        rig=node.rig_of(config) if hasattr(node, "rig_of") else None,
    )


def _topics(name: str, outputs: Mapping[str, T]) -> dict[str, T]:
    return {topic_name(name, output): value for output, value in outputs.items()}


def config_class(node: type[Node]) -> type[NodeConfig]:
    """Return what the keys of `node` in a graph file are validated with."""
    return FusionConfig if _is_fusion(node) else node.Config


def _is_fusion(node: type[Node]) -> bool:
    """Return whether `node` is the fusion node or made from it."""
    names = {f"{base.__module__}:{base.__qualname__}" for base in node.__mro__}
    return SHIPPED["fusion"] in names


def _where(raw: Any, value: str) -> KeyPath:
    """Return where in `raw` the text `value` stands, or an empty path."""
    entries = raw.items() if isinstance(raw, dict) else enumerate(raw)
    for key, item in entries:
        if item == value:
            return (key,)
        if isinstance(item, (dict, list)):
            below = _where(item, value)
            if below:
                return (key, *below)
    return ()
