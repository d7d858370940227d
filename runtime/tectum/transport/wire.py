"""The wire: `Header` to bytes and back. Pure; `docs/wire.md` describes it byte by byte.

A message is the topic ending in NUL, a MessagePack header, then one frame per buffer, or none where
the header refers to shared memory. Decoding trusts nothing: sizes, counts, types and ranges are
checked, and whatever breaks a rule raises a `WireError` that names the rule. Unknown header keys
are ignored (a later minor version may add them); an unknown version or kind is refused. No
extension types, no trailing bytes, no pickle.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

import msgpack
import numpy as np

from tectum.errors import ContractError, WireError
from tectum.message import Header, Kind
from tectum.transport.header_parts import (
    INT63,
    MAX_BUFFERS,
    NO_FIELDS,
    buffers_of,
    fields_of,
    reference_of,
    text_of,
)
from tectum.transport.kinds import kind_trouble
from tectum.transport.reference import Reference
from tectum.transport.refusing import refuse
from tectum.transport.topic_frames import MAX_TOPIC_BYTES, topic_frame, topic_of

__all__ = ["VERSION", "decode", "decode_reference", "encode", "encode_header"]

VERSION = 1
MAX_HEADER_BYTES = 4 * 1024 * 1024
_INTEGERS = {"q": 0, "t": -INT63, "d": 0, "e": 0, "s": -INT63, "i": 0}
"""Key of a number -> the least that it may be."""
_OPTIONAL = ("d", "e")
_KINDS = {kind.value: kind for kind in Kind}
_threads = threading.local()


def encode(header: Header, reference: Reference | None = None) -> tuple[bytes, bytes]:
    """Return the topic frame and the header frame; with `reference` no buffer follows.

    Raises:
        ContractError: a topic, field or size is not one that `decode` would accept.
    """
    return topic_frame(header.topic), encode_header(header, reference)


def encode_header(header: Header, reference: Reference | None = None) -> bytes:
    """Return the header frame alone; see `encode`."""
    trouble = kind_trouble(header)
    if trouble is not None:
        msg = f"{header.topic}: {trouble}"
        raise ContractError(msg)
    document: dict[str, object] = {
        "v": VERSION,
        "k": header.kind,
        "i": header.incarnation,
        "q": header.seq,
        "t": header.stamp_ns,
        "s": header.sent_ns,
        "b": [(spec.dtype, spec.shape) for spec in header.buffers],
    }
    if header.span_ns:
        document["d"] = header.span_ns
    if header.error_ns:
        document["e"] = header.error_ns
    if header.frame_id:
        document["f"] = header.frame_id
    if header.fields:
        document["x"] = header.fields
    if reference is not None:
        document["p"] = reference
    packed = _pack(header.topic, document)
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
    topic = topic_of(bytes(frames[0][: MAX_TOPIC_BYTES + 2]))
    document = _unpack(frames[1])
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


def _pack(topic: str, document: Mapping[str, object]) -> bytes:
    try:
        return cast("bytes", _packer().pack(document))
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"{topic}: a field is not null, bool, int, float, str, bytes, list or map: {error}"
        raise ContractError(msg) from error


def _packer() -> msgpack.Packer:
    """Return this thread's packer: a new one for each message costs as much as its packing."""
    try:
        return cast("msgpack.Packer", _threads.packer)
    except AttributeError:
        _threads.packer = msgpack.Packer(use_bin_type=True, default=_plain)
        return _threads.packer


def _plain(value: object) -> object:
    """Return what MessagePack can hold for read-only maps and NumPy scalars."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    msg = f"cannot send {type(value).__name__}"
    raise TypeError(msg)


def _unpack(frame: bytes | memoryview) -> dict[str, Any]:
    if len(frame) > MAX_HEADER_BYTES:
        refuse("header size", len(frame), f"at most {MAX_HEADER_BYTES} bytes")
    try:
        document = msgpack.unpackb(
            frame, raw=False, strict_map_key=True, ext_hook=_refuse_extension
        )
    except WireError:
        raise
    except Exception as error:  # msgpack raises a dozen kinds; all mean the same here
        msg = f"header is not MessagePack: {type(error).__name__}"
        raise WireError(msg) from error
    if not isinstance(document, dict):
        refuse("header", type(document).__name__, "a map")
    return document


def _refuse_extension(code: int, data: bytes) -> object:
    del data
    refuse("extension type", code, "none")


def _refuse_integers(document: Mapping[str, Any]) -> NoReturn:
    """Name the first number of another type or range."""
    for key, least in _INTEGERS.items():
        value = document.get(key, 0 if key in _OPTIONAL else None)
        if type(value) is not int or not least <= value < INT63:
            refuse(f"integer ({key})", value, f"{least} to 2^63 - 1")
    raise AssertionError(document)
