"""Patterns of topics: `camera/*`, `*/image` and `*`, against the topics of a run.

`*:result` and `perception/*:result` mean only topics of that kind: a fusion node with several heads
answers under the name of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tectum.errors import ConfigError, nearest_name
from tectum.message import Kind

__all__ = ["matched", "resolve", "topic_name"]

_KINDS = tuple(kind.value for kind in Kind)


def topic_name(node: str, output: str) -> str:
    """Return the topic of an output; a player of recordings has outputs named by whole topics."""
    return output if "/" in output else f"{node}/{output}"


def resolve(
    patterns: Sequence[str], topics: Mapping[str, Mapping[str, str]], nodes: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the topics that `patterns` name, each once, in the order of `topics` (of `run.json`).

    A pattern (see `matched`) may match nothing; a plain name may not.
    Housekeeping topics (`camera/@health`) exist for every node and match no pattern. `nodes` are
    those that no topic is named after.

    Raises:
        ConfigError: a name without `*` is no topic of the run.
    """
    known = {topic: record.get("kind", "") for topic, record in topics.items()}
    publishing = {*nodes, *(topic.partition("/")[0] for topic in known)}
    wanted: set[str] = set()
    housekeeping: list[str] = []
    for pattern in patterns:
        if "*" in pattern:
            wanted.update(matched(pattern, known))
        elif "/@" in pattern and pattern.partition("/")[0] in publishing:
            housekeeping.append(pattern)
        elif pattern in known:
            wanted.add(pattern)
        else:
            msg = f"no node publishes {pattern!r}{nearest_name(pattern, known)}"
            raise ConfigError(msg)
    return (*(topic for topic in known if topic in wanted), *dict.fromkeys(housekeeping))


def matched(pattern: str, kinds: Mapping[str, str]) -> list[str]:
    """Return which of some topics (name -> kind) a pattern means, in their order.

    `*` stands for any number of characters, `:KIND` at the end for topics of that kind alone.
    """
    names, _, kind = pattern.rpartition(":")
    if kind not in _KINDS or not names:
        names, kind = pattern, ""
    fits = _matcher(names).fullmatch
    return [name for name, found in kinds.items() if fits(name) and kind in ("", found)]


def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
