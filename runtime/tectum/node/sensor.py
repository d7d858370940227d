"""How a `SensorNode` runs: a reader thread captures, the loop thread sends.

The reader hands over at most `HAND_OVER` captures; where the loop does not keep up, the oldest is
dropped and counted as `reader_overrun` in the node's statements. What the reader raises ends the
node with that error. When it ends by itself, every output is ended.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from tectum.clock import NS_PER_S
from tectum.node.base import Announcement, Capture, Context, Restart, SensorNode

__all__ = ["run_sensor"]

_Item = Capture | Announcement | Restart
HAND_OVER = 64
READER_GRACE_NS = 300_000_000
"""How long a reader that was asked to stop may take before the node ends without it."""


def run_sensor(node: SensorNode, context: Context) -> None:
    """Run `node` until its source ends or the graph stops.

    Raises:
        Exception: whatever the reader raised.
    """
    hand_over = _HandOver(context.wake)
    reader = threading.Thread(
        target=_read, args=(node, context, hand_over), name=f"{context.name} reader", daemon=True
    )
    reader.start()
    finished = False
    while not (finished or context.stopping):
        context.serve(context.clock.now_ns() + NS_PER_S)
        finished = hand_over.finished  # read before taking: nothing is put after it is set
        _send(hand_over, context)
    reader.join(READER_GRACE_NS / NS_PER_S)
    _send(hand_over, context)
    if hand_over.error is not None:
        raise hand_over.error
    if finished and not context.stopping:
        for output in node.outputs_of(node.config):
            context.end(output)


class _HandOver:
    """A bounded queue between reader and loop that keeps the newest."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.finished = False
        self.error: BaseException | None = None
        self._wake = wake
        self._lock = threading.Lock()
        self._items: deque[_Item] = deque()
        self._overrun: list[str] = []

    def put(self, item: _Item) -> None:
        with self._lock:
            if len(self._items) >= HAND_OVER:
                first = next(i for i, it in enumerate(self._items) if not isinstance(it, Restart))
                dropped = self._items[first]
                del self._items[first]
                if isinstance(dropped, Capture):
                    self._overrun.append(dropped.output)
            self._items.append(item)
        self._wake()

    def finish(self, error: BaseException | None) -> None:
        self.error, self.finished = error, True
        self._wake()

    def take(self) -> tuple[list[_Item], list[str]]:
        """Return what has been put, and the output of each capture dropped since the last call."""
        with self._lock:
            items, self._items = list(self._items), deque()
            overrun, self._overrun = self._overrun, []
        return items, overrun


def _read(node: SensorNode, context: Context, hand_over: _HandOver) -> None:
    error: BaseException | None = None
    try:
        for item in node.captures(context):
            hand_over.put(item)
            if context.stopping:
                break
    except BaseException as raised:  # it is raised again in the loop thread
        error = raised
    hand_over.finish(error)


def _send(hand_over: _HandOver, context: Context) -> None:
    items, overrun = hand_over.take()
    for output in overrun:
        context.name_loss(output, "reader_overrun")
    for item in items:
        if isinstance(item, Announcement):
            context.announce(item)
        elif isinstance(item, Restart):
            context.renew()
        else:
            context.publish(
                item.output,
                item.kind,
                item.arrays,
                stamp_ns=item.stamp_ns,
                span_ns=item.span_ns,
                error_ns=item.error_ns,
                frame_id=item.frame_id,
                fields=item.fields,
            )
