"""`--replay LOG`: a graph whose sensors are left out and played from a recording instead.

Left out is every node that hears nothing and all of whose outputs are in the recording (or among
the topics named behind it). One player publishes them under the names that they had.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tectum.errors import ConfigError
from tectum.recording.belonging import files_of
from tectum.recording.series_reader import named_log, open_log
from tectum_launch.document import Document
from tectum_launch.draft import draft_node
from tectum_launch.overrides import Addition
from tectum_launch.parameters import fill_parameters

__all__ = ["Recording", "replace_sources"]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that stands in for sensors."""

    log: Path
    topics: tuple[str, ...] = ()
    """Only these; empty: all that the log has."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys of the player: rate, start, end, loop, paused."""

    @classmethod
    def parse(cls, option: str, settings: dict[str, Any] | None = None) -> Recording:
        """Return what `LOG[:topic,...]` names, to be played with `settings`.

        Raises:
            ConfigError: there is no such file.
        """
        path, _, topics = option.partition(":")
        log = named_log(Path(path).expanduser())
        if not all(file.is_file() for file in files_of(log)):
            msg = f"--replay {option}: there is no file {path}"
            raise ConfigError(msg)
        return cls(log.resolve(), tuple(filter(None, topics.split(","))), settings or {})

    def recorded(self) -> tuple[str, ...]:
        """Return the topics that it has.

        Raises:
            DataError: the file is no log.
            ConfigError: a topic that is named is not in it.
        """
        with open_log(self.log) as reader:
            found = tuple(topic for topic in reader.topics if "/@" not in topic)
        for topic in self.topics:
            if topic not in found:
                msg = f"{self.log} has no topic {topic!r}; it has {_words(found)}"
                raise ConfigError(msg)
        return found


def replace_sources(document: Document, recording: Recording) -> Addition:
    """Take the sensors that a recording can stand in for out of the tree; return their player.

    Raises:
        DataError: the file is no log.
        ConfigError: it lacks a topic that is named, or can stand in for no node of the graph.
    """
    recorded = recording.recorded()
    sources = _sources(document)
    replaced = {
        name: topics
        for name, topics in sources.items()
        if topics and set(topics) <= set(recording.topics or recorded)
    }
    if not replaced:
        published = [topic for topics in sources.values() for topic in topics]
        msg = (
            f"{recording.log}, which has {_words(recorded)}, can stand in for no node of the "
            f"graph, whose sensors publish {_words(published)}"
        )
        raise ConfigError(msg)
    for name in replaced:
        del document.tree["nodes"][name]
    topics = [topic for of_node in replaced.values() for topic in of_node]
    entry = {"run": "log", "path": str(recording.log), "topics": topics, **recording.settings}
    return Addition("player", entry, f"--replay {recording.log}")


def _sources(document: Document) -> dict[str, tuple[str, ...]]:
    """Return the topics of each node that hears nothing; nothing that is wrong is reported here.

    Looked up in a copy: what the nodes to be left out lack is nobody's business.
    """
    trial = copy.deepcopy(document)
    fill_parameters(trial)
    nodes = trial.tree.get("nodes")
    drafts = [
        draft_node(trial, name, raw)
        for name, raw in (nodes.items() if isinstance(nodes, dict) else ())
        if isinstance(raw, dict)
    ]
    return {
        draft.name: tuple(draft.outputs)
        for draft in drafts
        if draft and not draft.wants and draft.fusion is None
    }


def _words(topics: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(topics[:8]) + (", ..." if len(topics) > 8 else "")
    return shown or "no topics"
