"""Patterns of topics: `camera/*`, `*/image` and `*`, against the topics of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tectum.errors import ConfigError, nearest_name

__all__ = ["resolve", "topic_name"]


def topic_name(node: str, output: str) -> str:
    """Return the topic of an output; a player of recordings has outputs named by whole topics."""
    return output if "/" in output else f"{node}/{output}"


def resolve(
    patterns: Sequence[str], topics: Iterable[str], nodes: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the topics that `patterns` name, each once, in the order of `topics`.

    `*` stands for any number of characters. A pattern may match nothing; a plain name may not.
    Housekeeping topics (`camera/@health`) exist for every node and match no pattern. `nodes` are
    those that no topic is named after.

    Raises:
        ConfigError: a name without `*` is no topic of the run.
    """
    known = tuple(topics)
    publishing = {*nodes, *(topic.partition("/")[0] for topic in known)}
    wanted: set[str] = set()
    housekeeping: list[str] = []
    for pattern in patterns:
        if "*" in pattern:
            wanted.update(filter(_matcher(pattern).fullmatch, known))
        elif "/@" in pattern and pattern.partition("/")[0] in publishing:
            housekeeping.append(pattern)
        elif pattern in known:
            wanted.add(pattern)
        else:
            msg = f"no node publishes {pattern!r}{nearest_name(pattern, known)}"
            raise ConfigError(msg)
    return (*(topic for topic in known if topic in wanted), *dict.fromkeys(housekeeping))


def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
