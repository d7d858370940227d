"""A thread that writes a log, so that whoever receives messages never waits for a disk.

Messages wait in a queue that is bounded in bytes; what finds it full is left out and counted.
Pictures are encoded here. When the disk runs full, or cannot be written, recording stops, the file
is finished, and the rest of the graph goes on.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from tectum.clock import NS_PER_S, Clock
from tectum.errors import DataError
from tectum.message import Message
from tectum.recording.series import LogSeries

__all__ = ["LogThread", "LogThreadLimits"]

_LOOK_EVERY_NS = NS_PER_S
_NICER = 10
"""A tenth of the processor where somebody else wants it too, so that answers are no later for being
recorded; on a machine that is overloaded for long the queue overflows, which is counted."""


@dataclass(frozen=True, slots=True)
class LogThreadLimits:
    """When messages are left out and when recording stops."""

    queue_bytes: int = 256 * 1024 * 1024
    min_free_bytes: int = 500_000_000


class LogThread:
    """Writes what is `put`, until `close`. `put` and `close` are for one thread."""

    def __init__(
        self,
        series: LogSeries,
        clock: Clock,
        limits: LogThreadLimits,
        facts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Start to write into `series`, which belongs to this thread from now on.

        `facts` are asked for when a file ends; from any thread.
        """
        self._left_out = 0
        self.refused = 0
        """Messages that cannot be stored: pictures that do not become JPEG."""
        self.stopped = ""
        """Why recording has stopped before its time; empty: it has not."""
        self._series, self._clock, self._limits, self._facts = series, clock, limits, facts
        self._changed = threading.Condition()
        self._queue: deque[tuple[Message, int]] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._look_at_ns = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    @property
    def left_out(self) -> int:
        """Return the messages that found the queue or the disk full, or came after the stop."""
        return self._left_out + self._series.lost

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files so far."""
        return tuple(str(path) for path in self._series.files)

    @property
    def written_bytes(self) -> int:
        """Return the bytes of records written so far."""
        return self._series.bytes

    @property
    def written(self) -> int:
        """Return how many messages have been written."""
        return self._series.messages

    def put(self, message: Message, arrived_ns: int) -> bool:
        """Hand a message over; return False where it is left out. Never waits."""
        nbytes = _size(message)
        with self._changed:
            full = self._queued_bytes + nbytes > self._limits.queue_bytes and self._queue
            if full or self.stopped:
                self._left_out += 1
                message.release()
                return False
            self._queue.append((message, arrived_ns))
            self._queued_bytes += nbytes
            self._changed.notify()
        return True

    def close(self) -> None:
        """Write what waits, finish the file and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._finish()

    def _all_facts(self) -> dict[str, str]:
        """Return what is said of the recording in a file that ends now."""
        counts = {
            "messages": self._series.file_messages,
            "left_out": self.left_out,
            "refused": self.refused,
        }
        texts = {name: str(count) for name, count in counts.items()}
        return {**texts, "stopped": self.stopped, **self._facts()}

    def _run(self) -> None:
        _yield_to_others()
        try:
            while (batch := self._next()) is not None:
                for message, arrived_ns in batch:
                    self._write(message, arrived_ns)
                self._guarded(lambda: self._series.flush_at(self._clock.now_ns()))
                self._look_at_disk()
                if self.stopped:
                    self._finish()
        except Exception as error:
            self.stopped = f"{type(error).__name__}: {error}"  # said by who closes; and a bug
            raise

    def _next(self) -> list[tuple[Message, int]] | None:
        """Wait a little for messages and return them; None when there will be no more."""
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(timeout=0.1)
            if self._closing and not self._queue:
                return None
            batch, self._queue = list(self._queue), deque()
            return batch

    def _write(self, message: Message, arrived_ns: int) -> None:
        try:
            if not self.stopped and self._series.is_due(arrived_ns):
                self._guarded(lambda: self._series.begin_next(self._all_facts(), arrived_ns))
            if not self.stopped:
                self._series.write(message, arrived_ns)
            else:
                with self._changed:
                    self._left_out += 1
        except DataError as error:
            self._failed(error)
        finally:
            message.release()
            with self._changed:
                self._queued_bytes -= _size(message)

    def _failed(self, error: DataError) -> None:
        if isinstance(error.__cause__, OSError):
            self.stopped = str(error)
        else:
            self.refused += 1

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            if not self._series.closed:
                action()
        except DataError as error:
            self.stopped = self.stopped or str(error)

    def _finish(self) -> None:
        self._guarded(lambda: self._series.close(self._all_facts()))

    def _look_at_disk(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns < self._look_at_ns or self.stopped:
            return
        self._look_at_ns = now_ns + _LOOK_EVERY_NS
        folder = self._series.path.parent
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            self.stopped = f"{folder} is gone: {error.strerror}"
            return
        if free < self._limits.min_free_bytes:
            self.stopped = (
                f"only {free / 1e6:.0f} MB are free at {folder} and "
                f"{self._limits.min_free_bytes / 1e6:.0f} MB must stay"
            )


def _yield_to_others() -> None:
    """Let whoever computes answers go first on a busy processor: messages can wait in the queue."""
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICER)


def _size(message: Message) -> int:
    return sum(spec.nbytes for spec in message.header.buffers) + 1_000
