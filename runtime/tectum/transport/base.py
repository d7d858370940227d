"""What a transport offers to nodes: publish, subscribe, wait and wake up. Interfaces only.

A publisher speaks for one node and numbers the messages of each of its topics 0, 1, 2 ...; a
subscriber listens to topics of any nodes and finds every hole in those numbers. A subscriber whose
queue is full loses messages, nobody else does, and the loss is stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from tectum.message import AnyArray, Header, Kind, Message, Value

__all__ = ["Gap", "Publisher", "Received", "Subscriber"]


class Gap(NamedTuple):
    """Messages that never came: seen as a hole in the sequence numbers of a topic."""

    topic: str
    incarnation: int
    first_seq: int
    missing: int
    cause: str = ""
    """Why, where this side caused it: overtaken, skipped."""


class Received(NamedTuple):
    """One thing that came out of a subscriber: a message, or a hole before it."""

    message: Message | None
    gap: Gap | None = None


class Publisher(Protocol):
    """The sending end of a node's topics. For one thread, `wake` excepted."""

    node: str
    incarnation: int
    """Random 63-bit number of this publisher's life."""

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
        """Send one message on `node/output`, never waiting; return its header.

        `arrays` must not be written to afterwards: large ones are sent from where they are.

        Raises:
            ContractError: an array or field that the wire cannot carry.
        """
        ...

    def loan(self, output: str, dtype: str, shape: tuple[int, ...]) -> AnyArray:
        """Return a writable array to fill and then publish as the only array of one message.

        Where payloads travel in shared memory it lies there, and publishing costs no copy. Its
        content is undefined. May be called from any thread.
        """
        ...

    def latch(self, output: str, fields: Mapping[str, Value]) -> Header:
        """Send a constant fact, now and to every subscriber that joins later."""
        ...

    def promise(self, output: str, stamp_ns: int, *, begun: bool) -> None:
        """Say that nothing with a stamp before `stamp_ns` follows on `output`."""
        ...

    def end(self, output: str) -> None:
        """Say that nothing follows on `output`."""
        ...

    def renew(self) -> None:
        """Begin a new life, as after a restart: numbers begin anew, facts are said once more."""
        ...

    def name_loss(self, output: str, cause: str, count: int = 1) -> None:
        """Count a loss that this node caused itself before a message got its number."""
        ...

    def serve(self) -> int:
        """Take up joins, send what is due, and return the instant when it is due again (ns)."""
        ...

    def joined(self) -> frozenset[str]:
        """Return the names of the subscribers that are connected, as of the last `serve`."""
        ...

    def wait(self, timeout_ns: int) -> bool:
        """Wait until a subscriber joins or leaves or `wake` is called; False on time-out."""
        ...

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        ...

    def close(self) -> None:
        """Send the final statement and close."""
        ...


class Subscriber(Protocol):
    """The receiving end of one or more topics. For one thread, `wake` excepted."""

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most about `limit`, without waiting.

        Malformed messages are refused and counted, never raised. A gap comes right before the
        first message after it, or as soon as the publisher states that it sent more.
        """
        ...

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something has arrived or `wake` was called; False on time-out."""
        ...

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        ...

    def watch(self, descriptor: int) -> None:
        """Let `wait` return as well while a descriptor of the system can be read."""
        ...

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return what is known per topic; see `tectum.transport.inbox.Inbox.counters`."""
        ...

    def close(self) -> None:
        """Close; what has not been drained is dropped."""
        ...
