"""The subscriber: joined to the publishers of its topics, by links on this host or over ZeroMQ.

Publishers of this host that have a local link are joined by it; the others, and those of other
hosts, over ZeroMQ, and so is everybody by who reads no shared memory or wants to lose nothing: a
link has no thread of its own that carries large payloads while the publisher does something else.
A publisher that dies and comes back is joined again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from tectum.clock import Clock
from tectum.message import Value
from tectum.transport.base import Received
from tectum.transport.endpoint import check_endpoint
from tectum.transport.far_inlet import Far, FarInlet
from tectum.transport.inbox import Inbox
from tectum.transport.inlet import Inlet
from tectum.transport.intake import Intake
from tectum.transport.joining import Delivery, joining
from tectum.transport.lease import PoolReader
from tectum.transport.local_links import LocalLinks
from tectum.transport.outbox import STATEMENT
from tectum.transport.pool_file import pools_are_possible
from tectum.transport.topic_frames import inline_topic, shared_topic, topic_frame
from tectum.transport.waiter import Waiter

__all__ = ["DEFAULT_HOLD", "Far", "ZmqSubscriber"]

DEFAULT_HOLD = 8
"""Of any subscriber that says nothing else; memory is only used where so much is really held."""


class ZmqSubscriber:
    """Satisfies `tectum.transport.base.Subscriber`. A publisher may come, die and come back."""

    def __init__(
        self,
        name: str,
        endpoints: Sequence[str],
        topics: Sequence[str],
        clock: Clock,
        *,
        queue: int = 256,
        hold: int = DEFAULT_HOLD,
        delivery: Delivery = "each",
        nodes: Iterable[str] = (),
        far: Far | None = None,
    ) -> None:
        """Join the publishers at `endpoints` as `name`, for `topics` (exact names).

        Args:
            name: unique in the run.
            endpoints: of the publishers.
            topics: exact names.
            clock: for waiting.
            queue: bounds the messages kept on this side per publisher.
            hold: how many messages may be kept in the publishers' shared memory at a time;
                further ones are copied out. 0: all payloads come inline.
            delivery: what is wanted where this side cannot keep up.
            nodes: those that publish some of the topics and that no topic is named after.
            far: publishers on other hosts.

        Raises:
            ConfigError: an endpoint is not `ipc://` or too long.
            ContractError: a topic is not `node/output`.
        """
        allowed = [check_endpoint(endpoint) for endpoint in endpoints]
        hold = hold if pools_are_possible() else 0
        self._clock = clock
        self._inbox, self._reader = Inbox(name, topics), PoolReader(hold)
        subscriptions = _subscriptions(name, topics, nodes, hold, delivery)
        self._near = Inlet(subscriptions, queue)
        self._far = FarInlet(name, far, subscriptions, queue, clock) if far else None
        self._inlets: list[Inlet] = [self._far] if self._far else []
        self._intake = Intake(
            self._inbox,
            self._reader if hold else None,
            newest_alone=delivery == "newest",
            translated=self._far.translated if self._far else None,
        )
        inlets = [self._near, self._far] if self._far else [self._near]
        self._waiter = Waiter(clock, *(inlet.socket for inlet in inlets))
        self._foreign = deque(allowed)
        self._links: LocalLinks | None = None
        if hold and delivery != "lossless":
            self._links = LocalLinks(allowed, subscriptions, self.wake, self._intake)
            self._foreign = self._links.foreign
            self._waiter.add(self._links.descriptor)
        self._connect_foreign()

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most about `limit`, without waiting."""
        if self._far is not None:
            self._far.look()
        if self._foreign:
            self._connect_foreign()
        come = self._links.taken(limit) if self._links is not None else []
        for inlet in self._inlets:
            for frames in islice(inlet.messages(), limit - len(come)):
                item = self._intake.parsed(frames)
                if item is not None:
                    come.append(item)
        return self._intake.taken(come)

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something may have arrived or `wake` was called; False on time-out.

        A message whose bytes are still on their way has not arrived.
        """
        if self._foreign:
            self._connect_foreign()
        links = self._links
        if links is not None and links.has_come():
            return True
        for inlet in self._inlets:
            if inlet.has_come():
                return True
        until_ns = self._clock.now_ns() + timeout_ns
        while changed := self._waiter.wait_for_change(timeout_ns):
            if links is None or links.descriptor not in changed:
                return True
            if links.read() or len(changed) > 1:
                return True
            timeout_ns = until_ns - self._clock.now_ns()
        return False

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        self._waiter.wake()

    def watch(self, descriptor: int) -> None:
        """Let `wait` return as well while a descriptor of the system can be read."""
        self._waiter.add(descriptor)

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return the counts per topic; see `Inbox.counters`."""
        return self._inbox.counters()

    def close(self) -> None:
        """Close; what has not been drained is dropped."""
        self._waiter.close()
        if self._links is not None:
            self._links.close()
        for inlet in {*self._inlets, self._near}:
            inlet.close()

    def _connect_foreign(self) -> None:
        """Join over ZeroMQ those publishers that are to be joined so."""
        while self._foreign:
            self._near.socket.connect(self._foreign.popleft())
            if self._near not in self._inlets:
                self._inlets.append(self._near)


def _subscriptions(
    name: str, topics: Sequence[str], nodes: Iterable[str], hold: int, delivery: Delivery
) -> list[bytes]:
    """Return what is subscribed: topics, statements, and last the joining."""
    form = shared_topic if hold else inline_topic
    publishing = {*nodes, *(topic.partition("/")[0] for topic in topics)}
    wanted = (*topics, *(f"{node}/{STATEMENT}" for node in publishing))
    subscriptions = [form_of(topic) for topic in wanted for form_of in (topic_frame, form)]
    return [*subscriptions, joining(name, hold, delivery)]
