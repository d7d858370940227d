"""The wire: `Header` to bytes and back. Pure; `docs/wire.md` describes it byte by byte.

A message is the topic ending in NUL, a MessagePack header, then one frame per buffer, or none where
the header refers to shared memory. Decoding trusts nothing: sizes, counts, types and ranges are
checked, and whatever breaks a rule raises a `WireError` that names the rule. Unknown header keys
are ignored (a later minor version may add them); an unknown version or kind is refused. No
extension types, no trailing bytes, no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import error as StructError
from typing import Any, NoReturn

from tectum.errors import ContractError, WireError
from tectum.message import Header, Kind
from tectum.transport.header_layout import VERSION, laid_out
from tectum.transport.header_parts import (
    INT63,
    MAX_BUFFERS,
    NO_FIELDS,
    buffers_of,
    fields_of,
    reference_of,
    text_of,
)
from tectum.transport.header_template import learn, recall
from tectum.transport.kinds import kind_trouble
from tectum.transport.packing import MAX_HEADER_BYTES, unpack
from tectum.transport.reference import Reference
from tectum.transport.refusing import refuse
from tectum.transport.topic_frames import MAX_TOPIC_BYTES, topic_frame, topic_of

__all__ = ["VERSION", "decode", "decode_reference", "decode_unknown", "encode", "encode_header"]

_INTEGERS = {"q": 0, "t": -INT63, "d": 0, "e": 0, "s": -INT63, "i": 0}
"""Key of a number -> the least that it may be."""
_OPTIONAL = ("d", "e")
_KINDS = {kind.value: kind for kind in Kind}


def encode(header: Header, reference: Reference | None = None) -> tuple[bytes, bytes]:
    """Return the topic frame and the header frame; with `reference` no buffer follows.

    Raises:
        ContractError: a topic, field or size is not one that `decode` would accept.
    """
    return topic_frame(header.topic), encode_header(header, reference)


def encode_header(header: Header, reference: Reference | None = None) -> bytes:
    """Return the header frame alone; see `encode`."""
    try:
        packed = laid_out(header, reference)
    except WireError as error:
        msg = f"{header.topic}: {error}"
        raise ContractError(msg) from error
    except StructError as error:
        msg = f"{header.topic}: a number of the header is not one of 64 bits: {error}"
        raise ContractError(msg) from error
    except (TypeError, ValueError, OverflowError) as error:
        allowed = "null, bool, int, float, str, bytes, list or map"
        msg = f"{header.topic}: a field is not {allowed}: {error}"
        raise ContractError(msg) from error
    if len(packed) > MAX_HEADER_BYTES:
        msg = f"{header.topic}: header of {len(packed)} bytes, at most {MAX_HEADER_BYTES}"
        raise ContractError(msg)
    return packed


def decode(frames: Sequence[bytes | memoryview]) -> Header:
    """Return the header of a message that carries its buffers: topic, header, frames.

    Raises:
        WireError: a rule of the wire format is broken; the message names it.
    """
    header, reference = decode_reference(frames)
    if reference is not None:
        refuse("reference (p)", reference.pool, "none in a message that stands alone")
    return header


def decode_reference(
    frames: Sequence[bytes | memoryview],
) -> tuple[Header, Reference | None]:
    """Return the header of a message, and where its buffers lie unless they are in `frames`.

    Raises:
        WireError: a rule of the wire format is broken; the message names it.
    """
    if not 2 <= len(frames) <= 2 + MAX_BUFFERS:
        refuse("number of frames", len(frames), f"2 to {2 + MAX_BUFFERS}")
    known = recall(frames)
    if known is not None:
        return known
    header, reference = decode_unknown(frames)
    learn(frames, header, reference)
    return header, reference


def decode_unknown(frames: Sequence[bytes | memoryview]) -> tuple[Header, Reference | None]:
    """Return what `decode_reference` does of 2 to 66 frames, remembering nothing."""
    topic = topic_of(bytes(frames[0][: MAX_TOPIC_BYTES + 2]))
    document = unpack(frames[1])
    get = document.get
    version = get("v")
    if type(version) is not int or version != VERSION:  # True equals 1
        refuse("version (v)", version, f"{VERSION}")
    kind = get("k")
    if type(kind) is not str or kind not in _KINDS:
        refuse("kind (k)", kind, f"one of {', '.join(_KINDS)}")
    place = get("p")
    reference = None if place is None else reference_of(place)
    seq, stamp_ns, span_ns, error_ns = get("q"), get("t"), get("d", 0), get("e", 0)
    sent_ns, incarnation = get("s"), get("i")
    if not (
        type(seq) is type(stamp_ns) is type(span_ns) is type(error_ns) is int
        and type(sent_ns) is type(incarnation) is int
        and 0 <= seq | span_ns | error_ns | incarnation < INT63  # as if each was compared
        and stamp_ns < INT63
        and sent_ns < INT63  # MessagePack has none below -2^63
    ):
        _refuse_integers(document)
    header = Header(
        topic,
        _KINDS[kind],
        seq,
        stamp_ns,
        span_ns,
        error_ns,
        sent_ns,
        incarnation,
        text_of(document, "f"),
        fields_of(get("x", NO_FIELDS)),
        buffers_of(get("b"), frames, reference),
    )
    trouble = kind_trouble(header)
    if trouble is not None:
        raise WireError(trouble)
    return header, reference


def _refuse_integers(document: Mapping[str, Any]) -> NoReturn:
    """Name the first number of another type or range."""
    for key, least in _INTEGERS.items():
        value = document.get(key, 0 if key in _OPTIONAL else None)
        if type(value) is not int or not least <= value < INT63:
            refuse(f"integer ({key})", value, f"{least} to 2^63 - 1")
    raise AssertionError(document)
