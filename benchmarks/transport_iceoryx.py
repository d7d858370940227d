"""iceoryx2 as a peer of the transport benchmark, where it is installed (pip install iceoryx2).

A sample is the payload with 16 bytes behind it: time of sending, checksum. A notifier wakes the
subscriber, as its own examples do; without that it would have to poll.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import iceoryx2 as iox
import numpy as np

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock

__all__ = ["IceoryxPublisher", "IceoryxSubscriber"]

CLOCK = GraphClock(0)
TAIL = 16


class _End:
    """The services that both ends open."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._node = iox.NodeBuilder.new().create(iox.ServiceType.Ipc)
        name = Path(job["folder"]).name
        payload = iox.Slice[ctypes.c_uint8]
        self._samples = (
            self._builder(f"{name}/samples")
            .publish_subscribe(payload)
            .subscriber_max_buffer_size(4)
            .open_or_create()
        )
        self._events = self._builder(f"{name}/events").event().open_or_create()

    def close(self) -> dict[str, Any]:
        """Give everything back, so that no file of it is left; know nothing at the end."""
        self.__dict__.clear()
        gc.collect()
        return {}

    def _builder(self, name: str) -> Any:
        return self._node.service_builder(iox.ServiceName.new(name))


class IceoryxPublisher(_End):
    """Copies each capture into a loaned sample, as a driver with memory of its own must."""

    def __init__(self, job: dict[str, Any]) -> None:
        """Wait for the subscriber, which is there first."""
        super().__init__(job)
        size = job["nbytes"] + TAIL
        self._publisher = self._samples.publisher_builder().initial_max_slice_len(size).create()
        self._notifier = self._events.notifier_builder().create()

    def loan(self, nbytes: int) -> None:
        """Lend nothing: the source has memory of its own."""
        del nbytes

    def send(self, index: int, array: Any, crc: int) -> None:
        """Send one message."""
        del index
        stamp_ns = CLOCK.now_ns()
        sample = self._publisher.loan_slice_uninit(array.nbytes + TAIL)
        goal = _bytes_at(sample.payload_ptr, array.nbytes + TAIL)
        goal[:-TAIL] = array
        goal[-TAIL:].view(np.uint64)[:] = (stamp_ns, crc)
        sample.assume_init().send()
        self._notifier.notify()

    def serve(self) -> None:
        """Do nothing: there is no housekeeping."""

    def close(self) -> dict[str, Any]:
        """Give the last message time to be read."""
        CLOCK.sleep_until_ns(CLOCK.now_ns() + NS_PER_S // 5)
        return super().close()


class IceoryxSubscriber(_End):
    """Reads in place."""

    def __init__(self, job: dict[str, Any]) -> None:
        """Be there before the publisher."""
        super().__init__(job)
        self._subscriber = self._samples.subscriber_builder().buffer_size(4).create()
        self._listener = self._events.listener_builder().create()

    def take(self, timeout_ns: int) -> Iterator[tuple[int, int, Any]]:
        """Yield time of sending, checksum and array of what has come."""
        self._listener.timed_wait(iox.Duration.from_millis(timeout_ns // NS_PER_MS))
        while (sample := self._subscriber.receive()) is not None:
            payload = sample.payload()
            whole = _bytes_at(payload.as_ptr(), payload.len())
            stamp_ns, crc = whole[-TAIL:].view(np.uint64).tolist()
            yield stamp_ns, crc, whole[:-TAIL]
            sample.delete()


def _bytes_at(address: int, nbytes: int) -> Any:
    memory: Any = (ctypes.c_uint8 * nbytes).from_address(address)  # numpy's types know it not
    return np.frombuffer(memory, np.uint8)
