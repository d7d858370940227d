r"""Joining: the last subscription of a subscriber, which tells a publisher who it is. Pure.

`\xffjoin/<name>`, or `\xffjoin/<name>/<how>`: how many leases on shared memory it may hold at a
time, or `lossless`. Without that, or with 0, it gets its payloads inline.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["JOIN_PREFIX", "Delivery", "Guest", "guest_of", "joining"]

JOIN_PREFIX = b"\xffjoin/"
"""0xFF sorts behind every topic: ZeroMQ sends subscriptions in byte order when it connects, so
whoever has joined has subscribed to everything else before."""
MAX_HOLD = 256

Delivery = Literal["each", "newest", "lossless"]
"""What a subscriber wants where it cannot keep up.

each: every message that is still there when its turn comes; the others are counted.
newest: of what has come since it last looked, the newest of each topic; the others are counted.
lossless: everything; the publisher waits for it. For offline work; payloads come inline.
"""


class Guest(NamedTuple):
    """A subscriber, as it told a publisher."""

    name: str
    hold: int
    """How many leases it may hold; 0: it cannot read shared memory."""
    lossless: bool


def joining(name: str, hold: int, delivery: Delivery) -> bytes:
    """Return the subscription by which `name` joins."""
    how = "lossless" if delivery == "lossless" else str(hold)
    return JOIN_PREFIX + f"{name}/{how}".encode()


def guest_of(subscription: bytes) -> Guest | None:
    """Return who joins by a subscription, or None where it is an ordinary one."""
    if not subscription.startswith(JOIN_PREFIX):
        return None
    text = subscription.removeprefix(JOIN_PREFIX).decode("utf-8", "replace")
    name, _, how = text.partition("/")
    hold = min(int(how), MAX_HOLD) if how.isascii() and how.isdigit() else 0
    return Guest(name, hold, how == "lossless")
