"""A thread that writes a log, so that whoever receives messages never waits for a disk.

Messages wait in a queue that is bounded in bytes; what finds it full is left out and counted.
Pictures are encoded here. When the disk runs full, or cannot be written, recording stops and the
rest of the graph goes on; the log is whole up to there.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tectum.clock import NS_PER_S, Clock
from tectum.errors import DataError
from tectum.message import Message
from tectum.recording.writer import LogWriter

__all__ = ["LogThread", "LogThreadLimits"]

_LOOK_EVERY_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class LogThreadLimits:
    """When messages are left out and when recording stops."""

    queue_bytes: int = 256 * 1024 * 1024
    min_free_bytes: int = 500_000_000


class LogThread:
    """Writes what is `put`, until `close`. `put` and `close` are for one thread."""

    def __init__(self, writer: LogWriter, clock: Clock, limits: LogThreadLimits) -> None:
        """Start to write with `writer`, which belongs to this thread from now on."""
        self.left_out = 0
        """Messages that found the queue full, or came after recording had stopped."""
        self.refused = 0
        """Messages that cannot be stored: pictures that do not become JPEG."""
        self.stopped = ""
        """Why recording has stopped before its time; empty: it has not."""
        self._writer, self._clock, self._limits = writer, clock, limits
        self._changed = threading.Condition()
        self._queue: deque[tuple[Message, int]] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._look_at_ns = 0
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    @property
    def written_bytes(self) -> int:
        """Return the bytes of records written so far."""
        return self._writer.bytes

    @property
    def written(self) -> int:
        """Return how many messages have been written."""
        return self._writer.messages

    def put(self, message: Message, arrived_ns: int) -> bool:
        """Hand a message over; return False where it is left out. Never waits."""
        nbytes = _size(message)
        with self._changed:
            full = self._queued_bytes + nbytes > self._limits.queue_bytes and self._queue
            if full or self.stopped:
                self.left_out += 1
                message.release()
                return False
            self._queue.append((message, arrived_ns))
            self._queued_bytes += nbytes
            self._changed.notify()
        return True

    def close(self, facts: dict[str, str]) -> None:
        """Write what waits and `facts` about the recording, finish the file and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._guarded(lambda: self._writer.write_facts("tectum/recording", self._facts(facts)))
        self._guarded(self._writer.close)

    def _facts(self, facts: dict[str, str]) -> dict[str, str]:
        counts = {"messages": self.written, "left_out": self.left_out, "refused": self.refused}
        texts = {name: str(count) for name, count in counts.items()}
        return {**texts, "stopped": self.stopped, **facts}

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                for message, arrived_ns in batch:
                    self._write(message, arrived_ns)
                self._guarded(lambda: self._writer.flush_at(self._clock.now_ns()))
                self._look_at_disk()
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
            if not self.stopped:
                self._writer.write(message, arrived_ns)
            else:
                self.left_out += 1
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
            action()
        except DataError as error:
            self.stopped = self.stopped or str(error)

    def _look_at_disk(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns < self._look_at_ns or self.stopped:
            return
        self._look_at_ns = now_ns + _LOOK_EVERY_NS
        free = shutil.disk_usage(self._writer.path.parent).free
        if free < self._limits.min_free_bytes:
            self._guarded(self._writer.flush)
            self.stopped = (
                f"only {free / 1e6:.0f} MB are free at {self._writer.path.parent} and "
                f"{self._limits.min_free_bytes / 1e6:.0f} MB must stay"
            )


def _size(message: Message) -> int:
    return sum(spec.nbytes for spec in message.header.buffers) + 1_000
