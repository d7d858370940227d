"""Which streams of a source are imported, and what their topics are called in the log.

A wish is `NAME`, a pattern with `*`, or `NAME=TOPIC`; without wishes all is taken that can be. A
topic that is only a node's name gets the usual output of its kind: `camera` is `camera/image`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from tectum.errors import ConfigError, nearest_name
from tectum.message import Kind
from tectum_nodes.importing.base import OUTPUTS, Stream, node_and_output

__all__ = ["chosen_topics", "default_topic"]

_TOPIC = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_./-]+)?")


def chosen_topics(streams: Sequence[Stream], wishes: Iterable[str]) -> dict[str, str]:
    """Return stream -> topic for what is to be imported, in the order of the source.

    Raises:
        ConfigError: a wish names nothing, something that cannot be imported, or a topic twice.
    """
    wanted = _wanted(streams, tuple(wishes))
    chosen: dict[str, str] = {}
    for stream in streams:
        if stream.name not in wanted or stream.kind is None:
            continue
        topic = wanted[stream.name] or default_topic(stream)
        other = next((name for name, taken in chosen.items() if taken == topic), None)
        if other is not None:
            msg = (
                f"{other} and {stream.name} would both be {topic}: give one another name, "
                f"--topic {stream.name}=NODE/OUTPUT"
            )
            raise ConfigError(msg)
        chosen[stream.name] = topic
    return chosen


def default_topic(stream: Stream) -> str:
    """Return the topic of a stream that nobody names."""
    if stream.topic:
        return stream.topic
    node, output = node_and_output(stream.name)
    return f"{node}/{output or _usual(stream.kind)}"


def _wanted(streams: Sequence[Stream], wishes: Sequence[str]) -> dict[str, str]:
    """Return stream -> topic ("": the default) of all that is wished for."""
    known = {stream.name: stream for stream in streams}
    if not wishes:
        return dict.fromkeys(known, "")
    wanted: dict[str, str] = {}
    for wish in wishes:
        name, equals, topic = wish.partition("=")
        found = [other for other in known if other == name or fnmatchcase(other, name)]
        if not found:
            near = nearest_name(name, known)
            msg = f"--topic {wish}: the source has no {name!r}{near}; it has {', '.join(known)}"
            raise ConfigError(msg)
        if not equals:
            wanted |= {other: wanted.get(other, "") for other in found}
            continue
        wanted[_single(wish, found, known)] = _named(wish, topic, known[found[0]].kind)
    return wanted


def _single(wish: str, found: Sequence[str], known: dict[str, Stream]) -> str:
    if len(found) > 1:
        msg = f"--topic {wish}: {', '.join(found)} cannot all have one name; name one of them"
        raise ConfigError(msg)
    stream = known[found[0]]
    if stream.kind is None:
        msg = f"--topic {wish}: {stream.name} ({stream.content}) cannot be imported"
        raise ConfigError(msg)
    return stream.name


def _named(wish: str, topic: str, kind: Kind | None) -> str:
    if not _TOPIC.fullmatch(topic):
        msg = f"--topic {wish}: {topic!r} is not a topic; write NODE/OUTPUT, such as camera/image"
        raise ConfigError(msg)
    return topic if "/" in topic else f"{topic}/{_usual(kind)}"


def _usual(kind: Kind | None) -> str:
    return OUTPUTS.get(kind, "messages") if kind is not None else "messages"
