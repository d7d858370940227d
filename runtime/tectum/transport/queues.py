"""How many messages may wait on one side of a connection: a number, and a number of bytes.

Each side learns from the largest message that it has seen, so the very first ones may exceed it.
"""

from __future__ import annotations

__all__ = ["QUEUE_BYTES", "bounded_queue"]

QUEUE_BYTES = 64 * 1024 * 1024
"""What may wait per connection and side, as far as single messages are not larger."""
LEAST = 2


def bounded_queue(queue: int, nbytes: int) -> int:
    """Return how many messages of up to `nbytes` may wait where `queue` small ones may."""
    return max(LEAST, min(queue, QUEUE_BYTES // max(1, nbytes)))
