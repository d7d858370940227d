"""Messages for tests, made in one call."""

from __future__ import annotations

from tectum.message import AnyArray, ArrayPayload, BufferSpec, Header, Kind, Message, Value

__all__ = ["make_message"]


def make_message(
    topic: str,
    kind: Kind,
    *arrays: AnyArray,
    seq: int = 0,
    stamp_ns: int = 0,
    span_ns: int = 0,
    error_ns: int = 0,
    sent_ns: int = 0,
    incarnation: int = 1,
    frame_id: str = "",
    **fields: Value,
) -> Message:
    """Return a message whose buffers are `arrays` and whose header describes them."""
    header = Header(
        topic=topic,
        kind=kind,
        seq=seq,
        stamp_ns=stamp_ns,
        span_ns=span_ns,
        error_ns=error_ns,
        sent_ns=sent_ns,
        incarnation=incarnation,
        frame_id=frame_id,
        fields=fields,
        buffers=tuple(BufferSpec(array.dtype.name, array.shape) for array in arrays),
    )
    return Message(header, tuple(ArrayPayload(array) for array in arrays))
