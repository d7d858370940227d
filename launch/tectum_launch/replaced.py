"""`--replay LOG`: a graph whose sensors are left out and played from a recording instead.

Left out is every node that hears nothing and all of whose outputs are in the recording (or among
the topics named behind it). One player publishes them under the names that they had.
"""

from __future__ import annotations

import copy
from pathlib import Path

from tectum.errors import ConfigError
from tectum.recording.reader import LogReader
from tectum_launch.document import Document
from tectum_launch.draft import draft_node
from tectum_launch.overrides import Addition, fill_parameters

__all__ = ["replace_sources", "replay_option"]


def replay_option(option: str) -> tuple[Path, tuple[str, ...]]:
    """Return the log and the topics that `LOG[:topic,...]` names; no topics: all of the log.

    Raises:
        ConfigError: there is no such file.
    """
    path, _, topics = option.partition(":")
    if not Path(path).expanduser().is_file():
        msg = f"--replay {option}: there is no file {path}"
        raise ConfigError(msg)
    return Path(path).expanduser().resolve(), tuple(filter(None, topics.split(",")))


def replace_sources(document: Document, option: str) -> Addition:
    """Take the sensors that a recording can stand in for out of the tree; return their player.

    Raises:
        ConfigError: there is no such recording, it lacks a topic that is named, or it can stand
            in for no node of the graph.
    """
    log, wanted = replay_option(option)
    with LogReader(log) as reader:
        recorded = tuple(topic for topic in reader.topics if "/@" not in topic)
    unknown = [topic for topic in wanted if topic not in recorded]
    if unknown:
        msg = f"--replay {option}: {unknown[0]!r} is not in the log, which has {_words(recorded)}"
        raise ConfigError(msg)
    sources = _sources(document)
    replaced = {
        name: topics
        for name, topics in sources.items()
        if topics and set(topics) <= set(wanted or recorded)
    }
    if not replaced:
        published = [topic for topics in sources.values() for topic in topics]
        msg = (
            f"--replay {option}: the log, which has {_words(recorded)}, can stand in for no node "
            f"of the graph, whose sensors publish {_words(published)}"
        )
        raise ConfigError(msg)
    for name in replaced:
        del document.tree["nodes"][name]
    topics = [topic for of_node in replaced.values() for topic in of_node]
    entry = {"run": "log", "path": str(log), "topics": topics}
    return Addition("player", entry, f"--replay {option}")


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
