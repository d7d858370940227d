"""Keeps a source going: opened again after it failed, with growing pauses, and said in words.

A source is a function that opens a device and yields from it. A `DeviceError` means that it is
absent, refuses, stalls or has gone: the message is said once, not at every attempt, and that it is
back is said too. Other errors pass. A source that ends without an error has ended for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DeviceError
from tectum.node.base import Context

__all__ = ["reconnected"]

T = TypeVar("T")

_FIRST_PAUSE_NS = 250 * NS_PER_MS
_LONGEST_PAUSE_NS = 5 * NS_PER_S


def reconnected(context: Context, opened: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Yield what `opened()` yields, and open it again whenever it fails, until the graph stops."""
    pause_ns, said, since_ns = _FIRST_PAUSE_NS, "", -1
    while not context.stopping:
        try:
            for item in opened():
                if since_ns >= 0:
                    lost_s = (context.clock.now_ns() - since_ns) / NS_PER_S
                    context.log.info("%s is back after %.1f s", context.name, lost_s)
                    pause_ns, said, since_ns = _FIRST_PAUSE_NS, "", -1
                yield item
            return
        except DeviceError as error:
            if since_ns < 0:
                since_ns = context.clock.now_ns()
            if str(error) != said:
                said = str(error)
                context.log.warning("%s; it is tried again", said)
        if not context.wait_until_ns(context.clock.now_ns() + pause_ns):
            return
        pause_ns = min(2 * pause_ns, _LONGEST_PAUSE_NS)
