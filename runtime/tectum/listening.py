"""Topics of a running graph, for any Python process on the host.

    with tectum.listening.listen(["camera/*"]) as messages:
        for message in messages:
            ...

Listens only: whoever is slow loses messages of its own and nobody else's. Reading ends when the
run has ended, or all publishers of what was asked for have.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tectum.clock import NS_PER_MS, Clock, GraphClock
from tectum.errors import DataError, nearest_name
from tectum.rundir import find_run, is_alive, read_run
from tectum.transport.base import Received
from tectum.transport.joining import Delivery
from tectum.transport.subscriber import DEFAULT_HOLD, ZmqSubscriber
from tectum.transport.topics import matched

__all__ = ["Listening", "listen", "matching_topics"]

_LOOK_EVERY_NS, _NEVER_NS = 200 * NS_PER_MS, 1 << 63


class Listening:
    """What arrives on some topics of a run: messages and holes, in the order of their arrival."""

    def __init__(self, subscriber: ZmqSubscriber, run: Mapping[str, Any], clock: Clock) -> None:
        """Hear through `subscriber`; `run` is the content of `run.json`."""
        self._subscriber, self._run = subscriber, run
        self.clock = clock
        """The clock of the graph, which all stamps are on."""

    def __iter__(self) -> Iterator[Received]:
        """Yield what arrives until the run, or every publisher that is heard, has ended."""
        return self.until(_NEVER_NS)

    def until(self, end_ns: int) -> Iterator[Received]:
        """Yield what arrives until then, or until nothing can come any more."""
        while self.clock.now_ns() < end_ns:
            found = self.take(_LOOK_EVERY_NS)
            yield from found
            if self._have_ended() or not (found or is_alive(self._run)):
                return

    def _have_ended(self) -> bool:
        counters = self._subscriber.counters().values()
        return bool(counters) and all(counts["final"] or counts["ended"] for counts in counters)

    def take(self, timeout_ns: int) -> list[Received]:
        """Return what has arrived; wait at most `timeout_ns` for the first of it."""
        self._subscriber.wait(timeout_ns)
        return self._subscriber.drain()


@contextmanager
def listen(
    patterns: Iterable[str],
    run: str | Path | None = None,
    *,
    queue: int = 256,
    hold: int = DEFAULT_HOLD,
    delivery: Delivery = "each",
) -> Iterator[Listening]:
    """Give what arrives on the topics that match `patterns`.

    Args:
        patterns: topics, `*` for any part of one: `camera/image`, `*/audio`; `*:result`: all of a
            kind.
        run: id or folder of a run; None for the newest one that lives.
        queue: how many messages per publisher are kept for a listener that lags behind.
        hold: how many large payloads may be kept where they were written; 0: none is looked at
            in place.
        delivery: `each`, or `newest` for a listener that only wants the latest.

    Raises:
        DataError: there is no such run, or a pattern matches none of its topics.
    """
    document = read_run(find_run(run))
    topics = matching_topics(patterns, document)
    nodes: Mapping[str, Any] = document["nodes"]
    publishing = dict.fromkeys(document["topics"][topic]["node"] for topic in topics)
    endpoints = [nodes[name]["endpoint"] for name in publishing]
    clock = GraphClock(int(document["offset_ns"]))
    subscriber = ZmqSubscriber(
        f"listener-{os.getpid()}-{secrets.token_hex(4)}",
        endpoints,
        topics,
        clock,
        queue=queue,
        hold=hold,
        delivery=delivery,
        nodes=publishing,
    )
    with closing(subscriber):
        yield Listening(subscriber, document, clock)


def matching_topics(patterns: Iterable[str], document: Mapping[str, Any]) -> list[str]:
    """Return the topics in `document` (of `run.json`) that match, in the order of the graph.

    Raises:
        DataError: a pattern matches none.
    """
    known: Mapping[str, Any] = document["topics"]
    kinds = {topic: record["kind"] for topic, record in known.items()}
    wanted: set[str] = set()
    for pattern in patterns:
        found = matched(pattern, kinds)
        if not found:
            names = ", ".join(known) or "none"
            near = nearest_name(pattern, known)
            msg = f"run {document['id']} has no topic {pattern!r} (it has: {names}){near}"
            raise DataError(msg)
        wanted.update(found)
    return [topic for topic in known if topic in wanted]
