"""What is played of a log, and under which names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field

from tectum.errors import ConfigError, DataError, nearest_name
from tectum.message import Kind
from tectum.node.base import NodeConfig
from tectum.node.fields import Duration
from tectum.recording.log_topics import matches
from tectum.recording.reader import LogReader

__all__ = ["SENSED", "LogPlayerConfig", "chosen_topics", "played_name"]

SENSED = (
    Kind.IMAGE, Kind.AUDIO, Kind.POINTS, Kind.POSE, Kind.TENSOR, Kind.TEXT, Kind.BOXES,
)  # fmt: skip
"""What is played unless topics are named: what sensors say, not what was concluded from it."""


class LogPlayerConfig(NodeConfig):
    """Which log, what of it, and how fast."""

    model_config = ConfigDict(populate_by_name=True)

    path: str
    """The log."""
    topics: tuple[str, ...] = ()
    """Topics or patterns with `*`; default: everything that sensors said."""
    names: Annotated[dict[str, str], Field(alias="as", default_factory=dict)]
    """Recorded topic -> the topic under which it is played."""
    rate: Annotated[float, Field(gt=0, le=100)] = 1.0
    """2 is twice as fast; stamps and sample rates follow."""
    start: Annotated[Duration, Field(ge=0)] = 0
    """Begin so long after the first thing that sensors said."""
    end: Annotated[Duration, Field(gt=0)] | None = None
    """End so long after the first thing that sensors said; default: with the log."""
    loop: bool = False
    """Begin again at the end."""
    paused: bool = False
    """Begin paused."""


def chosen_topics(reader: LogReader, config: LogPlayerConfig) -> dict[str, Kind]:
    """Return the topics to play and their kinds."""
    known = {name: topic.kind for name, topic in reader.topics.items() if topic.kind is not None}
    for wanted in (*config.topics, *config.names):
        if "*" not in wanted and wanted not in known:
            msg = f"{config.path} has no topic {wanted!r}{nearest_name(wanted, known)}"
            raise ConfigError(msg)
    if config.topics:
        chosen = {name: kind for name, kind in known.items() if matches(name, config.topics)}
    else:
        chosen = _sensed(known)
    if not chosen:
        msg = f"{config.path} has nothing to play; its topics: {', '.join(known) or 'none'}"
        raise DataError(msg)
    return chosen


def _sensed(known: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return what sensors said, and the constant facts that they said beside it."""
    sensors = {name.partition("/")[0] for name, kind in known.items() if kind in SENSED}
    return {
        name: kind
        for name, kind in known.items()
        if kind in SENSED or (kind is Kind.LATCHED and name.partition("/")[0] in sensors)
    }


def played_name(topic: str, config: LogPlayerConfig) -> str:
    """Return the name under which `topic` is played; foreign names are made to fit."""
    given = config.names.get(topic)
    if given is not None:
        return given
    node, _, output = topic.strip("/").partition("/")
    parts = [re.sub(r"[^A-Za-z0-9_.-]", "_", part) for part in (node, output)]
    return "/".join(part for part in parts if part)
