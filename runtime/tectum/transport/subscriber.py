"""The subscriber: joined to the publishers of its topics, by links on this host or over ZeroMQ.

Publishers of this host that have a local link are joined by it; the others, and those of other
hosts, over ZeroMQ, and so is everybody by who reads no shared memory or wants to lose nothing: a
link has no thread of its own that carries large payloads while the publisher does something else.
A publisher that dies and comes back is joined again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tectum.clock import Clock
from tectum.errors import WireError
from tectum.message import Header, Kind, Message, Payload, Value
from tectum.transport.base import Received
from tectum.transport.endpoint import check_endpoint
from tectum.transport.far_inlet import Far, FarInlet
from tectum.transport.inbox import OTHER, Inbox
from tectum.transport.inlet import Inlet
from tectum.transport.joining import Delivery, joining
from tectum.transport.lease import OvertakenError, PoolReader
from tectum.transport.local_links import LocalLinks
from tectum.transport.outbox import STATEMENT
from tectum.transport.payload import FramePayload
from tectum.transport.pool_file import pools_are_possible
from tectum.transport.reference import Reference
from tectum.transport.topic_frames import inline_topic, shared_topic, topic_frame, topic_of
from tectum.transport.waiter import Waiter
from tectum.transport.wire import decode_reference

__all__ = ["DEFAULT_HOLD", "Far", "ZmqSubscriber"]

DEFAULT_HOLD = 8
"""Of any subscriber that says nothing else; memory is only used where so much is really held."""

_LASTING = (Kind.LATCHED, Kind.STATEMENT, Kind.PROMISE, Kind.END)
_log = logging.getLogger(__name__)


class _Come(NamedTuple):
    """A message as it came."""

    header: Header
    reference: Reference | None
    buffers: Sequence[bytes | memoryview]


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
        self._inbox = Inbox(name, topics)
        self._hold, self._reader = hold, PoolReader(hold)
        self._newest_alone = delivery == "newest"
        subscriptions = _subscriptions(name, topics, nodes, hold, delivery)
        self._near = Inlet(subscriptions, queue)
        self._far = FarInlet(name, far, subscriptions, queue, clock) if far else None
        inlets = [self._near, self._far] if self._far else [self._near]
        self._waiter = Waiter(clock, *(inlet.socket for inlet in inlets))
        self._sources: list[LocalLinks | Inlet] = [self._far] if self._far else []
        self._foreign = deque(allowed)
        self._links: LocalLinks | None = None
        if hold and delivery != "lossless":
            self._links = LocalLinks(allowed, subscriptions, self.wake, self._refuse_stream)
            self._foreign = self._links.foreign
            self._sources.insert(0, self._links)
            self._waiter.add(self._links.descriptor)
        self._connect_foreign()

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most about `limit`, without waiting."""
        if self._far is not None:
            self._far.look()
        if self._foreign:
            self._connect_foreign()
        come: list[_Come] = []
        results: list[Received] = []
        for frames in islice(self._frames(), limit):
            parsed = self._parsed(frames)
            if parsed is not None and self._newest_alone:
                come.append(parsed)
            elif parsed is not None:
                results += self._taken(parsed)
        return self._newest(come) if come else results

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something may have arrived or `wake` was called; False on time-out."""
        if self._foreign:
            self._connect_foreign()
        for source in self._sources:
            if source.has_come():
                return True
        changed = self._waiter.wait_for_change(timeout_ns)
        if self._links is not None and self._links.descriptor in changed:
            self._links.read()
        return bool(changed)

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
        for source in {*self._sources, self._near}:
            source.close()

    def _connect_foreign(self) -> None:
        """Join over ZeroMQ those publishers that are to be joined so."""
        while self._foreign:
            self._near.socket.connect(self._foreign.popleft())
            if self._near not in self._sources:
                self._sources.append(self._near)

    def _frames(self) -> Iterator[Sequence[bytes | memoryview]]:
        for source in self._sources:
            yield from source.messages()

    def _parsed(self, buffers: Sequence[bytes | memoryview]) -> _Come | None:
        """Return a message as it came, or None where it is malformed or comes inline as well."""
        try:
            header, reference = decode_reference(buffers)
        except WireError as error:
            self._refuse(_topic_or_other(buffers[0]), error)
            return None
        if reference is not None and not self._hold:
            return None
        return _Come(header, reference, buffers[2:])

    def _newest(self, come: Sequence[_Come]) -> list[Received]:
        """Take the newest of each topic, and what takes no place of another."""
        last = {item.header.topic: index for index, item in enumerate(come) if _can_age(item)}
        results: list[Received] = []
        for index, item in enumerate(come):
            if _can_age(item) and index != last[item.header.topic]:
                if item.reference is not None:
                    self._reader.pass_over(item.reference)
                results += self._inbox.lose(item.header, "skipped")
            else:
                results += self._taken(item)
        return results

    def _taken(self, come: _Come) -> list[Received]:
        header, reference, buffers = come
        if self._far is not None:
            header = self._far.translated(header)
        if reference is None:
            payloads: tuple[Payload, ...] = tuple(
                [
                    FramePayload(buffer, len(buffer), spec)
                    for buffer, spec in zip(buffers, header.buffers, strict=True)
                ]
            )
            return self._inbox.take(Message(header, payloads))
        try:
            payloads = self._reader.payloads(reference, header.buffers)
        except OvertakenError:
            return self._inbox.lose(header, "overtaken")
        except WireError as error:
            self._refuse(header.topic, error)
            return []
        return self._inbox.take(Message(header, payloads))

    def _refuse(self, topic: str, error: WireError) -> None:
        """Count a message that breaks a rule; say so when the count doubles."""
        count = self._inbox.refuse(topic)
        if count & (count - 1) == 0:
            _log.warning("refused %d messages of %s so far: %s", count, topic, error)

    def _refuse_stream(self, error: WireError) -> None:
        """Count a link that cannot be read on."""
        self._refuse(OTHER, error)


def _subscriptions(
    name: str, topics: Sequence[str], nodes: Iterable[str], hold: int, delivery: Delivery
) -> list[bytes]:
    """Return what is subscribed: topics, statements, and last the joining."""
    form = shared_topic if hold else inline_topic
    publishing = {*nodes, *(topic.partition("/")[0] for topic in topics)}
    wanted = (*topics, *(f"{node}/{STATEMENT}" for node in publishing))
    subscriptions = [form_of(topic) for topic in wanted for form_of in (topic_frame, form)]
    return [*subscriptions, joining(name, hold, delivery)]


def _can_age(come: _Come) -> bool:
    """Return whether a newer message of the topic makes this one worthless."""
    return come.header.kind not in _LASTING


def _topic_or_other(frame: bytes | memoryview) -> str:
    try:
        return topic_of(bytes(frame))
    except WireError:
        return OTHER
