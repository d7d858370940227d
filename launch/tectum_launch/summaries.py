"""A message in one line, and as plain data: what a person wants to know of it, not its bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tectum.ledger.words import clock_words
from tectum.message import AnyArray, BufferSpec, Header, Kind, Message

__all__ = ["message_document", "message_text"]

_FEW = 6
"""So many numbers are written out."""


def message_text(message: Message) -> str:
    """Return `message` in one line: when, which topic and number, what it holds."""
    header = message.header
    if header.kind in (Kind.PROMISE, Kind.END):
        said = "nothing older follows" if header.kind is Kind.PROMISE else "the source has ended"
        return f"{clock_words(header.stamp_ns)}  {header.topic}  {header.kind}: {said}"
    return f"{clock_words(header.stamp_ns)}  {header.topic} #{header.seq}  {_content(message)}"


def message_document(message: Message, *, values: bool = False) -> dict[str, Any]:
    """Return `message` as plain data for JSON; with `values`, its numbers too."""
    header = message.header
    document: dict[str, Any] = {
        "topic": header.topic,
        "kind": header.kind.value,
        "seq": header.seq,
        "stamp_ns": header.stamp_ns,
        "span_ns": header.span_ns,
        "error_ns": header.error_ns,
        "sent_ns": header.sent_ns,
        "incarnation": header.incarnation,
        "frame_id": header.frame_id,
        "fields": _plain(header.fields),
        "buffers": [_shape(spec) for spec in header.buffers],
    }
    if values:
        document["values"] = [_plain(payload.array().tolist()) for payload in message.payloads]
    return document


def _content(message: Message) -> str:
    header = message.header
    if header.kind is Kind.LATCHED:
        return f"constant fact: {header.fields.get('fact')}"
    describe = _WORDS.get(header.kind)
    return describe(message) if describe else _fields(header)


def _image(message: Message) -> str:
    header = message.header
    encoding = header.fields.get("encoding", "image")
    if encoding == "jpeg":
        return f"jpeg, {header.buffers[0].nbytes / 1024:.0f} KiB"
    height, width, *_ = header.buffers[0].shape
    return f"{width} x {height} {encoding}, mean {float(message.array()[::4, ::4].mean()):.0f}"


def _audio(message: Message) -> str:
    samples, channels = message.header.buffers[0].shape
    rate_hz = message.header.fields.get("rate_hz")
    loudest = int(np.abs(message.array().astype(np.int32)).max()) if samples else 0
    level = f"peak {20 * math.log10(loudest / 32768):.0f} dBFS" if loudest else "silence"
    return f"{samples} samples x {channels} at {rate_hz} Hz, {level}"


def _points(message: Message) -> str:
    count, _ = message.header.buffers[0].shape
    if not count:
        return "no points"
    xyz = message.array()[:, :3]
    low, high = np.nanmin(xyz, axis=0), np.nanmax(xyz, axis=0)
    spans = zip("xyz", low, high, strict=False)
    return f"{count} points, " + ", ".join(f"{n} {a:.1f} to {b:.1f}" for n, a, b in spans)


def _arrays(message: Message) -> str:
    names = message.header.fields.get("names")
    known = names if isinstance(names, (list, tuple)) else ()
    words = []
    for index, payload in enumerate(message.payloads):
        name = str(known[index]) if index < len(known) else f"[{index}]"
        words.append(f"{name} {_numbers(payload.array())}")
    return ", ".join(words) or "no buffers"


def _numbers(array: AnyArray) -> str:
    if array.size <= _FEW:
        shown = ", ".join(f"{value:g}" for value in array.astype(np.float64).ravel())
        return f"[{shown}]"
    shape = " x ".join(map(str, array.shape))
    return f"{array.dtype} {shape} from {float(array.min()):g} to {float(array.max()):g}"


def _boxes(message: Message) -> str:
    labels = message.header.fields.get("labels")
    names = labels if isinstance(labels, (list, tuple)) else ()
    found = message.array(2).tolist()
    words = [str(names[i]) if 0 <= i < len(names) else f"label {i}" for i in found]
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "no boxes"


def _result(message: Message) -> str:
    document = message.header.fields.get("result")
    if not isinstance(document, Mapping):
        return "a result without a document"
    reason = f" ({document.get('reason')})" if document.get("reason") else ""
    latency = document.get("latency_ms")
    took = f", {latency:.1f} ms" if isinstance(latency, float) and latency else ""
    outputs = document.get("outputs")
    names = ", ".join(outputs) if isinstance(outputs, Mapping) else ""
    given = f": {names}" if names else ""
    return f"{document.get('outcome')}{reason}{took}{given}"


def _text(message: Message) -> str:
    return repr(message.header.fields.get("text", ""))


def _listed(key: str) -> Callable[[Message], str]:
    def words(message: Message) -> str:
        found = message.header.fields.get(key)
        return f"{len(found) if isinstance(found, (list, tuple)) else 0} {key}"

    return words


def _fields(header: Header) -> str:
    shown = ", ".join(f"{key}: {value!r}" for key, value in header.fields.items())
    return shown if len(shown) <= 200 else f"{shown[:197]}..."


def _shape(spec: BufferSpec) -> str:
    return f"{spec.dtype} {'x'.join(map(str, spec.shape))}"


def _plain(value: Any) -> Any:
    """Return what JSON can carry: bytes as their length, what is not a number as null."""
    text = json.dumps(value, default=_other)
    return json.loads(text, parse_constant=lambda _: None)


def _other(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (bytes, memoryview)):
        return f"{len(value)} bytes"
    return str(value)


_WORDS: dict[Kind, Callable[[Message], str]] = {
    Kind.IMAGE: _image,
    Kind.AUDIO: _audio,
    Kind.POINTS: _points,
    Kind.TENSOR: _arrays,
    Kind.POSE: _arrays,
    Kind.BOXES: _boxes,
    Kind.RESULT: _result,
    Kind.TEXT: _text,
    Kind.LEDGER: _listed("rows"),
    Kind.JOURNAL: _listed("events"),
}
