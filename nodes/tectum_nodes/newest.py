"""A source read in a thread of its own, of which only the newest item is kept.

Drivers and network stacks queue what is not fetched, and a slow reader then sees the past. This
thread always fetches; what nobody took in time is overwritten and counted in `skipped`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Generic, TypeVar

__all__ = ["Newest"]

T = TypeVar("T")


class Newest(Generic[T]):
    """The newest item of a generator; a context manager that lets it end."""

    def __init__(self, source: Generator[T, None, None], name: str) -> None:
        """Begin to read `source`, in a thread that is called `name`."""
        self.skipped = 0
        """Items that were overwritten before they were taken."""
        self._source = source
        self._changed = threading.Condition()
        self._item: T | None = None
        self._error: BaseException | None = None
        self._ended = self._closing = False
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def __enter__(self) -> Newest[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Return whether the source has ended by itself and its last item was taken."""
        return self._ended and self._item is None

    def take(self, timeout_s: float) -> T | None:
        """Return the newest item, once; None where none has come in time or the source has ended.

        Raises:
            Exception: what the source raised, after its last item.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._ended, timeout_s)
            item, self._item = self._item, None
            if item is None and self._error is not None:
                raise self._error
            return item

    def close(self) -> None:
        """Let the source end at its next item. It is not waited for: it may hang in a driver."""
        with self._changed:
            self._closing = True

    def _read(self) -> None:
        try:
            for item in self._source:
                with self._changed:
                    if self._closing:
                        break
                    self.skipped += self._item is not None
                    self._item = item
                    self._changed.notify()
        except BaseException as error:  # raised again where items are taken
            self._error = error
        finally:
            self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify()
