"""What a transport offers to nodes: publish, subscribe, wake up. Interfaces only."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tectum.message import Message, Value

__all__ = ["Gap", "Received", "Subscriber"]


class Gap(NamedTuple):
    """Messages that never came: seen as a hole in the sequence numbers of a topic."""

    topic: str
    incarnation: int
    first_seq: int
    missing: int


class Received(NamedTuple):
    """One thing that came out of a subscriber: a message, or a hole before it."""

    message: Message | None
    gap: Gap | None = None


class Subscriber(Protocol):
    """The receiving end of one or more topics. For one thread."""

    def drain(self, limit: int = 1024) -> list[Received]:
        """Return everything that has arrived, at most `limit`, without waiting.

        Malformed messages are refused and counted, never raised.
        """
        ...

    def wait(self, timeout_ns: int) -> bool:
        """Wait until something has arrived or `wake` was called; False on time-out."""
        ...

    def wake(self) -> None:
        """End a `wait` of the owning thread; may be called from any thread."""
        ...

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return per topic: received, bytes, gaps, refused, and what publishers state."""
        ...

    def close(self) -> None:
        """Close; what has not been drained is dropped."""
        ...
