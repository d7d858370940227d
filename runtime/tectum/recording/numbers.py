"""What the records of others lack, counted while they are read: numbers, and indices of samples."""

from __future__ import annotations

from collections import Counter

from tectum.message import Kind, Message
from tectum.sync.block_index import BlockIndex

__all__ = ["Numbers"]


class Numbers:
    """Counts of one reading."""

    def __init__(self) -> None:
        """Begin to read."""
        self.seq: Counter[str] = Counter()
        """Of each topic: the number that its next message gets."""
        self._indices: dict[tuple[str, int], BlockIndex] = {}

    def given(self, message: Message) -> Message:
        """Count a message, and put audio in its place on the timeline of its topic."""
        header = message.header
        self.seq[header.topic] += 1
        rate_hz = header.fields.get("rate_hz")
        if header.kind is not Kind.AUDIO or not isinstance(rate_hz, int):
            return message
        index = self._indices.setdefault((header.topic, rate_hz), BlockIndex(rate_hz))
        first = index.first(header.stamp_ns, header.buffers[0].shape[0])
        fields = {**header.fields, "first": first}
        return Message(header._replace(fields=fields), message.payloads)
