"""Topics as they stand on the wire, and the forms in which they are subscribed. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from tectum.errors import ContractError
from tectum.transport.refusing import refuse

__all__ = ["EARLY", "MAX_TOPIC_BYTES", "inline_topic", "shared_topic", "topic_frame", "topic_of"]

MAX_TOPIC_BYTES = 200
_TOPIC = re.compile(rb"[A-Za-z0-9_.-]+/@?[A-Za-z0-9_.-]+\0")
_SHARED_MARK, _INLINE_MARK = b"=", b"!"
EARLY = b"+"
"""The subscription that says, on a local link: I take messages that have begun."""


@lru_cache(maxsize=1024)
def topic_frame(topic: str) -> bytes:
    """Return the bytes of the topic frame: ASCII and a NUL, so that no topic is another's prefix.

    Raises:
        ContractError: not `node/output` in letters, digits, `_`, `-` and `.`.
    """
    frame = topic.encode("utf-8", "replace") + b"\0"
    if len(frame) > MAX_TOPIC_BYTES or not _TOPIC.fullmatch(frame):
        msg = f"topic {topic!r}: write node/output with letters, digits, '_', '-' and '.'"
        raise ContractError(msg)
    return frame


@lru_cache(maxsize=1024)
def shared_topic(topic: str) -> bytes:
    """Return the subscription that says: I read this topic in shared memory. Nothing is sent so."""
    return _SHARED_MARK + topic_frame(topic)


@lru_cache(maxsize=1024)
def inline_topic(topic: str) -> bytes:
    """Return the topic frame under which buffers are sent that others get by reference."""
    return _INLINE_MARK + topic_frame(topic)


@lru_cache(maxsize=1024)
def topic_of(frame: bytes) -> str:
    """Return the topic that a topic frame names, plain or inline.

    Raises:
        WireError: not a topic ending in its only NUL.
    """
    plain = frame.removeprefix(_INLINE_MARK)
    if len(plain) > MAX_TOPIC_BYTES or not _TOPIC.fullmatch(plain):
        refuse("topic frame", frame, "node/output in ASCII, ending in NUL")
    return plain[:-1].decode("ascii")
