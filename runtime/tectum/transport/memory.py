"""The transport within one process: same rules, no sockets. For tests and for embedding.

A `MemoryBus` stands for the host. Queues are bounded as ZeroMQ's are: a subscriber whose queue is
full loses messages until it has taken half of it. Arrays are handed over, not copied. Publishers
and subscribers may live in different threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from tectum.clock import NS_PER_S, Clock
from tectum.message import AnyArray, ArrayPayload, Header, Message, Value
from tectum.transport.base import Received
from tectum.transport.inbox import Inbox
from tectum.transport.joining import joining
from tectum.transport.outbox import STATEMENT, OutboxPublisher
from tectum.transport.wire import encode

__all__ = ["MemoryBus", "MemoryPublisher", "MemorySubscriber"]


class MemoryBus:
    """Connects the publishers and subscribers of one process."""

    def __init__(self, clock: Clock) -> None:
        """Let all its ends read `clock`."""
        self.clock = clock
        self._lock = threading.RLock()
        self._publishers: dict[str, MemoryPublisher] = {}
        self._subscribers: list[MemorySubscriber] = []

    def publisher(self, node: str, *, incarnation: int | None = None) -> MemoryPublisher:
        """Return a publisher for `node`; it replaces an earlier one, as a restart does."""
        return MemoryPublisher(self, node, incarnation)

    def subscriber(
        self, name: str, topics: Sequence[str], *, queue: int = 256, nodes: Iterable[str] = ()
    ) -> MemorySubscriber:
        """Return a subscriber called `name` to the exact `topics`.

        `nodes` are those that publish some of them and that no topic is named after.
        """
        return MemorySubscriber(self, name, topics, queue, nodes)

    def enter(self, end: MemoryPublisher | MemorySubscriber) -> None:
        """Connect an end to all its peers. For the ends themselves."""
        with self._lock:
            if isinstance(end, MemoryPublisher):
                self._publishers[end.node] = end
                for subscriber in self._subscribers:
                    end.tell(subscriber.joining(begins=True))
            else:
                self._subscribers.append(end)
                self._tell_all(end.joining(begins=True))

    def leave(self, end: MemoryPublisher | MemorySubscriber) -> None:
        """Disconnect an end. For the ends themselves."""
        with self._lock:
            if isinstance(end, MemorySubscriber):
                self._subscribers.remove(end)
                self._tell_all(end.joining(begins=False))
            elif self._publishers.get(end.node) is end:
                del self._publishers[end.node]

    def deliver(self, message: Message) -> bool:
        """Give `message` to all who subscribed; return False where a queue was full."""
        with self._lock:
            wanting = [item for item in self._subscribers if item.wants(message.header.topic)]
            taken = [item.offer(message) for item in wanting]
            return all(taken)

    def _tell_all(self, subscription: bytes) -> None:
        for publisher in self._publishers.values():
            publisher.tell(subscription)


class _Wakeable:
    """Waiting and waking up within a process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._woken = False

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something has come or `wake` is called; False on time-out."""
        with self._changed:
            self._changed.wait_for(self._ready, max(0, timeout_ns) / NS_PER_S)
            ready, self._woken = self._ready(), False
            return ready

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def _ready(self) -> bool:
        return self._woken


class MemoryPublisher(_Wakeable, OutboxPublisher):
    """Satisfies `tectum.transport.base.Publisher`."""

    def __init__(self, bus: MemoryBus, node: str, incarnation: int | None) -> None:
        """Speak for `node` on `bus`."""
        _Wakeable.__init__(self)
        OutboxPublisher.__init__(self, node, bus.clock, incarnation)
        self._bus = bus
        self._told: deque[bytes] = deque()
        bus.enter(self)

    def tell(self, subscription: bytes) -> None:
        """Take note of a subscription or its end. For the bus."""
        self._told.append(subscription)
        self.wake()

    def _rouse(self, topic: str, arrays: tuple[AnyArray, ...]) -> None:
        """Do nothing: it is there at once."""

    def _send(self, header: Header, arrays: tuple[AnyArray, ...] = ()) -> bool:
        encode(header)  # what the wire would refuse is refused here as well
        return self._bus.deliver(Message(header, tuple([ArrayPayload(item) for item in arrays])))

    def _subscriptions(self) -> list[bytes]:
        return [self._told.popleft() for _ in range(len(self._told))]

    def _ready(self) -> bool:
        return self._woken or bool(self._told)

    def _shut(self) -> None:
        self._bus.leave(self)


class MemorySubscriber(_Wakeable):
    """Satisfies `tectum.transport.base.Subscriber`."""

    def __init__(
        self,
        bus: MemoryBus,
        name: str,
        topics: Sequence[str],
        queue: int,
        nodes: Iterable[str] = (),
    ) -> None:
        """Listen on `bus` as `name`, for the exact `topics`."""
        super().__init__()
        self._bus, self._name, self._limit = bus, name, queue
        publishing = {*nodes, *(topic.partition("/")[0] for topic in topics)}
        self._topics = frozenset(topics) | {f"{node}/{STATEMENT}" for node in publishing}
        self._inbox = Inbox(name, topics)
        self._queue: deque[Message] = deque()
        self._shut_out = False
        self._closed = False
        bus.enter(self)

    def joining(self, *, begins: bool) -> bytes:
        """Return the subscription by which publishers learn this name. For the bus."""
        return bytes([begins]) + joining(self._name, 0, "each")

    def wants(self, topic: str) -> bool:
        """Return whether `topic` was subscribed and there may be room. For the bus."""
        if self._shut_out and len(self._queue) <= self._limit // 2:
            self._shut_out = False
        return topic in self._topics and not self._shut_out

    def offer(self, message: Message) -> bool:
        """Take `message`, or return False because the queue is full. For the bus."""
        if len(self._queue) >= self._limit:
            self._shut_out = True
            return False
        self._queue.append(message)
        self.wake()
        return True

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most about `limit`, without waiting."""
        results: list[Received] = []
        for _ in range(min(limit, len(self._queue))):
            results += self._inbox.take(self._queue.popleft())
        return results

    def watch(self, descriptor: int) -> None:
        """Do nothing: in memory nobody waits for the system."""

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return the counts per topic; see `Inbox.counters`."""
        return self._inbox.counters()

    def close(self) -> None:
        """Close; what has not been drained is dropped. Further calls do nothing."""
        if not self._closed:
            self._closed = True
            self._bus.leave(self)

    def _ready(self) -> bool:
        return self._woken or bool(self._queue)
