"""The wire: `Header` to bytes and back. Pure; `docs/wire.md` describes it byte by byte.

A message is the topic ending in NUL, a MessagePack header, then one frame per buffer, or none where
the header refers to shared memory. Decoding trusts nothing: sizes, counts, types and ranges are
checked, and whatever breaks a rule raises a `WireError` that names the rule. Unknown header keys
are ignored (a later minor version may add them); an unknown version or kind is refused. No
extension types, no trailing bytes, no pickle.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NoReturn, cast

import msgpack
import numpy as np

from tectum.errors import ContractError, WireError
from tectum.message import DTYPES, BufferSpec, Header, Kind, Value
from tectum.transport.kinds import kind_trouble
from tectum.transport.reference import Reference, offsets

__all__ = [
    "VERSION",
    "buffer_spec",
    "decode",
    "decode_reference",
    "encode",
    "encode_header",
    "inline_topic",
    "shared_topic",
    "topic_frame",
    "topic_of",
]

VERSION = 1
MAX_TOPIC_BYTES = 200
MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_BUFFERS = 64
MAX_DIMS = 8
MAX_DEPTH = 32
_INT63 = 2**63

_TOPIC = re.compile(rb"[A-Za-z0-9_.-]+/@?[A-Za-z0-9_.-]+\0")
_SHARED_MARK, _INLINE_MARK = b"=", b"!"
_INTEGERS = {"q": 0, "t": -_INT63, "d": 0, "e": 0, "s": -_INT63, "i": 0}
"""Key of a number -> the least that it may be."""
_OPTIONAL = ("d", "e")
_NO_FIELDS: Mapping[str, Value] = MappingProxyType({})
_KINDS = {kind.value: kind for kind in Kind}
_ITEM_BYTES = {name: np.dtype(name).itemsize for name in DTYPES}
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
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
        _refuse("reference (p)", reference.pool, "none in a message that stands alone")
    return header


def decode_reference(
    frames: Sequence[bytes | memoryview],
) -> tuple[Header, Reference | None]:
    """Return the header of a message, and where its buffers lie unless they are in `frames`.

    Raises:
        WireError: a rule of the wire format is broken; the message names it.
    """
    if not 2 <= len(frames) <= 2 + MAX_BUFFERS:
        _refuse("number of frames", len(frames), f"2 to {2 + MAX_BUFFERS}")
    topic = topic_of(bytes(frames[0][: MAX_TOPIC_BYTES + 2]))
    document = _unpack(frames[1])
    get = document.get
    version = get("v")
    if type(version) is not int or version != VERSION:  # True equals 1
        _refuse("version (v)", version, f"{VERSION}")
    kind = get("k")
    if type(kind) is not str or kind not in _KINDS:
        _refuse("kind (k)", kind, f"one of {', '.join(_KINDS)}")
    place = get("p")
    reference = None if place is None else _reference(place)
    seq, stamp_ns, span_ns, error_ns = get("q"), get("t"), get("d", 0), get("e", 0)
    sent_ns, incarnation = get("s"), get("i")
    if not (
        type(seq) is type(stamp_ns) is type(span_ns) is type(error_ns) is int
        and type(sent_ns) is type(incarnation) is int
        and 0 <= seq | span_ns | error_ns | incarnation < _INT63  # as if each was compared
        and stamp_ns < _INT63
        and sent_ns < _INT63  # MessagePack has none below -2^63
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
        _text(document, "f"),
        _fields(get("x", _NO_FIELDS)),
        _buffers(get("b"), frames, reference),
    )
    trouble = kind_trouble(header)
    if trouble is not None:
        raise WireError(trouble)
    return header, reference


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
        _refuse("topic frame", frame, "node/output in ASCII, ending in NUL")
    return plain[:-1].decode("ascii")


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
        _refuse("header size", len(frame), f"at most {MAX_HEADER_BYTES} bytes")
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
        _refuse("header", type(document).__name__, "a map")
    return document


def _refuse_extension(code: int, data: bytes) -> object:
    del data
    _refuse("extension type", code, "none")


def _refuse_integers(document: Mapping[str, Any]) -> NoReturn:
    """Name the first number of another type or range."""
    for key, least in _INTEGERS.items():
        value = document.get(key, 0 if key in _OPTIONAL else None)
        if type(value) is not int or not least <= value < _INT63:
            _refuse(f"integer ({key})", value, f"{least} to 2^63 - 1")
    raise AssertionError(document)


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        _refuse(f"text ({key})", value, "a string")
    return value


def _fields(value: object) -> Mapping[str, Value]:
    """Return the kind's fields; a timestamp extension or a bomb of nested lists stops here."""
    if value is _NO_FIELDS:
        return _NO_FIELDS
    if not isinstance(value, dict):
        _refuse("fields (x)", type(value).__name__, "a map")
    for key, item in value.items():
        if type(key) is not str or type(item) not in _SCALARS:
            break
    else:
        return value
    level, depth = [cast("object", value)], 0
    while level:
        if depth == MAX_DEPTH:
            _refuse("depth of fields (x)", f"more than {MAX_DEPTH}", f"at most {MAX_DEPTH}")
        level, depth = [item for container in level for item in _items(container)], depth + 1
    return value


def _items(container: object) -> list[object]:
    """Return the containers directly inside `container`."""
    if isinstance(container, dict):
        if not all(isinstance(key, str) for key in container):
            _refuse("key of a field", "bytes", "a string")
        items: Sequence[object] = list(container.values())
    elif isinstance(container, list):
        items = container
    else:
        _refuse("value of a field", type(container).__name__, "plain data")
    return [item for item in items if type(item) not in _SCALARS]


def _reference(value: object) -> Reference | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != len(Reference._fields):
        _refuse("reference (p)", value, "[pool, epoch, slot, sequence, bytes]")
    pool, *numbers = value
    if not isinstance(pool, str) or len(pool) > MAX_TOPIC_BYTES:
        _refuse("pool (p)", pool, f"a name of at most {MAX_TOPIC_BYTES} bytes")
    for number in numbers:
        if type(number) is not int or not 0 <= number < _INT63:
            _refuse("number of a reference (p)", number, "0 to 2^63 - 1")
    return Reference(pool, *numbers)


def _buffers(
    specs: object, frames: Sequence[bytes | memoryview], reference: Reference | None
) -> tuple[BufferSpec, ...]:
    """Return the buffers that a header declares, which are the frames from the third on."""
    count = len(frames) - 2
    expected = "at least one" if reference else f"{count}, one per frame"
    if not isinstance(specs, list) or not (
        0 < len(specs) <= MAX_BUFFERS and count == 0 if reference else len(specs) == count
    ):
        found = len(specs) if isinstance(specs, list) else type(specs).__name__
        _refuse("buffers (b)", found, f"a list of {expected}")
    found_specs = tuple([_buffer(spec) for spec in specs])
    if reference:
        _, size = offsets([spec.nbytes for spec in found_specs])
        if size != reference.nbytes:
            _refuse("size of a reference (p)", reference.nbytes, f"{size} bytes, as buffers imply")
        return found_specs
    for index, spec in enumerate(found_specs, 2):
        if spec.nbytes != len(frames[index]):
            what = f"{spec.nbytes} bytes, as {spec.dtype} {list(spec.shape)} implies"
            _refuse("buffer size", len(frames[index]), what)
    return found_specs


def _buffer(spec: object) -> BufferSpec:
    if not isinstance(spec, list) or len(spec) != 2:
        _refuse("buffer", spec, "[dtype, shape]")
    dtype, shape = spec
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        _refuse("dtype", dtype, f"one of {', '.join(_ITEM_BYTES)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMS:
        _refuse("shape", shape, f"a list of at most {MAX_DIMS} extents")
    for extent in shape:
        if type(extent) is not int or not 0 <= extent < _INT63:
            _refuse("extent", extent, "0 to 2^63 - 1")
    return buffer_spec(dtype, *shape)


@lru_cache(maxsize=1024)
def buffer_spec(dtype: str, *shape: int) -> BufferSpec:
    """Return the one object for buffers of these: sensors send the same again and again."""
    return BufferSpec(dtype, shape)


def _refuse(what: str, found: object, allowed: str) -> NoReturn:
    msg = f"{what} is {repr(found)[:80]}; allowed: {allowed}"
    raise WireError(msg)
