"""What a publisher knows: sequence numbers, who has joined, latched facts, losses, statements.

`OutboxPublisher` is everything of a publisher but the sending itself, which ZeroMQ and the
in-memory transport add. Data kinds take a sequence number; PROMISE and END carry the next one.
A statement goes out every 100 ms, whenever a subscriber joins, and at the end. It says how many
messages each topic has had, what was lost before it got a number, and where a subscriber's queue
was found full: from exactly those numbers on that subscriber, and no other, missed messages.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from tectum.clock import NS_PER_MS, Clock
from tectum.errors import ContractError
from tectum.message import DTYPES, AnyArray, BufferSpec, Header, Kind, Value
from tectum.transport.header_parts import buffer_spec
from tectum.transport.joining import Guest, guest_of
from tectum.transport.topics import topic_name

__all__ = ["STATEMENT", "NoSlotError", "OutboxPublisher", "new_incarnation"]

STATEMENT = "@statement"
"""The output on which every publisher states its counts."""
STATEMENT_PERIOD_NS = 100 * NS_PER_MS
FULL_QUEUES_KEPT = 64
"""How many places where a queue was found full a statement repeats."""
_NAMES = {np.dtype(name).newbyteorder("<"): name for name in DTYPES}
"""NumPy works a dtype's name out anew each time."""
_PROMISE, _END = Kind.PROMISE, Kind.END
_NO_BUFFERS: tuple[BufferSpec, ...] = ()
_NO_FIELDS: Mapping[str, Value] = MappingProxyType({})


class NoSlotError(Exception):
    """Readers hold all shared memory of a topic: the message is dropped and counted."""


def new_incarnation() -> int:
    """Return a random 63-bit number, so that two lives of a publisher are never mistaken."""
    return secrets.randbits(63)


class OutboxPublisher(ABC):
    """A publisher but for its socket. Satisfies `tectum.transport.base.Publisher`."""

    def __init__(self, node: str, clock: Clock, incarnation: int | None = None) -> None:
        """Speak for `node` in a new life, or in the one that a test names."""
        self.node = node
        self.incarnation = new_incarnation() if incarnation is None else incarnation
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        """By output, of those that were published."""
        self._next: dict[str, int] = {}
        self._latched: dict[str, Header] = {}
        self._lost: dict[str, dict[str, int]] = {}
        self._full: deque[dict[str, int]] = deque(maxlen=FULL_QUEUES_KEPT)
        self._joined: dict[str, dict[str, int]] = {}
        self._guests: dict[str, Guest] = {}
        self._statement_due_ns = 0
        self._closed = False

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
    ) -> Header:
        """Send one message on `node/output`, never waiting; return its header."""
        line = self._lines.get(output) or self._line(output)
        topic, buffers = line.topic, _NO_BUFFERS
        if arrays:
            self._rouse(topic, arrays)
            arrays, buffers = line.described(arrays)
        header = Header(
            topic,
            kind,
            self._next.get(topic, 0),
            stamp_ns,
            span_ns,
            error_ns,
            self._clock.now_ns(),
            self.incarnation,
            frame_id,
            _NO_FIELDS if fields is None else fields,
            buffers,
        )
        if self._closed:
            msg = f"{topic}: the publisher of {self.node} is closed"
            raise ContractError(msg)
        try:
            all_took_it = self._send(header, arrays)  # raises before it takes a number
        except NoSlotError:
            self.name_loss(topic, "no_slot")
            return header
        if kind is not _PROMISE and kind is not _END:
            self._next[topic] = header.seq + 1
        if not all_took_it:
            self._note_full(header)
        return header

    def latch(self, output: str, fields: Mapping[str, Value]) -> Header:
        """Send a constant fact, now and to every subscriber that joins later."""
        header = self.publish(
            output, Kind.LATCHED, stamp_ns=self._clock.now_ns(), fields=dict(fields)
        )
        self._latched[header.topic] = header
        return header

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        """Return a new writable array to be published on `output`; it may cost no copy."""
        del output
        return np.empty(shape, dtype)

    def promise(self, output: str, stamp_ns: int, *, begun: bool) -> None:
        """Say that nothing with a stamp before `stamp_ns` follows on `output`."""
        self.publish(output, Kind.PROMISE, stamp_ns=stamp_ns, fields={"begun": begun})

    def end(self, output: str) -> None:
        """Say that nothing follows on `output`."""
        self.publish(output, Kind.END, stamp_ns=self._clock.now_ns())

    def renew(self) -> None:
        """Begin a new life, as after a restart, over the same connections.

        Numbers begin anew, and facts are said once more. What the former life said is stated
        first, so that nothing of it is missing without an explanation.
        """
        self._state(final=False)
        self.incarnation = new_incarnation()
        self._next.clear()
        self._lost.clear()
        self._full.clear()
        self._joined = {name: {} for name in self._joined}
        facts, self._latched = self._latched, {}
        self._state(final=False)
        for topic, header in facts.items():
            self.latch(topic.removeprefix(f"{self.node}/"), header.fields)

    def name_loss(self, output: str, cause: str, count: int = 1) -> None:
        """Count a loss that this node caused itself before a message got its number."""
        causes = self._lost.setdefault(topic_name(self.node, output), {})
        causes[cause] = causes.get(cause, 0) + count

    def serve(self) -> int:
        """Take up joins, send what is due, and return the instant when it is due again."""
        newcomers = self._take_up(self._subscriptions())
        now_ns = self._clock.now_ns()
        if newcomers or now_ns >= self._statement_due_ns:
            self._state(final=False)
            self._statement_due_ns = now_ns + STATEMENT_PERIOD_NS
        if newcomers:
            self._repeat_facts()
        return self._statement_due_ns

    def joined(self) -> frozenset[str]:
        """Return the names of the subscribers that are connected, as of the last `serve`."""
        return frozenset(self._joined)

    def close(self) -> None:
        """Send the final statement and close; further calls do nothing."""
        if not self._closed:
            if self._take_up(self._subscriptions()):
                self._repeat_facts()
            self._state(final=True)
            self._closed = True
            self._shut()

    @abstractmethod
    def _send(self, header: Header, arrays: tuple[AnyArray, ...] = ()) -> bool:
        """Send to all who subscribed, without waiting; return False where a queue was full."""

    @abstractmethod
    def _rouse(self, topic: str, arrays: tuple[AnyArray, ...]) -> None:
        """Let subscribers know, if it is worth it, that a message with `arrays` will be sent."""

    @abstractmethod
    def _subscriptions(self) -> Iterable[bytes]:
        """Return the subscriptions (1, prefix) and their ends (0, prefix) since the last call."""

    @abstractmethod
    def _shut(self) -> None:
        """Close the socket."""

    def _line(self, output: str) -> _Line:
        """Return the line of an output that has not been published before."""
        line = self._lines[output] = _Line(topic_name(self.node, output))
        return line

    def _note_full(self, header: Header) -> None:
        """Note the place where a queue was found full."""
        places = self._counts()
        if header.topic in places:
            places[header.topic] = header.seq
        self._full.append(places)

    def _take_up(self, subscriptions: Iterable[bytes]) -> bool:
        """Keep the list of subscribers; return whether one came."""
        newcomers = False
        for subscription in subscriptions:
            guest = guest_of(subscription[1:])
            if guest is None:
                continue
            if subscription[:1] == b"\1":
                newcomers = True
                self._joined[guest.name], self._guests[guest.name] = self._counts(), guest
            else:
                self._joined.pop(guest.name, None)
                self._guests.pop(guest.name, None)
        return newcomers

    def _repeat_facts(self) -> None:
        """Send the constant facts again, under their old numbers: who has them drops them."""
        for header in self._latched.values():
            self._send(header)

    def _state(self, *, final: bool) -> None:
        fields: dict[str, Value] = {
            "published": self._counts(),
            "lost": {topic: dict(causes) for topic, causes in self._lost.items()},
            "full": list(self._full),
            "joined": {name: dict(counts) for name, counts in self._joined.items()},
            "final": final,
        }
        self.publish(STATEMENT, Kind.STATEMENT, stamp_ns=self._clock.now_ns(), fields=fields)

    def _counts(self) -> dict[str, int]:
        """Return how many messages each topic has had, which is also its next number."""
        own = f"{self.node}/{STATEMENT}"
        return {topic: seq for topic, seq in self._next.items() if topic != own}


class _Line:
    """One output: its topic, and what was said of the array that it sent last."""

    __slots__ = ("_buffers", "_dtype", "_shape", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._dtype: np.dtype[np.generic] | None = None
        self._shape: tuple[int, ...] = ()
        self._buffers: tuple[BufferSpec, ...] = ()

    def described(
        self, arrays: tuple[AnyArray, ...]
    ) -> tuple[tuple[AnyArray, ...], tuple[BufferSpec, ...]]:
        """Return arrays as they can be sent, and what is said of them.

        Raises:
            ContractError: the wire has no such dtype.
        """
        first, *others = arrays
        known = not others and first.dtype is self._dtype and first.shape == self._shape
        if known and first.flags.c_contiguous:
            return arrays, self._buffers
        arrays = tuple([_sendable(self.topic, array) for array in arrays])
        buffers = tuple([buffer_spec(_NAMES[array.dtype], *array.shape) for array in arrays])
        if len(arrays) == 1:
            self._dtype, self._shape, self._buffers = arrays[0].dtype, arrays[0].shape, buffers
        return arrays, buffers


def _sendable(topic: str, array: AnyArray) -> AnyArray:
    if array.dtype in _NAMES and array.flags.c_contiguous:
        return array
    if array.dtype.name not in DTYPES:
        msg = f"{topic}: an array of {array.dtype} cannot be sent; use one of {', '.join(DTYPES)}"
        raise ContractError(msg)
    little = array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, little).reshape(array.shape)
