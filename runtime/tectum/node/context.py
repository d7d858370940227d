"""The `Context` of a node that runs: its publisher, its subscribers, its heartbeat, its stop.

It belongs to the loop thread; `stop`, `wake`, `wait_until_ns` and `stopping` may be used from any
thread. Housekeeping happens in `serve`: joins and statements (by the publisher), the health message
every 500 ms on `<node>/@health`, and the heartbeat to the launcher every 100 ms. Where the run asks
for it the loop hangs or is slow, on purpose.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any, Protocol

from tectum.clock import NS_PER_MS, NS_PER_S, Clock
from tectum.message import AnyArray, Kind, Value
from tectum.node.base import Announcement
from tectum.node.control import State
from tectum.node.run_faults import stall_ns
from tectum.sync.faults import Fault
from tectum.transport.base import Publisher, Subscriber
from tectum.transport.joining import Delivery

__all__ = ["HEALTH", "Connect", "NodeContext"]

HEALTH = "@health"
HEALTH_PERIOD_NS = 500 * NS_PER_MS
ALIVE_PERIOD_NS = 100 * NS_PER_MS
_OWN_BOOKS = (Kind.HEALTH, Kind.JOURNAL, Kind.LEDGER)
"""What a node says about itself; anything else is what it is there for."""

Tell = Callable[[State, int], None]
"""Tells a launcher how a node is: (state, for how long, where it is busy)."""


class Connect(Protocol):
    """Makes subscribers."""

    def __call__(
        self, topics: tuple[str, ...], *, queue: int, hold: int, delivery: Delivery
    ) -> Subscriber:
        """Return a subscriber to topics or patterns; see `tectum.node.base.Context.subscribe`."""
        ...


class NodeContext:
    """Satisfies `tectum.node.base.Context`."""

    def __init__(
        self,
        name: str,
        run: Mapping[str, Any],
        folder: Path,
        *,
        clock: Clock,
        publisher: Publisher,
        connect: Connect,
        tell: Tell = lambda state, lasting_ns: None,
    ) -> None:
        """Belong to the node `name` of `run`; `tell` hears that it lives, is busy, has spoken."""
        self.name = name
        self.clock = clock
        self.epoch_ns = int(run.get("epoch_ns", 0))
        self.folder = folder
        self.run = run
        self.log: LoggerAdapter[Logger] = LoggerAdapter(
            logging.getLogger("tectum.node"), {"node": name}
        )
        self.state = "opening"
        """Told in every health message."""
        self.faults: list[Fault] = []
        """What goes wrong with this node on purpose, on the graph clock."""
        self._publisher = publisher
        self._connect = connect
        self._tell = tell
        self._subscribers: list[Subscriber] = []
        self._loop_thread = threading.get_ident()
        self._stop = threading.Event()
        self._woken = False
        self._health_due_ns = self._alive_due_ns = 0
        self._spoke = False

    @property
    def stopping(self) -> bool:
        """Return whether the graph is being stopped."""
        return self._stop.is_set()

    def publish(
        self,
        output: str,
        kind: Kind,
        arrays: tuple[AnyArray, ...] = (),
        *,
        stamp_ns: int,
        span_ns: int = 0,
        error_ns: int = 0,
        frame_id: str = "",
        fields: Mapping[str, Value] | None = None,
    ) -> None:
        """Send one message on `name/output` to all who subscribed."""
        self._publisher.publish(
            output,
            kind,
            arrays,
            stamp_ns=stamp_ns,
            span_ns=span_ns,
            error_ns=error_ns,
            frame_id=frame_id,
            fields=fields,
        )
        if not self._spoke and kind not in _OWN_BOOKS:
            self._spoke = True
            self._tell(State.SPOKE, 0)

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        """Return a writable array to fill and publish; may be called from any thread."""
        return self._publisher.loan(output, dtype, shape)

    def latch(self, output: str, fields: Mapping[str, Value]) -> None:
        """Send a constant fact on `name/output`, now and to every later subscriber."""
        self._publisher.latch(output, fields)

    def announce(self, announcement: Announcement) -> None:
        """Send a promise about `announcement.output`."""
        self._publisher.promise(
            announcement.output, announcement.stamp_ns, begun=announcement.begun
        )

    def end(self, output: str) -> None:
        """Say that nothing follows on `output`."""
        self._publisher.end(output)

    def renew(self) -> None:
        """Begin a new life, as after a restart."""
        self._publisher.renew()

    def name_loss(self, output: str, cause: str, count: int = 1) -> None:
        """Count captures that this node lost before they were published."""
        self._publisher.name_loss(output, cause, count)

    def subscribe(
        self,
        topics: tuple[str, ...],
        *,
        queue: int = 256,
        hold: int = 8,
        delivery: Delivery = "each",
    ) -> Subscriber:
        """Return a subscriber to `topics`; it is closed with this context.

        Raises:
            ConfigError: a topic is not published in this run.
        """
        subscriber = self._connect(topics, queue=queue, hold=hold, delivery=delivery)
        self._subscribers.append(subscriber)
        return subscriber

    def wait_until_ns(self, instant_ns: int) -> bool:
        """Wait for an instant of the graph clock; return False at once when the graph stops."""
        if threading.get_ident() == self._loop_thread:
            while not self.stopping and self.clock.now_ns() < instant_ns:
                self.serve(instant_ns)
        else:
            self._stop.wait(max(0, instant_ns - self.clock.now_ns()) / NS_PER_S)
        return not self.stopping

    def serve(self, until_ns: int) -> None:
        """Do the loop's housekeeping until `until_ns`, `wake` or the stop."""
        while True:
            due_ns = self._keep_house()
            wait_ns = min(due_ns, until_ns) - self.clock.now_ns()
            if self._woken or self.stopping or until_ns <= self.clock.now_ns():
                break
            self._publisher.wait(max(0, wait_ns))
        self._woken = False

    def wake(self) -> None:
        """End `serve` now, or the next one; may be called from any thread."""
        self._woken = True
        self._publisher.wake()

    def busy(self, at_most_ns: int) -> None:
        """Say that the loop will be silent for up to `at_most_ns`, or until it serves again."""
        self._alive_due_ns = 0
        self._tell(State.BUSY, at_most_ns)

    def stop(self) -> None:
        """Ask the node to end: every wait returns. For any thread, not for a signal handler."""
        self._stop.set()
        self._publisher.wake()
        for subscriber in tuple(self._subscribers):
            subscriber.wake()

    def joined(self) -> frozenset[str]:
        """Return the names of the subscribers that have joined, as of the last `serve`."""
        return self._publisher.joined()

    def close(self) -> None:
        """Close the subscribers, say goodbye and send the final statement."""
        for subscriber in self._subscribers:
            subscriber.close()
        self.state = "ended"
        self._say_health(self.clock.now_ns())
        self._publisher.close()

    def _keep_house(self) -> int:
        """Send what is due; return the instant when something is due again."""
        if self.faults:
            self._suffer()
        statement_due_ns = self._publisher.serve()
        now_ns = self.clock.now_ns()
        if now_ns >= self._health_due_ns:
            self._health_due_ns = now_ns + HEALTH_PERIOD_NS
            self._say_health(now_ns)
        if now_ns >= self._alive_due_ns:
            self._alive_due_ns = now_ns + ALIVE_PERIOD_NS
            self._tell(State.ALIVE, 0)
        return min(statement_due_ns, self._health_due_ns, self._alive_due_ns)

    def _suffer(self) -> None:
        """Hang, or be slow, where that is asked for; a stop of the graph ends it."""
        self._stop.wait(stall_ns(self.faults, self.clock.now_ns()) / NS_PER_S)

    def _say_health(self, now_ns: int) -> None:
        inputs: dict[str, Value] = {}
        for subscriber in self._subscribers:
            inputs.update(subscriber.counters())
        fields: dict[str, Value] = {"state": self.state, "pid": os.getpid(), "inputs": inputs}
        self._publisher.publish(HEALTH, Kind.HEALTH, stamp_ns=now_ns, fields=fields)
