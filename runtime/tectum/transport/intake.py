"""What a subscriber makes of messages that came: taken apart, leased, kept books of, handed out.

`parsed` and `prepare` come first, as soon as a message is there; `taken` when it is asked for. A
message that has begun is prepared while its publisher still copies the bytes: its pool is opened
and its lease taken, so that nothing is left to do when they are there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from tectum.errors import WireError
from tectum.message import Header, Kind, Message
from tectum.repeated import has_doubled
from tectum.transport.base import Received
from tectum.transport.inbox import OTHER, Inbox
from tectum.transport.incoming import Come
from tectum.transport.lease import OvertakenError, PoolReader
from tectum.transport.payload import FramePayload
from tectum.transport.topic_frames import topic_of
from tectum.transport.wire import decode_reference

__all__ = ["Intake"]

_LASTING = (Kind.LATCHED, Kind.STATEMENT, Kind.PROMISE, Kind.END)
_log = logging.getLogger(__name__)


class Intake:
    """The way in of one subscriber. For its thread."""

    def __init__(
        self,
        inbox: Inbox,
        reader: PoolReader | None,
        *,
        newest_alone: bool,
        translated: Callable[[Header], Header] | None,
    ) -> None:
        """Keep books in `inbox`; without `reader` what refers to shared memory is passed over.

        `translated` puts headers of other hosts into times of this one.
        """
        self._inbox, self._reader = inbox, reader
        self._newest_alone, self._translated = newest_alone, translated

    def parsed(self, frames: Sequence[bytes | memoryview]) -> Come | None:
        """Return a message as it came, or None where it is malformed or comes inline as well."""
        try:
            header, reference = decode_reference(frames)
        except WireError as error:
            self._refuse(_topic_or_other(frames[0]), error)
            return None
        if reference is not None and self._reader is None:
            return None
        return Come(header, reference, frames[2:])

    def prepare(self, come: Come) -> None:
        """Take the lease on bytes that are still being written, unless that must wait."""
        if come.reference is not None and self._reader is not None:
            come.payloads = self._reader.early(come.reference, come.header.buffers)

    def taken(self, come: Iterable[Come]) -> list[Received]:
        """Return what is handed out for messages that came: all, or the newest of each topic."""
        if self._newest_alone:
            come = list(come)
            return self._newest(come) if come else []
        results: list[Received] = []
        for item in come:
            results += self._taken(item)
        return results

    def refuse_stream(self, error: WireError) -> None:
        """Count a link that cannot be read on."""
        self._refuse(OTHER, error)

    def _newest(self, come: Sequence[Come]) -> list[Received]:
        """Take the newest of each topic, and what takes no place of another."""
        last = {item.header.topic: index for index, item in enumerate(come) if _can_age(item)}
        results: list[Received] = []
        for index, item in enumerate(come):
            if _can_age(item) and index != last[item.header.topic]:
                self._pass_over(item)
                results += self._inbox.lose(item.header, "skipped")
            else:
                results += self._taken(item)
        return results

    def _pass_over(self, item: Come) -> None:
        """Say that this reader is done with a message that it never looks at."""
        if item.payloads is not None:
            item.payloads = None
        elif item.reference is not None and self._reader is not None:
            self._reader.pass_over(item.reference)

    def _taken(self, come: Come) -> list[Received]:
        header, reference, payloads = come.header, come.reference, come.payloads
        if self._translated is not None:
            header = self._translated(header)
        if come.cut_off:
            return self._inbox.lose(header, "disconnected")
        if reference is None or self._reader is None:
            parts = []
            for buffer, spec in zip(come.buffers, header.buffers, strict=True):
                parts.append(FramePayload(buffer, len(buffer), spec))
            payloads = tuple(parts)
        elif payloads is None:
            try:
                payloads = self._reader.payloads(reference, header.buffers)
            except OvertakenError:
                return self._inbox.lose(header, "overtaken")
            except WireError as error:
                self._refuse(header.topic, error)
                return []
        return self._inbox.take(Message(header, payloads))

    def _refuse(self, topic: str, error: WireError) -> None:
        """Count a message that breaks a rule; say so when the count doubles."""
        count = self._inbox.refuse(topic)
        if has_doubled(count):
            _log.warning("refused %d messages of %s so far: %s", count, topic, error)


def _can_age(come: Come) -> bool:
    """Return whether a newer message of the topic makes this one worthless."""
    return come.header.kind not in _LASTING and not come.cut_off


def _topic_or_other(frame: bytes | memoryview) -> str:
    try:
        return topic_of(bytes(frame))
    except WireError:
        return OTHER
